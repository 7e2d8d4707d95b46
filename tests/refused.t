#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that refuses one of the calls that ./linux makes, always or at its n-th use: the guest
does its work all the same, or there is a line that says why it could not and a status that is not
0. Never a hang, never a wrong success.

REFUSED=all tries every call in every way, which takes a quarter of an hour; otherwise a sample is
tried. REFUSED=<call> tries one.
"""
import os
import random
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
uml.build()
DENY = uml.built("host/deny")
WHICH = os.environ.get("REFUSED", "")

# Processes of all kinds, files of the host, a disk: each part looks at what it got.
WORK = """
set -e
i=0; while [ $i -lt 6 ]; do sh -c 'exit 0'; i=$((i+1)); done
(exit 3) || [ $? = 3 ]
echo one | cat | grep -q one
mkdir -p /h
mount -t hostfs none /h -o %s
[ "$(cat /h/given)" = "given by the host" ]
echo written >/h/made; [ "$(cat /h/made)" = written ]; mv /h/made /h/moved; ls /h >/dev/null; rm /h/moved
dd if=/dev/zero of=/dev/ubda bs=64k count=4 conv=fsync 2>/dev/null
echo mark | dd of=/dev/ubda bs=512 conv=notrunc,fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
[ "$(dd if=/dev/ubda bs=4 count=1 2>/dev/null)" = mark ]
exit 11
"""
folder = uml.scratch("folder")
disk = uml.scratch("disk")
archive = uml.scratch("refused.cpio")
tree = image.Tree()
tree.base(WORK % folder)
tree.write_cpio(archive)


def boot(engine, *wrap):
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    with open(os.path.join(folder, "given"), "w", encoding="ascii") as file:
        file.write("given by the host\n")
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    return uml.boot_and_judge(["mem=64M", f"seccomp={engine}", f"ubd0={disk}", f"initrd={archive}",
                               "rdinit=/init"], 12, wrap=wrap)


def fault(result):
    """The fault in how it ended, or None."""
    if result.exit is None:
        return "hangs"
    if result.exit == 0:    # what the guest's programs are refused, they say themselves
        return None if result.status else "ends with status 0 without having done the work"
    # It may come in the middle of a line of the guest's console, whose writing is what was refused.
    if re.search(r"linux: \w|Kernel panic|^GUEST-STATUS [1-9]|The futex facility|Fatal glibc "
                 r"error|cannot set %fs base", result.console, re.M):
        return None
    return "ends without a line that says why"


known = set()
for engine in ("auto", "off"):
    seen = uml.scratch("seen")
    result = boot(engine, DENY, "-w", seen, "--")
    tap.ok(result.status == 11 and result.exit == 0,
           f"seccomp={engine}: the work is done on a host that refuses nothing", result.tail)
    with open(seen, encoding="ascii") as file:
        calls = file.read().split()
    strange = [call for call in calls if call.isdigit()]
    tap.ok(calls and not strange,
           f"seccomp={engine}: every host call that is made is one that is tried here",
           f"also made: {strange}")
    known.update(calls)

# What a program needs to begin at all, or to end: to refuse these says nothing about ./linux.
known -= {"execve", "exit_group", "exit", "rt_sigreturn", "restart_syscall"}
ways = [(call, engine, error, how) for call in sorted(known) for engine in ("auto", "off")
        for error, how in (("EPERM", ()), ("ENOSYS", ()), ("EAGAIN", ("-n", "1")),
                           ("ENOMEM", ("-n", "3")), ("EPERM", ("-n", "20")),
                           ("EMFILE", ("-f", "5")), ("ENOMEM", ("-f", "100")))]
if WHICH and WHICH != "all":
    ways = [way for way in ways if way[0] == WHICH]
elif not WHICH:
    ways = random.Random(12).sample(ways, 40)
# The console goes out by write(2): without it nothing tells whether the work was done.
ways = [way for way in ways if way[0] != "write"]
# libc's beginning, before a line of ours.
ways = [way for way in ways if not (way[0] in ("brk", "arch_prctl") and way[3])]
bad = []
for call, engine, error, how in ways:
    result = boot(engine, DENY, "-e", error, *how, call, "--")
    wrong = fault(result)
    if result.leaked:
        wrong = (wrong or "") + f" leaves processes {result.leaked}"
    if WHICH:
        tap.diag(f"{call} {error} {' '.join(how)} seccomp={engine}: exit {result.exit} status "
                 f"{result.status}")
    if wrong:
        bad.append(f"{call} {error} {' '.join(how)} seccomp={engine}: {wrong}\n" + result.tail(6))
        tap.diag(bad[-1])
tap.ok(ways
       and not bad,
       "a host call that is refused, always or at its n-th use, ends in no hang and in no wrong "
       "success",
       f"{len(bad)} of {len(ways)}")
tap.done()
