#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that checks itself (lockdep, RCU, memory debugging): it builds, its KUnit suites
pass, and it reports nothing under work of every kind.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import attach
import execsocket
import mconsole
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


# Devices come and go while programs use them; @end is written by the management console.
DEVICES = """
mkfifo /run/end
(while :; do ls -lR /proc/tty /sys/block >/dev/null; done) & busy=$!
[ ! -e /dev/watchdog ] || exec 9>/dev/watchdog
read line </run/end
[ ! -e /dev/watchdog ] || { printf V >&9; exec 9>&-; }
kill $busy; wait
grep debug_locks /proc/lockdep_stats
"""


def suites(result):
    """The KUnit suites of the kernel itself: (passed, failed), by their lines in its log."""
    lines = [re.sub(r"^\[[ .\d]*\] ", "", line) for line in result.log.splitlines()]
    return ([line for line in lines if re.match(r"ok \d+ ", line)],
            [line for line in lines if re.match(r" *not ok \d+ ", line)])


def judge(result):
    # KUnit provokes some of its own before init runs.
    result.problems = [line for line in result.log.partition("Run /init ")[2].splitlines()
                       if uml.PROBLEM.search(line)]
    uml.clean(result)
    tap.ok(re.search(r"debug_locks: +1$", result.output, re.M), "and lockdep was on to the end",
           result.tail)


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
    judge(result)
    return result


def drive_devices(disk, place):
    """Use all of the sockets of the guest; the requests that were refused."""
    at = {name: os.path.join(place, "debug", name) for name in ("mconsole", "exec", "console")}
    requests = ("config con1=pts", "config con1", "remove con1", "config con3=port:0",
                "remove con3", f"config ubd3={disk}", "config ubd3", "exec mke2fs /dev/ubdd",
                "remove ubd3", "config mem=-32M", "config mem=+32M", "config mem", "stop", "go",
                "stop 1", "go", "log of the test", "proc meminfo", "sysrq m",
                "exec sh -c 'seq 20000; echo text >/proc/mconsole || :'", "version")
    refused = []
    for request in requests:
        error, text = mconsole.ask(at["mconsole"], request, 30)
        if error:
            refused.append(f"{request}: {text}")
    for size in None, (24, 80):
        result = execsocket.run(at["exec"], "cat", "/proc/self/maps", data=b"x", size=size)
        if result.status:
            refused.append(f"exec: {result}")
    client = attach.Client(at["console"], "con2")
    client.type(b"typed\n")
    client.resize(30, 90)
    client.socket.close()
    mconsole.ask(at["mconsole"], "exec echo >/run/end")
    return refused


def devices():
    place, logs, disk = uml.scratch("uml"), uml.scratch("logs"), uml.scratch("disk")
    os.mkdir(logs)
    with open(disk, "wb") as out:
        out.truncate(16 << 20)
    refused = ["not driven"]

    def drive(_):
        refused[:] = drive_devices(disk, place)
    result = uml.run(DEVICES, mem="256M", linux=LINUX, drive=drive, timeout=120,
                     arguments=["umid=debug", f"uml_dir={place}", f"tty_log_dir={logs}",
                                "con2=null", f"mconsole=notify:{uml.scratch('nobody')}"])
    tap.ok(result.status == 0 and not refused,
           "lines, disks and memory come and go, and commands run, by the sockets of the guest",
           lambda: f"{refused}\n{result.tail()}")
    judge(result)


first = works("auto")
passed, failed = suites(first)
tap.ok(len(passed) > 8 and not failed, "the KUnit suites in it pass",
       "\n".join([f"{len(passed)} suites pass", *failed]))
works("off")
devices()
tap.done()
