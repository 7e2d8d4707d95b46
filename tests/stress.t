#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stress-ng --verify of what the port carries, STRESS_SECONDS in all (default 120), and no kernel
warning after it."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
stress = shutil.which("stress-ng")
if not stress:
    tap.skip_all("no stress-ng on this machine (Debian package stress-ng)")
STRESSORS = ("cpu vm mmap mremap fork vfork exec clone pthread sigfpe sigsegv signal itimer timer "
             "pipe futex context stack "
             "bigheap fault hdd").split()
# Kept small: the guest has one processor and 1 GiB.
MORE = {"vm": "--vm-bytes 64M", "mmap": "--mmap-bytes 32M", "mremap": "--mremap-bytes 16M",
        "bigheap": "--bigheap-growth 1M",
        "hdd": "--hdd-bytes 32M", "cpu": "--cpu-method int64 "}
seconds = int(os.environ.get("STRESS_SECONDS", "120"))
each = max(1, seconds // len(STRESSORS))
programs = []
for name in STRESSORS:
    # bigheap grows until the out-of-memory killer ends it unless it is limited.
    limit = "ulimit -v 400000; " if name == "bigheap" else ""
    command = f"/usr/bin/stress-ng --verify --temp-path /tmp --oomable --{name} 1 {MORE.get(name, '')} -t {each}"
    # The exec stressor refuses to run as root.
    if name == "exec":
        command = f"chmod 1777 /tmp; su -s /bin/sh -c '{command}' nobody"
    programs.append(uml.Program(name, limit + command, each + 60))


def tree():
    made = image.Tree()
    made.copy_program(stress, "usr/bin/stress-ng")
    made.add("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
             0o644)
    made.add("etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644)
    return made


results = uml.run_programs(programs, tree_maker=tree, mem="1G")
for program in programs:
    tap.ok(program.status == 0 and "successful run completed" in program.output,
           f"stress-ng --verify {program.name}, {each} s",
           f"status {program.status}\n" + "\n".join(program.output.splitlines()[-10:]))
uml.clean(results)
tap.done()
