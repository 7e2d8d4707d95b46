#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian with systemd on a disk: login, compiler, gdb, strace, Python, job control,
apt-get, a clean shutdown.

Runs on a copy of build/debian.img (made first if it is missing; DEBIAN_IMAGE names another).
"""
import os
import re
import subprocess
import sys
import termios
import fcntl
import struct

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
ENVIRONMENT = dict(uml.clean_environment(), PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
source = os.environ.get("DEBIAN_IMAGE", os.path.join(uml.TOP, "build", "debian.img"))
if not os.path.exists(source):
    made = subprocess.run(["make", "-s", "-C", uml.TOP, "debian.img"], capture_output=True,
                          text=True, env=ENVIRONMENT)
    if made.returncode:
        tap.diag("\n".join((made.stdout + made.stderr).splitlines()[-10:]))
        tap.skip_all("no build/debian.img, and it cannot be made here")
# Next to the original: /tmp may be small.
disk = os.path.join(uml.OBJECTS, f"debian-{os.getpid()}.img")
os.makedirs(uml.OBJECTS, exist_ok=True)
subprocess.run(["cp", "--sparse=always", source, disk], check=True)

PROGRAM = r"""#include <stdio.h>
int add(int first, int second) { if (!second) *(volatile int *)8 = first; return first + second; }
int main(int count, char **words) { printf("sum %d\n", add(40, count > 1 ? 0 : 2)); return !words; }
"""


class Shell:
    """The instance's console after login."""

    def __init__(self, instance):
        self.instance = instance
        self.number = 0
        self.last = ""

    def run(self, command, timeout=60):
        """Exit status of @command; .last is what it printed."""
        self.number += 1
        mark = f"DONE-{self.number}"
        start = self.instance.type(f"{command}\necho {mark}-$?\n")
        match = self.instance.expect(rf"^{mark}-(\d+)$", timeout, start)
        self.last = self.instance.text[start:match.start() if match else None]
        return int(match.group(1)) if match else None

    def check(self, command, pattern, sentence, timeout=60):
        """Report that @command succeeds and prints @pattern."""
        status = self.run(command, timeout)
        tap.ok(status == 0 and re.search(pattern, self.last, re.M), sentence,
               lambda: f"status {status}\n" + "\n".join(self.last.splitlines()[-25:]))


def test(instance):
    fcntl.ioctl(instance.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    prompt = instance.expect(r"login: $", 180)
    tap.ok(prompt, "systemd boots to a login prompt on the console", lambda: instance.text[-3000:])
    if not prompt:
        return
    start = instance.type("root\n")
    if instance.expect(r"[Pp]assword: $|# $", 30, start) and "assword" in instance.text[start:]:
        instance.type("\n")
    up = instance.expect(r"# $", 30, start)
    tap.ok(up, "root logs in", lambda: instance.text[start:])
    if not up:
        return
    shell = Shell(instance)
    shell.run("unset PROMPT_COMMAND; PS1='# '; bind 'set enable-bracketed-paste off'; export "
              "TERM=dumb PAGER=cat; cd /root")
    shell.check("systemctl is-system-running --wait; systemctl --failed --no-legend --plain | tee "
                "/tmp/failed; test ! -s /tmp/failed",
                r"running", "no unit failed", 120)
    shell.run("cat > sum.c <<'END'\n" + PROGRAM + "END")
    shell.check("gcc -g -O0 -o sum sum.c && ./sum", r"^sum 42$", "a C program is compiled and runs",
                120)
    shell.check("gdb -q -batch -ex 'break add' -ex run -ex bt -ex 'print first + second' -ex "
                "finish -ex continue ./sum",
                r"Breakpoint 1, add \(first=40, second=2\)[\s\S]*#1 .* main[\s\S]*\$1 = "
                r"42[\s\S]*sum 42[\s\S]*exited normally",
                "gdb stops at a breakpoint, shows the stack and goes on", 120)
    shell.check("gdb -q -batch -ex start -ex next -ex 'info registers rip' -ex stepi -ex stepi -ex "
                "kill ./sum", r"^rip +0x",
                "gdb steps", 120)
    shell.check("echo core > /proc/sys/kernel/core_pattern; (ulimit -c unlimited; ./sum crash); "
                "gdb -q -batch -ex bt -ex 'info registers rip' ./sum core",
                r"terminated with signal SIGSEGV[\s\S]*#0 .*add \(first=40, second=0\)[\s\S]*#1 .* "
                r"main[\s\S]*rip +0x[0-9a-f]+ .*<add\+",
                "gdb reads the core that a crash left", 120)
    shell.check("strace -f -o trace ./sum; grep -c . trace; grep 'write(1, \"sum 42' trace",
                r'write\(1, "sum 42\\n", 7\) += 7',
                "strace shows its system calls", 60)
    shell.check("python3 -c 'import decimal, threading; print(sum(decimal.Decimal(i) for i in "
                "range(10)))'", r"^45$",
                "Python runs")
    # The limit of each test is a 40th of --timeout, and 30 s without it: 10,000 signals, each sent
    # after a sleep, take longer where other programs have the host's processors.
    shell.check("python3 -m test --timeout 12000 -q test_struct test_json test_signal test_mmap",
                r"Result: SUCCESS|Tests result: SUCCESS",
                "Python's own tests of struct, json, signal and mmap pass", 600)

    # Job control
    # A program that speaks once it is in the foreground, and leaves signals alone. A shell that
    # did so would catch a Ctrl-C and lose it in exec.
    shell.run("echo started > nap")
    start = instance.type("tail -f nap\n")
    instance.expect("^started$", 10, start)
    start = instance.type("\x1a")
    tap.ok(instance.expect(r"\[1\]\+ +Stopped +tail -f nap", 10, start),
           "Ctrl-Z stops the foreground job",
           lambda: instance.text[start:])
    shell.check("bg; jobs", r"\[1\]\+ +Running +tail -f nap &",
                "bg goes on with it in the background")
    shell.check("kill %1; wait %1; echo ended-$?", r"^ended-143$", "it is killed by its job number")
    start = instance.type("tail -f nap\n")
    instance.expect("^started$", 10, start)
    start = instance.type("\x03")
    instance.expect("# $", 10, start)
    shell.check("echo $?", r"^130$", "Ctrl-C interrupts the foreground job")

    shell.check("apt-get -q update", r"Reading package lists",
                "apt-get update reads the local folder", 120)
    shell.check("apt-get -q -y install hello </dev/null && hello", r"^Hello, world!$",
                "apt-get installs a package from it", 180)
    shell.run("dmesg")
    problems = [line for line in shell.last.splitlines() if uml.PROBLEM.search(line)]
    tap.ok(not problems, "the kernel log has no warning", "\n".join(problems))
    start = instance.type("systemctl poweroff\n")
    status = instance.wait(120)
    tap.equal(status, 0, "it shuts down with status 0", lambda: instance.text[start:][-2000:])


machine = uml.Instance(["mem=1G", f"ubd0={disk}", "root=/dev/ubda", "rw"], terminal=True)
try:
    test(machine)
finally:
    left = machine.close()
tap.ok(not left, "no process is left", f"left: {left}")
check = subprocess.run(["e2fsck", "-fn", disk], capture_output=True, text=True, env=ENVIRONMENT)
tap.equal(check.returncode, 0, "e2fsck finds the image clean", check.stdout[-2000:])
os.unlink(disk)
tap.done()
