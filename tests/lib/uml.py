# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots ./linux (or $LINUX) for a test and judges what it left behind.

    result = uml.run("echo hello", mem="64M")
    result.status     what the guest's script exited with, None if it never got there
    result.output     the lines the script printed
    result.exit       the exit status of ./linux itself (negative: killed by that signal)
    result.problems   warnings, oopses and lockdep reports in the kernel log
    result.leaked     host processes that outlived the main one

The test process is made a child subreaper, so that whatever the instance
leaves behind becomes its child and can be seen. Only processes started here
are ever killed.
"""
import contextlib
import ctypes
import fcntl
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import termios
import time

import image
import tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINUX = os.path.abspath(os.environ.get("LINUX", os.path.join(TOP, "linux")))
# options for every kernel, before those of the test
EXTRA = os.environ.get("UML_ARGUMENTS", "").split()
OBJECTS = os.path.join(TOP, "build", "tests")

# Time limits are there for what hangs, not for what is slow: callers give what a quiet machine
# needs amply, and a busy one gets a multiple of it.
PATIENCE = 10

PROBLEM = re.compile(
    r"WARNING:|\bBUG:|\bBUG \S+ \(|pagealloc: |ODEBUG:|\bOops\b|Call Trace|Kernel panic|general "
    r"protection fault:|INFO: task .* blocked|"
    r"INFO: rcu|self-detected stall|soft lockup|possible (recursive|circular) locking|"
    r"suspicious RCU usage|inconsistent lock state|invalid wait context|DEBUG_LOCKS_WARN_ON|"
    r"UBSAN:|KASAN:|KFENCE:|Bad page|scheduling while atomic|sleeping function called")

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

_scratch = tempfile.TemporaryDirectory(prefix="uml-test-")


def scratch(name):
    """A path for a temporary file of this test, removed at its end."""
    return os.path.join(_scratch.name, name)


def require():
    """Fail the file early, in one line, when there is nothing to test."""
    if not os.access(LINUX, os.X_OK):
        tap.ok(False, f"{os.path.basename(LINUX)} is built",
               f"{LINUX} does not exist: run make first")
        tap.done()
    if not image.busybox():
        tap.skip_all("no static busybox on this machine (Debian package busybox-static)")


def build(*targets):
    """Build the programs of tests/ (build/tests/...), one builder at a time."""
    os.makedirs(OBJECTS, exist_ok=True)
    with open(os.path.join(OBJECTS, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["make", "-s", "-C", os.path.join(TOP, "tests"), *targets],
                              capture_output=True, text=True, env=clean_environment())
    if made.returncode:
        tap.ok(False, "the test programs build", made.stdout + made.stderr)
        tap.done()


def configuration(linux):
    """The .config of a kernel."""
    return subprocess.run([linux, "--showconfig"], capture_output=True, text=True).stdout


def debug_kernel():
    """The kernel that checks itself, made here if need be. Files of tests that call this run one
    after another (rules.yml)."""
    made = subprocess.run(["make", "-s", "-C", TOP, "linux-debug"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=clean_environment())
    if not tap.ok(made.returncode == 0, "make linux-debug builds it", made.stdout + made.stderr):
        tap.done()
    return os.path.join(TOP, "build", "linux-debug")


def kernel_with(*options):
    """The kernel under test if it is configured with all of @options, else the one that checks itself.
    """
    has = configuration(LINUX).splitlines()
    return LINUX if all(option in has for option in options) else debug_kernel()


def built(name):
    """Path of a built test program, such as guest/regs."""
    return os.path.join(OBJECTS, name)


def clean_environment():
    """The environment without what an outer make leaves in it."""
    return {k: v for k, v in os.environ.items()
            if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}


# Host processes

def stat_of(pid):
    """(state, parent, utime + stime in ticks, session) of a host process, or None if there is none.
    """
    try:
        with open(f"/proc/{pid}/stat") as source:
            fields = source.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[3])


def descendants(root):
    """Every living process below @root, @root excluded."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            facts = stat_of(name)
            if facts and facts[0] not in "ZX":
                parents[int(name)] = facts[1]
    found, grown = set(), {root}
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in grown and pid not in found}
        found |= grown
    return found


def adopted():
    """The living ones of the processes that instances left behind; the others are reaped.

    They are children of this process, but not in its session: each instance begins a session, and
    a process cannot enter an older one. So the commands of a test, also those of its other threads,
    are not among them.
    """
    left = []
    for pid in {int(name) for name in os.listdir("/proc") if name.isdigit()} - Instance.everyone:
        facts = stat_of(pid)
        if not facts or facts[1] != os.getpid() or facts[3] == os.getsid(0):
            continue
        if facts[0] == "Z":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        elif facts[0] != "X":
            left.append(pid)
    return left


def orphans(patience=3.0):
    """The processes that instances left behind and that still live after PATIENCE times @patience
    seconds. They are killed, and all below them."""
    deadline = time.monotonic() + patience * PATIENCE
    while (left := adopted()) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in {below for each in left for below in (each, *descendants(each))}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


class Instance:
    """A running ./linux, its console on a pipe or (terminal=True) a pty."""

    everyone = set()    # the process numbers of those that were not closed

    def __init__(self, arguments, terminal=False, wrap=(), stdin=None, linux=None, cwd=None,
                 env=None, pass_fds=()):
        """@linux: a kernel, or a shell, which gets no options of UML_ARGUMENTS; @wrap: a
        command that runs it with its arguments; @stdin: "closed", or a descriptor;
        @pass_fds: descriptors that ./linux is to inherit.
        """
        extra = [] if linux and os.path.basename(linux) in ("bash", "sh") else EXTRA
        command = [*wrap, linux or LINUX, *extra, *arguments]
        self.command = command
        self.text = ""
        self.slave = None
        closing = stdin == "closed"
        if terminal:
            self.console, self.slave = os.openpty()
            # before ./linux changes them, which takes it milliseconds
            self.settings = termios.tcgetattr(self.slave)
            streams = dict(stdin=self.slave, stdout=self.slave, stderr=self.slave)
        else:
            self.console, writer = os.pipe()
            if stdin is None or closing:
                self.silence = open("/dev/null")
                stdin = self.silence
            streams = dict(stdin=stdin, stdout=writer, stderr=writer)

        def prepare():
            # A shell without job control lets what it starts in the background ignore these.
            for sign in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(sign, signal.SIG_DFL)
            if terminal:
                fcntl.ioctl(0, 0x540E, 0)   # TIOCSCTTY: ^C reaches it as in a shell
            if closing:
                os.close(0)
        self.process = subprocess.Popen(command, start_new_session=True, preexec_fn=prepare,
                                        cwd=cwd, pass_fds=pass_fds,
                                        env=env if env is not None else os.environ, **streams)
        Instance.everyone.add(self.process.pid)
        self.pid = self.process.pid
        if not terminal:
            os.close(writer)

    def read(self, seconds):
        """Read what the console says within @seconds; False at its end."""
        ready, _, _ = select.select([self.console], [], [], max(0, seconds))
        if not ready:
            return True
        try:
            data = os.read(self.console, 65536)
        except OSError:
            data = b""
        # Without carriage returns, and without the question for the cursor's place that busybox's
        # shell asks.
        self.text += data.decode(errors="replace").replace("\r", "").replace("\x1b[6n", "")
        return bool(data)

    def expect(self, pattern, timeout, start=0):
        """Wait until @pattern is on the console at or after @start; the match, or None after
        PATIENCE times @timeout seconds."""
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            match = re.compile(pattern, re.M).search(self.text, start)
            if match:
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(min(left, 0.5)):
                return re.compile(pattern, re.M).search(self.text, start)
            if self.slave is not None and self.process.poll() is not None:
                while select.select([self.console], [], [], 0)[0] and self.read(0):
                    pass
                return re.compile(pattern, re.M).search(self.text, start)

    def type(self, text):
        """Type @text on the console; returns where the answer will start."""
        start = len(self.text)
        os.write(self.console, text.encode())
        return start

    def wait(self, timeout):
        """Read the console to its end; the exit status, or None when it was still running after
        PATIENCE times @timeout seconds."""
        deadline = time.monotonic() + timeout * PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                while select.select([self.console], [], [], 0)[0] and self.read(0):
                    pass
                return self.process.returncode
            if not self.read(0.1):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(max(0.0, deadline - time.monotonic()))
        return self.process.poll()

    def kill(self):
        """End the instance whatever its state."""
        for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if self.process.poll() is not None:
                break
            self.process.send_signal(sign)
            self.wait(patience)
        self.process.poll()

    def close(self):
        """End it and release the console; the host processes it left behind."""
        self.kill()
        os.close(self.console)
        if self.slave is not None:
            os.close(self.slave)
        self.everyone.discard(self.pid)
        return orphans()

    def cpu_ticks(self):
        """Host CPU that the main process and everything below it has used so far, in clock ticks.
        """
        return sum((stat_of(pid) or (0, 0, 0, 0))[2] for pid in {self.pid} | descendants(self.pid))

    def scheduled(self):
        """Host CPU in ms, and how often it was given some: the main process and everything below
        it, all threads."""
        total, turns = 0, 0
        for pid in {self.pid} | descendants(self.pid):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as source:
                    on_cpu, _, times = map(int, source.read().split())
                    total, turns = total + on_cpu, turns + times
        return total / 1e6, turns


class Result:
    """The result of a run: see the top of this file."""

    def __init__(self, console, exit_status, leaked):
        self.console = console
        self.exit = exit_status
        self.leaked = leaked
        body, _, log = console.partition("\nGUEST-LOG\n")
        self.log = log or console
        self.output = body.partition("GUEST-READY\n")[2]
        self.booted = "GUEST-READY\n" in console
        match = re.search(r"^GUEST-STATUS (\d+)", console, re.M)
        self.status = int(match.group(1)) if match else None
        self.problems = sorted({line for line in console.splitlines() if PROBLEM.search(line)})

    def tail(self, lines=25):
        """The end of the console before the log, for a failure's report."""
        text = self.console.partition("\nGUEST-LOG\n")[0]
        return "\n".join([f"exit {self.exit}, guest status {self.status}, leaked {self.leaked}",
                          *self.problems[:10], *text.splitlines()[-lines:]])


def run(script, mem="256M", arguments=(), timeout=120, files=None, tree=None, disk=None, drive=None,
        **how):
    """Boot with /run-test = @script and wait for the end.

    files   guest path -> host path, copied in
    tree    an image.Tree to start from
    disk    megabytes: boot from an ext4 ubd0= of that size instead of initrd=
    drive   function(instance) called once the guest is ready
    how     passed to Instance
    """
    tree = tree or image.Tree()
    tree.base(script)
    for name, path in (files or {}).items():
        tree.copy(path, name)
    if disk:
        path = scratch("guest.ext4")
        tree.write_ext4(path, disk)
        boot = [f"ubd0={path}", "root=/dev/ubda", "rw", "init=/init"]
    else:
        path = scratch("guest.cpio")
        tree.write_cpio(path)
        boot = [f"initrd={path}", "rdinit=/init"]
    return boot_and_judge([f"mem={mem}", *boot, *arguments], timeout, drive, **how)


def boot_and_judge(arguments, timeout, drive=None, **how):
    """Run an instance to its end and gather the Result."""
    instance = Instance(arguments, **how)
    try:
        if drive and instance.expect(r"^GUEST-READY$", timeout):
            drive(instance)
        instance.wait(timeout)
        timed_out = instance.process.poll() is None
    finally:
        leaked = instance.close()
    if timed_out:
        instance.text += f"\n(no end within {timeout * PATIENCE} seconds: killed)\n"
    return Result(instance.text, None if timed_out else instance.process.returncode, leaked)


class Program:
    """One program of a batch: what to call it, its shell command, and seconds that a quiet machine
    needs at most."""

    def __init__(self, name, command, seconds=60):
        self.name, self.command, self.seconds = name, command, seconds
        self.status = None      # exit status; None: the guest died under it
        self.output = ""
        self.took = 0.0         # seconds of guest time


def run_programs(programs, files=None, tree_maker=None, **how):
    """Run a batch in as few boots as it takes; a guest that dies under one goes on with the next.

    Fills in each Program; returns the Results of the boots.
    """
    left, results = list(programs), []
    while left:
        lines = ["cd /tmp"]
        for index, program in enumerate(left):
            lines += [f"echo GUEST-BEGIN {index}", "read started rest </proc/uptime",
                      f"timeout -k 5 {program.seconds * PATIENCE} sh -c "
                      f"{shlex.quote(program.command)} </dev/null 2>&1",
                      "status=$?", "read ended rest </proc/uptime", "echo",
                      f"echo GUEST-END {index} $status $started $ended"]

        def watch(instance, batch=left):
            """End a guest that makes no progress: its own timeout should have ended the program."""
            for index, program in enumerate(batch):
                if not instance.expect(rf"^GUEST-END {index} ", program.seconds + 20):
                    instance.kill()
                    return

        result = run("\n".join(lines) + "\n", files=files,
                     tree=tree_maker() if tree_maker else None,
                     timeout=90, drive=watch, **how)
        results.append(result)
        reached = 0
        for index, program in enumerate(left):
            match = re.search(rf"^GUEST-BEGIN {index}$\n(.*?)(?:^GUEST-END {index} (\d+) (\S+) "
                              r"(\S+)$|\Z)",
                              result.output, re.M | re.S)
            if not match:
                break
            reached = index + 1
            program.output = match.group(1)
            program.status = int(match.group(2)) if match.group(2) else None
            if match.group(2):
                program.took = float(match.group(4)) - float(match.group(3))
            if program.status is None:
                program.output = result.tail(60)
                break
        if not result.booted:
            for program in left:
                program.output = result.tail()
            break
        left = left[reached:] if reached else left[1:]
    return results


def report(program, result_names=True):
    """Hand the TAP lines of a guest program on, and its end."""
    seen, comments = 0, []
    for line in program.output.splitlines() if result_names else []:
        match = re.match(r"(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$", line)
        if not match:
            comments.append(line.removeprefix("# "))
            continue
        seen += 1
        if match.group(3):
            tap.skip(f"{program.name}: {match.group(2)}", match.group(3))
        else:
            tap.ok(not match.group(1), f"{program.name}: {match.group(2)}",
                   "\n".join(comments[-12:]))
        comments = []
    tap.ok(program.status == 0 and (seen or not result_names), f"{program.name} ends with status 0",
           lambda: f"status {program.status}\n" + "\n".join(program.output.splitlines()[-15:]))


def clean(results, allowed=None):
    """Report that the kernel log had no problem in it and that nothing was left behind."""
    for result in results if isinstance(results, list) else [results]:
        problems = [p for p in result.problems if not (allowed and re.search(allowed, p))]
        tap.ok(not problems, "the kernel log has no warning", "\n".join(problems[:20]))
        tap.ok(not result.leaked, "no host process is left", f"left: {result.leaked}")


sys.stdout.reconfigure(line_buffering=True)
