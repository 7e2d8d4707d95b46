#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that checks itself (lockdep, RCU, memory debugging): it builds, its KUnit suites
pass, and it reports nothing under work of every kind.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
uml.build()
LINUX = uml.debug_kernel()
PROGRAMS = ("memory", "hugepage", "signals", "trace", "regs", "filesystem")
WORK = """
set -e
mkdir -p /disk /host
mke2fs -q /dev/ubda 2>/dev/null; mount /dev/ubda /disk
mount -t hostfs none /host -o {shared}
cd /tmp
memory; hugepage; signals; trace; regs 3
filesystem /host
cp /bin/busybox /disk; sync; echo 3 > /proc/sys/vm/drop_caches; cmp /bin/busybox /disk/busybox
umount /host /disk
for i in 1 2 3 4; do (sh -c 'i=0; while [ $i -lt 100 ]; do sh -c :; i=$((i+1)); done') & done; wait
grep debug_locks /proc/lockdep_stats
"""


def suites(result):
    """The KUnit suites of the kernel itself: (passed, failed), by their lines in its log."""
    lines = [re.sub(r"^\[[ .\d]*\] ", "", line) for line in result.log.splitlines()]
    return ([line for line in lines if re.match(r"ok \d+ ", line)],
            [line for line in lines if re.match(r" *not ok \d+ ", line)])


def works(engine):
    shared = uml.scratch(f"shared-{engine}")
    os.mkdir(shared)
    cow = uml.scratch(f"changes-{engine}")
    base = uml.scratch(f"base-{engine}")
    with open(base, "wb") as out:
        out.truncate(32 << 20)
    result = uml.run(WORK.format(shared=shared), mem="512M",
                     arguments=[f"seccomp={engine}", f"ubd0={cow},{base}"], linux=LINUX,
                     files={f"bin/{name}": uml.built(f"guest/{name}") for name in PROGRAMS},
                     timeout=240)
    tap.equal(result.status, 0,
              f"seccomp={engine}: programs, a COW disk and a directory of the host do their work",
              result.tail)
    # KUnit provokes some of its own before init runs.
    result.problems = [line for line in result.log.partition("Run /init ")[2].splitlines()
                       if uml.PROBLEM.search(line)]
    uml.clean(result)
    tap.ok(re.search(r"debug_locks: +1$", result.output, re.M), "and lockdep was on to the end",
           result.tail)
    return result


first = works("auto")
passed, failed = suites(first)
tap.ok(len(passed) > 8 and not failed, "the KUnit suites in it pass",
       "\n".join([f"{len(passed)} suites pass", *failed]))
works("off")
tap.done()
