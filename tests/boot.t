#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting and leaving: the embedded shell, the terminal afterwards, options, clear errors, every
way to end."""
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

PROMPT = r"^.*[#$] $"
BOOT = 30   # seconds until a prompt at the latest


def window(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Session:
    """./linux with its embedded initramfs on a pty, up to the prompt."""

    def __init__(self, *arguments):
        self.it = uml.Instance(arguments, terminal=True)
        window(self.it.slave, 33, 99)
        self.up = self.it.expect(PROMPT, BOOT) is not None

    def answers(self, command, pattern, timeout=10):
        start = self.it.type(command + "\n")
        return self.it.expect(pattern, timeout, start)

    def terminal_is_back(self):
        """Whether the terminal is as it was, within a moment of the main process's death."""
        deadline = time.monotonic() + 2 * uml.PATIENCE
        while termios.tcgetattr(self.it.slave) != self.it.settings:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)    # its output has ended, and a terminal does not report its settings
        return True

    def tail(self):
        return "\n".join(self.it.text.splitlines()[-15:])


def shell():
    session = Session()
    tap.ok(session.up, "./linux without arguments boots to a shell", session.tail)
    if not session.up:
        session.it.close()
        return
    tap.ok(re.search(r"[Tt]o leave.*poweroff.*Ctrl-D", session.it.text), "it prints how to leave",
           session.tail)
    tap.ok(session.answers("echo hello-$((6*7))", r"^hello-42$"), "the shell runs commands",
           session.tail)
    tap.ok(session.answers("ls -d /proc/self /sys/kernel /dev/null",
                           r"^/dev/null +/proc/self +/sys/kernel|^/sys/kernel"),
           "/proc, /sys and /dev are there", session.tail)
    tap.ok(session.answers("stty size", r"^33 99$"), "the console has the window's size",
           session.tail)
    window(session.it.slave, 20, 70)
    os.kill(session.it.pid, signal.SIGWINCH)
    tap.ok(session.answers("stty size", r"^20 70$"),
           "a change of the window's size reaches the guest", session.tail)
    # A program that speaks once it is in the foreground. "echo started; sleep 1000" would do so
    # before: the shell itself would get the ^C.
    session.answers("tail -f /etc/passwd", r"^root:x:0:0:")
    start = session.it.type("\x03")
    session.it.expect(PROMPT, 5, start)
    tap.ok(session.answers("echo after-$((1+1))", r"^after-2$"),
           "Ctrl-C interrupts a program in the guest, not the instance",
           session.tail)
    start = session.it.type("poweroff\n")
    tap.equal(session.it.wait(20), 0, "poweroff ends it with status 0", session.tail)
    tap.ok("umount:" not in session.it.text[start:],
           "and does not complain of file systems that cannot be unmounted", session.tail)
    tap.ok(session.terminal_is_back(), "and the terminal is as it was")
    tap.ok(not session.it.close(), "and no process is left")

    session = Session()
    session.it.type("\x04")
    tap.equal(session.it.wait(20), 0, "Ctrl-D ends it with status 0", session.tail)
    tap.ok(session.terminal_is_back(), "and the terminal is as it was")
    tap.ok(not session.it.close(), "and no process is left")


def input_ends():
    """The end of the input is Ctrl-D: for the shell, and for what runs in it. No input at all is
    not its end."""
    for text, pattern in (("", ""), ("echo $((6 * 7))\n", "^42$"),
                          ("cat; cat; echo $((6 * 7))\nthis", r"^this\n+42$"),
                          ("echo $((6 * 7))", "^42$")):
        told = uml.scratch("input")
        with open(told, "w") as out:
            out.write(text)
        with open(told) as stdin:
            result = uml.boot_and_judge(["mem=64M"], BOOT, stdin=stdin)
        tap.ok(result.exit == 0 and re.search(pattern, result.console, re.M),
               f"with the input {text!r} ./linux does that and leaves with status 0", result.tail)
    session = uml.Instance(["mem=64M"], stdin="closed")
    tap.ok(session.expect(PROMPT, BOOT), "with stdin closed there is a prompt",
           lambda: session.text[-500:])
    tap.ok(session.wait(0.1) is None, "and it stays", lambda: session.text[-500:])
    tap.ok(not session.close(), "and goes when told to")


def violent_ends():
    session = Session()
    session.it.type("echo c > /proc/sysrq-trigger\n")
    status = session.it.wait(20)
    tap.ok(status not in (0, None), "a panic ends it with a non-zero status",
           f"status {status}\n{session.tail()}")
    tap.ok("Kernel panic" in session.it.text and "sysrq triggered crash" in session.it.text,
           "the panic names its cause",
           session.tail)
    tap.ok(re.search(r"sysrq_handle_crash|__handle_sysrq|write_sysrq_trigger", session.it.text),
           "and its stack trace names functions", session.tail)
    tap.ok(session.terminal_is_back(), "the terminal is as it was after a panic")
    tap.ok(not session.it.close(), "and no process is left")
    for name in ("TERM", "INT", "HUP", "KILL"):
        session = Session()
        if not tap.ok(session.up, f"boots to be ended by SIG{name}", session.tail):
            session.it.close()
            continue
        os.kill(session.it.pid, getattr(signal, "SIG" + name))
        status = session.it.wait(10)
        tap.ok(status is not None, f"SIG{name} to the main process ends the instance", session.tail)
        tap.ok(session.terminal_is_back(), f"the terminal is as it was after SIG{name}")
        tap.ok(not session.it.close(), f"no process is left after SIG{name}")


def options():
    for option, pattern in (("--help", r"mem="), ("--version", r"^\S*\d+\.\d+"),
                            ("--showconfig", r"^CONFIG_UML=y$")):
        shown = subprocess.run([uml.LINUX, option], capture_output=True, text=True, timeout=20,
                               stdin=subprocess.DEVNULL)
        tap.ok(shown.returncode == 0 and re.search(pattern, shown.stdout, re.M),
               f"{option} prints and ends with status 0",
               f"status {shown.returncode}\n{shown.stdout[:300]}{shown.stderr[:300]}")


def refuses(arguments, about, sentence, wrap=()):
    """One line that names what is wrong, status 1, no stack trace, nothing of the kernel's log."""
    result = uml.boot_and_judge(arguments, 20, wrap=wrap)
    lines = [line for line in result.console.splitlines() if line.strip()]
    tap.ok(result.exit == 1 and len(lines) == 1 and re.search(about, lines[0]), sentence,
           f"status {result.exit}, {len(lines)} lines:\n" + "\n".join(lines[-12:]))
    tap.ok(not result.leaked, "and nothing is left")


def long_paths():
    """A message about a path of 1,900 characters is whole: it ends with what to do."""
    deep = uml.scratch("deep")
    while len(deep) < 1800:
        deep = os.path.join(deep, "d" * 99)
    os.makedirs(deep)
    disk = os.path.join(deep, "disk")
    with open(disk, "wb") as out:
        out.truncate(1 << 20)
    none = os.path.join(deep, "none")
    cow = uml.scratch("long.cow")
    for arguments, end in (([f"ubd0={none}"], "` makes an empty disk$"),
                           ([f"ubd0={cow},{none}"], "No such file or directory$"),
                           ([f"ubd0={disk}", f"ubd1={disk}"], "is another disk already.*=.*disk$"),
                           ([f"hostfs={none}"], "give a directory$"),
                           ([f"initrd={none}"], "No such file or directory$"),
                           ([f"ubd0x={none}"], "there are r, s, d, c, t, o and m$")):
        refuses(arguments, end, f"{arguments[-1].split('=')[0]}= with a long path: a whole line")


def errors():
    image = uml.scratch("disk")
    with open(image, "wb") as out:
        out.truncate(1 << 20)
    refuses([f"ubd0Q={image}"], "ubd", "an unknown ubd option is one line, status 1")
    refuses(["ubd99=" + image], "ubd", "a ubd number that does not exist is one line, status 1")
    refuses(["ubd0=/nowhere/image"], "/nowhere/image", "a missing image is one line, status 1")
    refuses(["initrd=/nowhere/initrd"], "/nowhere/initrd", "a missing initrd is one line, status 1")
    refuses(["mem=1M"], "mem", "too little memory is one line, status 1")
    refuses(["seccomp=maybe"], "seccomp=maybe",
            "an engine that does not exist is one line, status 1")
    refuses(["mem=plenty"], "mem", "a mem= that is no size is one line, status 1")
    refuses(["con0=bogus:1"], "con0", "a console channel that does not exist is one line, status 1")
    refuses(["--bogus"], "--bogus",
            "an option with dashes that does not exist is one line, status 1")
    for option in ("eth0=tuntap,tap0", "vec0:transport=tap,ifname=tap0", "time-travel",
                   "ncpus=8", "mode=other"):
        refuses([option], re.split("[=:]", option)[0],
                f"{option}, of what is not there yet, is one line, status 1")
    deny = uml.built("host/deny")
    refuses(["seccomp=off"], "ptrace", "a host without ptrace is one line, status 1",
            wrap=[deny, "ptrace", "--"])
    refuses([], "seccomp.*ptrace", "a host without ptrace and seccomp is one line, status 1",
            wrap=[deny, "ptrace", "seccomp", "--"])
    refuses(["seccomp=on"], "use seccomp=auto or off",
            "with seccomp=on, a host without seccomp is one line, status 1",
            wrap=[deny, "seccomp", "--"])


def wrong_values():
    """A value that means nothing is one line and status 1, never a silent default."""
    raw = uml.scratch("raw")
    with open(raw, "wb") as out:
        out.truncate(1 << 20)
    loop, folder = uml.scratch("loop"), uml.scratch("file")
    os.symlink(loop, loop)
    with open(folder, "w") as out:
        out.write("x")
    table = [
        ("mem", "mem"), ("mem=", "mem="), ("mem=64Mx", "mem=64Mx"), ("initrd", "initrd"),
        ("initrd=", "initrd="),
        ("seccomp", "seccomp"), ("seccomp=", "seccomp="), ("stub_base", "stub_base"),
        ("stub_base=zz", "stub_base=zz"),
        ("spec=x", "spec=x: not one of"), ("spec=", "spec="), ("spec", "spec"),
        ("clocksource=x", "clocksource=x"), ("clocksource=", "clocksource="), ("vdso=x", "vdso=x"),
        ("vdso=", "vdso="), ("vdso", "vdso"),
        ("syscall_patch=2", "syscall_patch=2"), ("syscall_patch=1x", "syscall_patch=1x"),
        ("call_sites=2", "call_sites=2"), ("call_sites=1x", "call_sites=1x"), ("conx=null", "conx"),
        ("con16=null", "con16"),
        ("con1x=null", "con1x"), ("con0=", "con0"), ("con0=fd:x", "con0"),
        ("con0=fd:99999999999", "con0"),
        ("noreboot=1", "noreboot=1"), ("nosysemu=1", "nosysemu=1"),
        ("earlyprintk=x", "earlyprintk=x"),
        ("panic=x", "panic=x"), ("panic=", "panic="), ("panic", "panic"),
        (f"ubd0m={raw}", "ubd0m.*<backing file>"), (f"ubd0rr={raw}", "twice"),
        ("ubd0rr=", "ubd0rr"), ("ubdz=x", "ubdz"),
        (f"ubd0={loop}", "symbolic links"), (f"ubd0={folder}/image", "folder"),
        ("ubd0=" + "n" * 300, "too long"),
        (f"ubd0={uml.scratch('nodir')}/n.cow,{raw}", "nodir/n.cow cannot be made"),
        (f"ubd0={raw},{raw}x", "backing|COW"),
        ("hostfs=", "hostfs"), ("hostfs=/nowhere", "/nowhere"),
    ]
    for option, about in table:
        refuses([option, "mem=64M"] if not option.startswith("mem") else [option], about,
                f"{option.replace(uml.scratch(''), '')[:40]} is one line, status 1")


def historic():
    """Options of other ports: taken, each with one line, and not passed on to init."""
    old = ["jail", "honeypot", "mode=tt", "skas0", "debug", "fake_ide", "udb"]
    result = uml.run("cat /proc/1/cmdline | tr '\\0' ' '; echo; env; exit 0", mem="64M",
                     arguments=old)
    said = [line for line in result.console.splitlines() if line.startswith("linux: ")]
    names = [option.partition("=")[0] for option in old]
    tap.ok(result.status == 0
           and all(sum(line.startswith(f"linux: {name}") for line in said) == 1 for name in names),
           "options that mean nothing here are answered with one line each",
           "\n".join(said) + "\n" + result.tail())
    tap.ok(not any(re.search(rf"\b{name}\b", result.output) for name in names),
           "and init does not get them", result.tail)


def words():
    """Arguments of the program are words of the command line, whatever is in them."""
    image = uml.scratch("a disk, no: \u00fc".replace(",", "").replace(":", ""))
    with open(image, "wb") as out:
        out.truncate(1 << 20)
    result = uml.run("""cat /proc/cmdline; echo "[$note]"; cat /sys/block/ubda/size; exit 0""",
                     mem="64M",
                     arguments=["note=two  words", f"ubd0={image}", "quoted=\"by the user\""])
    tap.ok(re.search(r"^\[two  words\]$", result.output, re.M)
           and 'quoted="by the user"' in result.output,
           "an argument with blanks in it is one word", result.tail)
    tap.ok(re.search(r"^2048$", result.output, re.M), "an image may have blanks in its name",
           result.tail)
    refuses(["x=" + "y" * 5000], "command line",
            "a command line that is too long is one line, status 1")


def endings():
    for command, wanted in (("poweroff -f", 0), ("halt -f", 0)):
        result = uml.run(command, mem="64M")
        tap.equal(result.exit, wanted, f"`{command}` ends with status {wanted}", result.tail)
        uml.clean(result)
    result = uml.run("echo 7 > /proc/exitcode; poweroff -f", mem="64M")
    tap.equal(result.exit, 7, "/proc/exitcode sets the exit status", result.tail)

    again = "if [ -e /second ]; then cat /proc/cmdline; exit 5; fi; touch /second; sync; "
    result = uml.run(again + "reboot -f", mem="64M", disk=16, arguments=["mark=first"])
    tap.ok(result.console.count("GUEST-READY") == 2 and result.status == 5 and result.exit == 0,
           "reboot starts the program again in the same process", result.tail)
    tap.ok(re.search(r"mark=first", result.output), "with its own command line", result.tail)
    result = uml.run(again + "echo c > /proc/sysrq-trigger", mem="64M", disk=16,
                     arguments=["panic=1"])
    tap.ok(result.console.count("GUEST-READY") == 2 and result.status == 5 and result.exit == 0,
           "panic=1 restarts after a panic", result.tail)
    tap.ok("Panic number 1 in a row" in result.console
           and "Started again after 1 panics in a row" in result.console,
           "and counts that", result.tail)
    image = uml.scratch("no-root")
    with open(image, "wb") as out:
        out.truncate(1 << 20)
    for panic in ("panic=1", "panic=-1"):
        result = uml.boot_and_judge(["mem=64M", f"ubd0={image}", "root=/dev/ubda", panic], 30)
        tap.ok(result.exit == 134 and result.console.count("Linux version") == 1
               and "init never ran" in result.console,
               f"{panic}: a root that cannot be mounted is not tried again", result.tail)
    result = uml.run("echo c > /proc/sysrq-trigger", mem="64M", arguments=["panic=1", "noreboot"])
    tap.ok(result.console.count("GUEST-READY") == 1 and result.exit not in (0, None),
           "with noreboot a panic ends it with a non-zero status all the same", result.tail)
    result = uml.run("sh -c 'kill -9 1'; exit 3", mem="64M")
    tap.equal(result.status, 3, "init cannot be killed from inside", result.tail)


def lines_end():
    """The other end of a line is closed: an end of file, and no byte that was not typed."""
    for mode in ("raw -echo", "sane"):
        result = uml.run(f"(stty {mode}; timeout 20 cat) </dev/tty1 | od -c; echo ENDED; exit 0",
                         mem="64M",
                         arguments=["con1=fd:5,null"],
                         wrap=["sh", "-c", 'exec "$0" "$@" 5</dev/null'], timeout=20)
        tap.ok(re.search(r"^0000000\nENDED", result.output, re.M),
               f"a terminal ({mode}) whose input ends is at its end", result.tail)


def background():
    """A process group in the background runs, and takes the terminal when it gets it."""
    if not shutil.which("script") or not shutil.which("bash"):
        tap.skip("in the background of a terminal", "no script(1) or bash on this machine")
        return
    uml.run("echo hello-$((6*7)); exit 5", mem="64M")     # makes the image
    boot = f"{uml.LINUX} mem=64M initrd={uml.scratch('guest.cpio')} rdinit=/init"
    for how, command in (("under timeout(1)", f"sh -c 'timeout 300 {boot}'"),
                         ("with stty tostop", f"sh -c 'stty tostop; timeout 300 {boot}'"),
                         ("as a job of a shell", f"bash -ic '{boot} & wait'")):
        ended = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True,
                               timeout=30 * uml.PATIENCE)
        tap.ok("hello-42" in ended.stdout and "GUEST-STATUS 5" in ended.stdout,
               f"in the background {how} it runs",
               ended.stdout[-1000:] + ended.stderr[-1000:])
    shell = uml.Instance(["--norc", "-i"], terminal=True, linux=shutil.which("bash"))
    shell.type(f"PS1='host\\$ '; stty -a | grep -o ' .\\?icanon'; {uml.LINUX} mem=64M &\n")
    up = shell.expect(r"To leave: poweroff", BOOT)
    tap.ok(up, "a job in the background boots", lambda: shell.text[-800:])
    start = shell.type("fg\n")
    shell.expect(r"mem=64M$", 5, start)
    start = shell.type("echo hello-$((6*7))\n")
    tap.ok(shell.expect(r"^hello-42$", 10, start), "in the foreground it has the terminal",
           lambda: shell.text[-800:])
    start = shell.type("poweroff\n")
    tap.ok(shell.expect(r"host[#$] $", 20, start), "and leaves it to the shell at its end",
           lambda: shell.text[-800:])
    start = shell.type("stty -a | grep -o ' .\\?icanon'\n")
    tap.ok(shell.expect(r" icanon$", 10, start), "with the shell's settings",
           lambda: shell.text[-800:])
    tap.ok(not shell.close(), "and no process is left")


def sizes():
    def memory(result):
        match = re.search(r"^MemTotal: +(\d+)", result.output, re.M)
        return int(match.group(1)) if match else 0

    result = uml.run("cat /proc/meminfo; exit 0", mem="32M")
    tap.ok(result.status == 0 and 12 << 10 < memory(result) <= 32 << 10, "mem=32M boots",
           result.tail)
    uml.clean(result)
    with open("/proc/meminfo") as source:
        host = int(re.search(r"MemTotal: +(\d+)", source.read()).group(1)) >> 20
    result = uml.run("cat /proc/meminfo; exit 0", mem=f"{host + 8192}M")
    tap.ok(result.status == 0 and memory(result) > host << 10,
           "more memory than the host has boots", result.tail)
    uml.clean(result)


def little_things():
    result = uml.run("printf '<1>evil\\033[2J end\\n' >/dev/kmsg; exit 0", mem="64M")
    tap.ok("evil?[2J end" in result.output and "evil\x1b" not in result.output,
           "the log on a console has nothing for a terminal to obey", result.tail)
    result = uml.run("""
        cat /proc/sys/kernel/random/entropy_avail
        dd if=/dev/random of=/dev/null bs=64 count=1 2>/dev/null && echo random-ready
        cat /proc/1/stack
        uname -m
        date +%s
        exit 0""", mem="64M")
    tap.ok("random-ready" in result.output and "crng" not in result.output,
           "the random generator is ready at once", result.tail)
    tap.ok(re.search(r"^x86_64$", result.output, re.M), "the machine is x86_64", result.tail)
    uml.clean(result)
    result = uml.boot_and_judge(["mem=64M", "initrd=" + uml.scratch("guest.cpio"), "rdinit=/init",
                                 "con0=null"], 30)
    tap.ok(result.exit == 0 and "random-ready" not in result.console,
           "con0=null discards the console", result.tail)


uml.require()
uml.build()
shell()
input_ends()
violent_ends()
options()
errors()
long_paths()
wrong_values()
lines_end()
background()
historic()
words()
endings()
sizes()
little_things()
tap.done()
