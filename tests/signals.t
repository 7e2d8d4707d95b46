#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers, signals, patched sites, ptrace, seccomp, core dumps and a hostile program inside the
guest (programs under tests/guest), under each engine that the host allows.

REGS_SECONDS sets how long the register torture runs under load: 60 is the long one.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
uml.build()
# Some virtual machines take breakpoints and never stop at them. A guest can have no better ones.
native = subprocess.run([uml.built("guest/hardware"), "breakpoints"],
                        stdout=subprocess.DEVNULL).returncode
hardware = "NO_BREAKPOINTS=1 /test/hardware" if native else "/test/hardware"
seconds = int(os.environ.get("REGS_SECONDS", "10"))


def run_with(engine):
    """All programs under one engine; a host that has not got it is told."""
    option = f"seccomp={engine}"
    first = uml.run("true", mem="64M", arguments=[option])
    lacking = [line for line in first.console.splitlines() if option + ":" in line]
    if lacking:
        tap.skip(f"registers, signals and tracing with {option}", lacking[0])
        return
    sites = " sites" if engine == "on" else ""
    programs = [
        uml.Program(f"{option} regs", f"/test/regs {seconds}", 60 + 2 * seconds),
        uml.Program(f"{option} signals", "/test/signals"),
        uml.Program(f"{option} calls", "/test/calls" + sites),
        uml.Program(f"{option} calls of a program with libraries", "/test/calls-dynamic" + sites),
        uml.Program(f"{option} trace", "/test/trace"),
        uml.Program(f"{option} hardware", hardware),
        uml.Program(f"{option} escape", "/test/escape"),
    ]
    names = ("regs", "signals", "calls", "calls-dynamic", "trace", "hardware", "escape")
    files = {f"test/{name}": uml.built(f"guest/{name}") for name in names}
    results = uml.run_programs(programs,
                               files={**files, **image.libraries(files["test/calls-dynamic"])},
                               mem="256M", arguments=[option])
    for program in programs:
        uml.report(program)
    uml.clean(results)


for each in ("off", "on"):
    run_with(each)
tap.done()
