#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory as guest programs expect it, and more scattered pages than the host has areas for one process."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
uml.build()
with open("/proc/sys/vm/max_map_count") as source:
    areas = int(source.read())
tap.diag(f"the host allows {areas} areas a process")
programs = [
    uml.Program("memory", "/test/memory", 120),
    uml.Program("a million scattered pages read", "/test/scatter read 1048576 16", 240),
    uml.Program("131072 scattered pages written", "/test/scatter write 131072 2", 240),
]
results = uml.run_programs(programs, files={f"test/{name}": uml.built(f"guest/{name}") for name in ("memory", "scatter")},
                           mem="1G")
for program in programs:
    uml.report(program)
uml.clean(results)
tap.done()
