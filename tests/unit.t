#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests of code that needs no kernel (tests/unit), built for this machine with sanitizers."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.build()
for source in sorted(glob.glob(os.path.join(uml.TOP, "tests", "unit", "*.c"))):
    name = os.path.splitext(os.path.basename(source))[0]
    program = uml.Program(name, "")
    ended = subprocess.run([uml.built("unit/" + name)], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=120)
    program.status, program.output = ended.returncode, ended.stdout
    uml.report(program)
tap.done()
