#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers, signals, ptrace, seccomp, core dumps and a hostile program inside the guest (programs under tests/guest).

REGS_SECONDS sets how long the register torture runs under load: 60 shows what issue 2 asks for.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
uml.build()
# Some virtual machines take breakpoints and never stop at them. A guest can have no better ones.
native = subprocess.run([uml.built("guest/hardware"), "breakpoints"], stdout=subprocess.DEVNULL).returncode
hardware = "NO_BREAKPOINTS=1 /test/hardware" if native else "/test/hardware"
seconds = int(os.environ.get("REGS_SECONDS", "10"))
programs = [
    uml.Program("regs", f"/test/regs {seconds}", 60 + 2 * seconds),
    uml.Program("signals", "/test/signals"),
    uml.Program("trace", "/test/trace"),
    uml.Program("hardware", hardware),
    uml.Program("escape", "/test/escape"),
]
results = uml.run_programs(programs, files={f"test/{p.name}": uml.built(f"guest/{p.name}") for p in programs},
                           mem="256M")
for program in programs:
    uml.report(program)
uml.clean(results)
tap.done()
