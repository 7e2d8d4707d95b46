#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile guest programs inside the seccomp engine's stub (docs/security/model.md, G1 to G6), and
what the host sees of it.

The stub's place is given with stub_base=, since a guest program cannot know it. HOSTILE_SECONDS
makes the random attacks longer.
"""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
uml.build()
seconds = int(os.environ.get("HOSTILE_SECONDS", "0"))
BASE = "7ff000000000"
FIRST = 0x7fffffffffff - (64 << 30)     # stubs lie above

first = uml.run("true", mem="64M", arguments=["seccomp=on"])
lacking = [line for line in first.console.splitlines() if "seccomp=on:" in line]
if lacking:
    tap.skip_all(lacking[0])


def refused(value, *more):
    """A place that cannot be is one line and status 1."""
    ended = uml.boot_and_judge(["mem=64M", "stub_base=" + value, *more], 30)
    lines = [line for line in ended.console.splitlines() if line.strip()]
    tap.ok(ended.exit == 1 and len(lines) == 1 and "stub_base" in lines[0],
           f"stub_base={value} {' '.join(more)} is refused in one line",
           f"status {ended.exit}\n" + "\n".join(lines[-5:]))


for place in ("", "zz", "7ff000000001", "1000", "7fffffffe000", "-1000"):
    refused(place, "seccomp=on")
refused(BASE, "seccomp=off")


# What the host shows of stub processes

def read(path):
    """A file of /proc, or nothing when the process is gone."""
    try:
        with open(path) as source:
            return source.read()
    except OSError:
        return ""


def stubs(instance):
    """Process ids of the stub processes, of those that are past their beginning."""
    found = []
    for pid in uml.descendants(instance.pid):
        if "Seccomp:\t2" in read(f"/proc/{pid}/status"):
            found.append(pid)
    return found


def links(pid, tid):
    """What the descriptors of a thread are."""
    folder = f"/proc/{pid}/task/{tid}/fd"
    try:
        return sorted(os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))
    except OSError:
        return []


def areas(pid):
    """(address, rights, name) of each mapping but the host's own vsyscall page."""
    pattern = re.compile(r"^([0-9a-f]+)-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)$", re.M)
    return [(int(at, 16), rights, name)
            for at, rights, name in pattern.findall(read(f"/proc/{pid}/maps"))
            if name != "[vsyscall]"]


OURS = re.compile(r"guest-ram|linux-control|linux-stub")


def is_sound(at, rights, name):
    """A mapping that a stub process may have."""
    if at < FIRST:
        return "guest-ram" in name
    return bool(OURS.search(name)) and rights in ("r-xp", "r--s", "rw-s")


def drive_random(instance):
    """Look at the stub processes of a guest at rest."""
    instance.expect("^READY$", 30)
    bases, wrong = {}, []
    for pid in stubs(instance):
        threads = os.listdir(f"/proc/{pid}/task")
        ours = [area for area in areas(pid) if area[0] >= FIRST]
        bases[pid] = ours[0][0] if ours else None
        if [area[1] for area in ours] != ["r-xp", "r--s", "rw-s"]:
            wrong.append(("pages", pid, ours))
        wrong += [("mapping", pid, area) for area in areas(pid) if not is_sound(*area)]
        for tid in threads:
            fds = links(pid, tid)
            wanted = 0 if int(tid) == pid else 2
            if len(fds) != wanted or wanted and not ("guest-ram" in fds[0] + fds[1]
                                                     and "eventfd" in fds[0] + fds[1]):
                wrong.append(("descriptors", pid, tid, fds))
            status = read(f"/proc/{pid}/task/{tid}/status")
            if "Seccomp:\t2" not in status or "NoNewPrivs:\t1" not in status:
                wrong.append(("filter", pid, tid))
        if len(threads) != 2:
            wrong.append(("threads", pid, threads))
    seen["bases"], seen["wrong"] = bases, wrong


seen = {"bases": {}, "wrong": ["the guest did not come to rest"]}
result = uml.run("sleep 1000 & sleep 1001 & sleep 1002 & sleep 0.5; echo READY; sleep 2; kill "
                 "$(jobs -p); exit 0", mem="64M",
                 arguments=["seccomp=on"], drive=drive_random)
bases = seen["bases"]
tap.ok(len(bases) >= 4 and len(set(bases.values())) == len(bases),
       "each stub process has its pages at a place of its own", str(bases))
tap.ok(bases and not seen["wrong"],
       "guest-running threads have no descriptors, mappers two, both a filter, and nothing but RAM "
       "is mapped",
       lambda: "\n".join(map(str, seen["wrong"][:10])))
uml.clean(result)


# Attacks from within

def high_pid_sleeper():
    """A process that the guest tries to kill, with a number that no guest process has."""
    while True:
        process = subprocess.Popen(["sleep", "1000"])
        if process.pid > 2000:
            return process
        process.kill()
        process.wait()


folder = uml.scratch("host")
os.mkdir(folder)
marker = os.path.join(folder, "marker")
with open(marker, "w") as target:
    target.write("untouched")
victim = high_pid_sleeper()
odd, restless = [], []
LIMIT = 120 + 2 * seconds
POOL = 32               # stub processes that wait to be used again, at most


def reading(pids):
    """CPU time of guest-running threads, in ns, and how many want more."""
    return (sum(int((read(f"/proc/{pid}/schedstat") or "0").split()[0]) for pid in pids),
            sum((uml.stat_of(pid) or "-")[0] == "R" for pid in pids))


def watch_rest(name, instance):
    """After a program: what it left on the host comes to rest. Then nothing is runnable, and two
    readings of CPU time are equal."""
    deadline = time.monotonic() + 3 * uml.PATIENCE
    before, left = None, stubs(instance)
    while (ran := reading(left)) != before or ran[1]:
        if time.monotonic() > deadline:
            restless.append(f"{name}: {len(left)} stub processes, of which {ran[1]} run on")
            return
        before = ran
        time.sleep(0.1)
        left = stubs(instance)
    if len(left) > POOL + 10:
        restless.append(f"{name}: {len(left)} stub processes are left")


def watch(name):
    """While a program runs: no stub process gets a mapping or a descriptor it should not have."""
    def drive(instance):
        deadline = time.monotonic() + LIMIT * uml.PATIENCE
        while (not instance.expect(r"^GUEST-END ", 0.05) and instance.process.poll() is None
               and time.monotonic() < deadline):
            for pid in stubs(instance):
                if os.path.exists(f"/proc/{pid}/maps") and links(pid, pid):
                    odd.append((name, pid, links(pid, pid)))
                if "# areas" in instance.text:
                    break
                odd.extend((name, pid, area) for area in areas(pid) if not is_sound(*area))
        watch_rest(name, instance)
        instance.type("go\n")
    return drive


for name in ("hostile_calls", "hostile", "hostile_frames"):
    result = uml.run(f"echo GUEST-BEGIN; /test/{name} {BASE} {marker} {victim.pid} {seconds}; echo "
                     "GUEST-END $?; read go; exit 0",
                     mem="256M", files={f"test/{name}": uml.built(f"guest/{name}")}, timeout=LIMIT,
                     terminal=True,
                     arguments=["seccomp=on", "stub_base=" + BASE], drive=watch(name))
    program = uml.Program(name, "")
    ended = re.search(r"^GUEST-END (\d+)", result.output, re.M)
    program.output, program.status = result.output, int(ended.group(1)) if ended else None
    uml.report(program)
    uml.clean(result)

tap.ok(not odd, "no stub process ever had a descriptor or a mapping that the kernel did not want",
       "\n".join(map(str, odd[:10])))
tap.ok(not restless, "no stub process goes on running when its guest process has ended",
       "\n".join(restless))
tap.ok(victim.poll() is None, "the host's process that they tried to kill lives")
victim.kill()
victim.wait()
with open(marker) as source:
    tap.ok(source.read() == "untouched" and os.listdir(folder) == ["marker"],
           "the host's file that they tried to change is as it was")
tap.done()
