#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that give little: no privileges, a container-like sandbox, refused calls, closed streams,
company; and no traces."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import cgroup
import tap
import uml

uml.require()
uml.build()

WORK = """
set -e
i=0; while [ $i -lt 30 ]; do sh -c 'exit 0'; i=$((i+1)); done
dd if=/dev/zero of=/tmp/file bs=64k count=64 2>/dev/null
[ $(wc -c </tmp/file) = 4194304 ]
(exit 3) || [ $? = 3 ]
exit 11
"""


def boots(sentence, mem="64M", **how):
    """The guest does some work and ends with the status that says so."""
    result = uml.run(WORK, mem=mem, **how)
    tap.ok(result.status == 11 and result.exit == 0 and not result.problems, sentence, result.tail)
    tap.ok(not result.leaked, "and leaves nothing", f"left: {result.leaked}")
    return result


START_LIMIT = 10     # seconds that ./linux waits for a stub process that is alive and does nothing

# What other users may read and run, wherever the checkout lies.
public = uml.scratch("public")
os.mkdir(public)
kernel = shutil.copy(uml.LINUX, os.path.join(public, "linux"))
deny = shutil.copy(uml.built("host/deny"), os.path.join(public, "deny"))
for path in (os.path.dirname(public), public):
    os.chmod(path, 0o755)

if os.getuid() == 0:
    boots("runs as an unprivileged user", linux=kernel, cwd="/",
          env=dict(os.environ, HOME="/nonexistent"),
          wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
else:
    boots("runs as an unprivileged user")

namespaces = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
if subprocess.run([*namespaces, "true"], capture_output=True).returncode:
    tap.skip("runs in a sandbox", "this host gives no user namespaces")
else:
    # Nothing can be written but stdout: the root is read-only, and so is every place for temporary
    # files. What is needed and lies in one of those is opened before.
    tree = image.Tree()
    tree.base(WORK)
    archive = uml.scratch("sandbox.cpio")
    tree.write_cpio(archive)
    bare = (f'exec 3<"$0" 4<{archive}; '
            "for d in /dev/shm /tmp /var/tmp /run; do [ -d $d ] && mount -t tmpfs -o ro,size=1k "
            "none $d; done; "
            "mount --bind / /mnt 2>/dev/null; mount -o remount,bind,ro / 2>/dev/null; mount -t "
            "proc proc /proc; "
            'exec /proc/self/fd/3 "$@"')
    result = uml.boot_and_judge(["mem=64M", "initrd=/proc/self/fd/4", "rdinit=/init"], 60,
                                wrap=[*namespaces, "sh", "-c", bare])
    tap.ok(result.status == 11 and not result.problems,
           "runs in a sandbox: user, mount and pid namespaces, read-only root, nothing in /dev/shm "
           "or /tmp", result.tail)
    tap.ok(not result.leaked, "and leaves nothing", f"left: {result.leaked}")

boots("runs under nice", wrap=["nice", "-n", "15"])
boots("runs with stdin closed", stdin="closed")
boots("runs where memfd_create is refused", wrap=[deny, "memfd_create", "--"])
result = boots("runs where seccomp is refused", wrap=[deny, "seccomp", "--"])
tap.ok(re.search(r"engine: ptrace \(.*refuses seccomp", result.console),
       "and says that it took the other engine, and why", result.tail)
for error in ("EPERM", "ENOSYS"):
    began = time.monotonic()
    result = uml.run("exit 11", mem="64M", wrap=[deny, "-e", error, "seccomp", "--"])
    took = time.monotonic() - began
    tap.ok(result.status == 11 and took < START_LIMIT,
           f"seccomp refused with {error}: no wait outlives the stub process that it is for",
           f"{took:.1f} s\n{result.tail()}")
boots("runs where ptrace is refused", wrap=[deny, "ptrace", "--"])
result = boots("runs where many other calls are refused",
               wrap=[deny, "close_range", "getrandom", "io_uring_setup", "madvise",
                     "sched_setaffinity", "userfaultfd", "--"])
tap.ok("no huge page for guest RAM" in result.console, "and says what that costs", result.tail)
boots("runs the older way with nosysemu", arguments=["seccomp=off", "nosysemu"])
boots("runs with a small limit of open files", wrap=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'])
boots("runs with a small stack limit", wrap=["sh", "-c", 'ulimit -s 256; exec "$0" "$@"'])

if subprocess.run(["setarch", "-Z", "true"], capture_output=True).returncode:
    tap.skip("runs with a page at address 0", "no setarch -Z here")
else:
    for option in ("seccomp=on", "seccomp=off"):
        boots(f"{option}: runs where the caller wants a page at address 0, which the host seals",
              arguments=[option], wrap=["setarch", "-Z"])
        boots(f"{option}: runs where what can be read can be executed", arguments=[option],
              wrap=["setarch", "-X"])
boots("runs with umask 077", wrap=["sh", "-c", 'umask 077; exec "$0" "$@"'])
boots("runs in a folder that is no more",
      wrap=["sh", "-c", 'cd "$(mktemp -d)" && rmdir "$PWD"; exec "$0" "$@"'])
boots("runs in another language", env=dict(os.environ, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8"))


def refuses(sentence, about, wrap, **how):
    """One line that says why and what to do, status 1."""
    ended = uml.boot_and_judge(["mem=64M"], 30, wrap=wrap, **how)
    lines = [line for line in ended.console.splitlines() if line.strip()]
    tap.ok(ended.exit == 1 and len(lines) == 1 and about in lines[0], sentence,
           f"status {ended.exit}\n" + "\n".join(lines[-10:]))


for call, named in (("execveat", "execveat"), ("fcntl", "fcntl"), ("clone", "clone"),
                    ("clone3", "a thread")):
    for option in ("seccomp=auto", "seccomp=off"):
        ended = uml.boot_and_judge(["mem=64M", option], 30, wrap=[deny, call, "--"])
        lines = [line for line in ended.console.splitlines() if line.startswith("linux: ")]
        tap.ok(ended.exit == 1 and len(lines) == 1 and named in lines[0] and "allow" in lines[0],
               f"{option}: a host without {call} is one line that names it",
               f"status {ended.exit}\n" + "\n".join(lines))


def limited(limit):
    return ["sh", "-c", f'ulimit {limit}; exec "$0" "$@"']


refuses("too small a limit of address space is one line", "ulimit -v", limited("-v 60000"))
refuses("too small a limit of file sizes is one line", "ulimit -f", limited("-f 1000"))
refuses("a host without timers is one line", "timer", [deny, "timer_create", "--"])
if os.getuid() == 0:
    nobody = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]
    refuses("no right to have another process is one line", "ulimit -u",
            [*nobody, "prlimit", "--nproc=1"], linux=kernel, cwd="/")

# No more processes: by the limit of a user, and as a sandbox refuses them
def few(sentence, wrap, **how):
    program = uml.Program(sentence, "/test/few_processes", 60)
    results = uml.run_programs([program],
                               files={"test/few_processes": uml.built("guest/few_processes")},
                               wrap=wrap, mem="128M", **how)
    uml.report(program)
    for result in results:
        told = [line for line in result.console.splitlines()
                if re.match(r"\[.*host gives no", line)]
        tap.ok(len(set(told)) == 1, f"{sentence}: the kernel log has one line about it",
               "\n".join(told) or result.tail())
        tap.ok(not re.search(r"\]: killed|stub process was killed", result.console),
               f"{sentence}: no process of the guest is killed", result.tail)
    uml.clean(results)


for option in ("seccomp=auto", "seccomp=off"):
    if os.getuid() == 0:
        few(f"{option}: 30 processes for this user",
            ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups",
                                                     "prlimit", "--nproc=30"], linux=kernel,
            cwd="/", arguments=[option])
    else:
        tap.skip(f"{option}: 30 processes for this user",
                 "only root can become a user who has no other processes")
    sentence = f"{option}: pids.max of a control group"
    with cgroup.limited("pids", {"pids.max": "40"}) as wrap:
        if wrap:
            few(sentence, wrap, arguments=[option])
        else:
            tap.skip(sentence, "may not make a control group with a limit of processes here")
    few(f"{option}: clone refused from the 40th on",
        [deny, "-e", "EAGAIN", "-f", "40", "clone", "--"], arguments=[option])

# spec=: what the host lets a process choose is chosen for ./linux and its stub processes; what it
# does not is a line each
def speculation(instance):
    lines = {}
    for pid in [instance.pid, *uml.descendants(instance.pid)]:
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/status",
                                                          encoding="utf-8") as status:
            lines[pid] = re.findall(r"^Speculation\S+:\s*(.*)$", status.read(), re.M)
    return lines


for option in ("seccomp=auto", "seccomp=off"):
    states = {}
    result = uml.run("sleep 100 & echo MANY; sleep 100", mem="64M",
                     arguments=[option, "spec=mitigate"],
                     drive=lambda instance: (instance.expect("^MANY$", 30),
                                             states.update(speculation(instance)), instance.kill()))
    complaints = len(re.findall("^linux: spec=mitigate: the host does not let", result.console,
                                re.M))
    open_ways = {sum(state in ("thread vulnerable", "vulnerable", "conditional enabled",
                               "always enabled") for state in lines)
                 for lines in states.values()}
    sentence = f"{option}: with spec=mitigate nothing is open in any process that is not said to be"
    if states and not any(states.values()):
        tap.skip(sentence, "the host does not tell it in /proc/<pid>/status")
        continue
    tap.ok(len(states) > 1 and open_ways == {complaints}, sentence,
           lambda: f"{states}\n{result.tail()}")

# Twenty at once
tree = image.Tree()
tree.base(WORK)
archive = uml.scratch("many.cpio")
tree.write_cpio(archive)
many = [uml.Instance(["mem=64M", "initrd=" + archive, "rdinit=/init"]) for _ in range(20)]
deadline = time.monotonic() + 180
for instance in many:
    instance.wait(max(1, deadline - time.monotonic()))
bad = [instance for instance in many if "GUEST-STATUS 11" not in instance.text
       or instance.process.returncode != 0]
for instance in many:
    instance.kill()
tap.ok(not bad, "20 instances at once all do their work",
       "\n".join(f"status {instance.process.returncode}\n{instance.text[-1500:]}"
                 for instance in bad))
left = uml.orphans()
for instance in many:
    instance.close()
tap.ok(not left, "and leave nothing", f"left: {left}")


# Violent death with many processes in the guest
BUSY = """
for i in 1 2 3 4 5 6 7 8; do sh -c 'while :; do sh -c :; done' & done
for i in 1 2 3 4; do sh -c 'while :; do :; done' & done
sleep 1; echo GUEST-BUSY
wait
"""
for name in ("KILL", "TERM", "SEGV"):
    tree = image.Tree()
    tree.base(BUSY)
    archive = uml.scratch("busy.cpio")
    tree.write_cpio(archive)
    instance = uml.Instance(["mem=64M", "initrd=" + archive, "rdinit=/init"])
    tap.ok(instance.expect("^GUEST-BUSY$", 60), f"a busy guest is up to be ended by SIG{name}",
           instance.text[-1500:])
    below = uml.descendants(instance.pid)
    os.kill(instance.pid, getattr(signal, "SIG" + name))
    tap.ok(instance.wait(10) is not None, f"SIG{name} ends it")
    left = instance.close()
    alive = [pid for pid in below if (uml.stat_of(pid) or "Z")[0] not in "ZX"]
    tap.ok(below and not left and not alive, f"none of its host processes outlives SIG{name}",
           f"{len(below)} before, left {left}, alive {alive}")


# An end may come in the middle of anything. Many processes at once, so that stub processes are
# made and ended; a disk with requests.
STORM = """
while :; do dd if=/dev/zero of=/dev/ubda bs=4k count=64 conv=fsync 2>/dev/null; done &
while :; do for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0 & done; wait; done &
while :; do sh -c :; done &
echo GUEST-BUSY
wait
"""
tree = image.Tree()
tree.base(STORM)
archive = uml.scratch("storm.cpio")
tree.write_cpio(archive)
disk = uml.scratch("storm.disk")
with open(disk, "wb") as file:
    file.truncate(1 << 20)
for option in ("seccomp=auto", "seccomp=off"):
    ended = []
    for number in range(int(os.environ.get("TERM_RUNS", 12))):
        instance = uml.Instance(["mem=64M", option, f"ubd0={disk}", "initrd=" + archive,
                                 "rdinit=/init"])
        up = instance.expect("^GUEST-BUSY$", 60)
        instance.read(0)
        time.sleep(number * 0.0137 % 0.1)      # the moment is to be another one each time
        sign = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3]
        instance.process.send_signal(sign)
        status = instance.wait(2) if up else "not up"
        ended.append((128 + sign, status))
        instance.close()
    tap.ok(all(wanted == status for wanted, status in ended),
           f"{option}: SIGTERM, SIGINT and SIGHUP end a guest in a storm of forks and writes, at "
           "whatever moment", f"{ended}")

# Whom a host without memory ends: to end a stub process frees no guest RAM.
for option in ("seccomp=auto", "seccomp=off"):
    def scores(instance):
        """Of ./linux and of its stub processes."""
        read = lambda pid: int(open(f"/proc/{pid}/oom_score_adj", encoding="ascii").read())
        found.append((read(instance.pid), {read(pid) for pid in uml.descendants(instance.pid)}))
        instance.process.send_signal(signal.SIGTERM)
    found = []
    uml.run("sleep 1000", mem="64M", arguments=[option], drive=scores)
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        mine = int(file.read())
    if mine == 1000:
        tap.skip(f"{option}: ./linux itself is ended before its stub processes",
                 "this test is already what is ended first")
    else:
        tap.ok(found and found[0][0] > mine and found[0][1] == {mine},
               f"{option}: a host without memory ends ./linux itself before its stub processes",
               f"{found}, this test {mine}")


def kill_stubs(instance):
    """All of them, again and again: a program that waits in the guest's kernel has no need of its
    stub, and others are being made."""
    deadline = time.monotonic() + 60
    while instance.process.poll() is None and time.monotonic() < deadline:
        for pid in uml.descendants(instance.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        instance.read(0.1)


for option in ("seccomp=off", "seccomp=auto"):
    result = uml.run("while :; do sleep 0.1; done", mem="64M", arguments=[option], drive=kill_stubs,
                     timeout=20)
    tap.ok("Attempted to kill init" in result.console and result.exit not in (None, 0)
           and not result.leaked,
           f"{option}: a host that kills every stub process ends the guest with a panic, not a loop", result.tail)
tap.done()
