#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_console and the socket console: lists, several clients, sizes, detaching, slow, dead and
hostile clients, the end of the guest."""
import contextlib
import errno
import fcntl
import os
import re
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import attach
import cowfile
import mconsole
import tap
import uml
from mconsole_server import Server

NAME = "guest"
UML = uml.scratch("uml")
SOCKET = os.path.join(UML, NAME, "console")
MEGABYTE = 1000000
ESCAPE = "\x1d"


def build():
    """The path of uml_console, built with sanitizers."""
    folder = os.path.join(uml.OBJECTS, "sanitized")
    cowfile.make(os.path.join(uml.TOP, "tools", "uml_console"), f"OUT={folder}",
                 f"CFLAGS=-O1 {cowfile.SANITIZERS}")
    return os.path.join(folder, "uml_console")


def settings(fd):
    return termios.tcgetattr(fd)[:4]


class Terminal:
    """uml_console on its own terminal, and all that it wrote there."""

    def __init__(self, *words, size=(24, 80), name=NAME):
        self.fd, self.slave = os.openpty()
        self.data, self.size = b"", size
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.before = settings(self.slave)
        self.process = subprocess.Popen(
            [TOOL, f"--uml-dir={UML}", *words[:-1], name, words[-1]], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def expect(self, pattern, timeout=10):
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while not re.search(pattern, self.data):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            self.data += os.read(self.fd, 65536)
        return True

    def type(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_raw(self):
        return not settings(self.slave)[3] & termios.ICANON

    def is_restored(self):
        """Whether the terminal becomes as it was; after SIGKILL another process restores it."""
        deadline = time.monotonic() + uml.PATIENCE
        while settings(self.slave) != self.before and time.monotonic() < deadline:
            time.sleep(0.01)
        return settings(self.slave) == self.before

    def status(self, timeout=10):
        """The exit status of uml_console, read to its end."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                self.data += os.read(self.fd, 65536)
        while select.select([self.fd], [], [], 0)[0]:
            self.data += os.read(self.fd, 65536)
        return self.process.poll()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run(*words):
    return subprocess.run([TOOL, f"--uml-dir={UML}", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def refuses(sentence, words, status, pattern):
    ended = run(*words)
    lines = ended.stderr.splitlines()
    tap.ok(ended.returncode == status and len(lines) == 1 and re.search(pattern, lines[0]),
           sentence, f"status {ended.returncode}: {ended.stderr}")


# ---- a guest that does what is typed on tty9 ----

SCRIPT = """
    export PATH=/bin:/sbin
    exec 9</dev/tty9
    while read -r x <&9; do
        case $x in
        end) exit 0 ;;
        *) eval "$x" ;;
        esac
    done
"""


class Guest:
    """An instance, and its tty9 to give it commands."""

    def __init__(self, *arguments):
        tree = uml.image.Tree()
        tree.base(SCRIPT)
        tree.copy(uml.built("guest/line"), "line")
        tree.write_cpio(uml.scratch("guest.cpio"))
        self.instance = uml.Instance(
            ["mem=64M", f"initrd={uml.scratch('guest.cpio')}", "rdinit=/init", f"umid={NAME}",
             f"uml_dir={UML}", "con9=null", *arguments])
        self.instance.expect(r"^GUEST-READY$", 60)
        self.keys = attach.Client(SOCKET, "con9")

    def does(self, command):
        self.keys.type(command.encode() + b"\r")

    def says(self, pattern, timeout=10):
        return self.instance.expect(pattern, timeout)

    def judge(self):
        """Wait for its end: it was in order."""
        status = self.instance.wait(30)
        leaked = self.instance.close()
        result = uml.Result(self.instance.text, status, leaked)
        tap.equal(status, 0, "the guest ended in order", result.tail)
        uml.clean(result)


# ---- parts ----

def arguments():
    refuses("it wants an instance", [], 2, "for which instance")
    refuses("a word that is no line is refused", ["x", "pts3"], 2, "a line is wanted")
    refuses("two lines are refused", ["x", "con0", "con1"], 2, "one line is wanted")
    refuses("a wrong escape key is refused", ["--escape=xx", "x"], 2, "--escape=xx: a key")
    refuses("an instance that is not there has status 3", ["nobody", "con0"], 3,
            "there is no such instance; uml_mconsole --list")
    with Server(UML, "other"):
        refuses("a kernel without this socket is named as the reason", ["other", "con0"], 1,
                "does not offer its consoles")
    tap.ok(run("--help").returncode == 0 and run("--version").stdout.startswith("uml_console "),
           "--help and --version")


def lists(guest):
    ended = run(NAME)
    rows = [line.split() for line in ended.stdout.splitlines()]
    tap.ok(ended.returncode == 0 and rows[0] == ["LINE", "DEVICE", "OPEN", "CLIENTS", "CHANNEL"] and
           ["con1", "tty1", "no", "0", "null"] in rows and
           any(row[:4] == ["con2", "tty2", "no", "0"] and row[4].startswith("pts:") for row in rows)
           and ["con9", "tty9", "yes", "1", "null"] in rows and
           not any(row[0] == "con5" for row in rows),
           "without a line it lists those that there are: device, open, clients, channel",
           lambda: ended.stdout + ended.stderr)
    refuses("a line without a channel is refused, with what to do", [NAME, "con5"], 1,
            "con5 has no channel; give it one by: uml_mconsole <umid> config con5=null")
    refuses("so is one that is not there", [NAME, "ssl70"], 1, "there is no line ssl70")
    tap.equal(stat.S_IMODE(os.stat(SOCKET).st_mode), 0o600, "the socket is its user's alone")
    for word, line in (("1", "con1"), ("tty1", "con1"), ("/dev/ttyS2", "ssl2"), ("ssl2", "ssl2")):
        with Terminal(word) as terminal:
            tap.ok(terminal.expect(f"uml_console: {NAME} {line}: you write; Ctrl-] leaves\r\n"
                                   .encode()), f"{word} is {line}", terminal.data)


def two_clients(guest):
    guest.does("/line serve /dev/tty1 local >/dev/null &")
    guest.does("/line size /dev/tty3 33 99 &")
    guest.says("watching")
    with Terminal("con1", size=(20, 70)) as first, Terminal("con3", size=(20, 70)) as sized:
        tap.ok(first.expect(b"you write; Ctrl-] leaves\r\n") and first.expect(b"session 1\r\n"),
               "what was printed before is shown", first.data)
        tap.ok(first.is_raw(), "the terminal is raw")
        first.type("hello\r")
        tap.ok(first.expect(b"got hello\r\n"), "what is typed arrives, and the answer", first.data)
        with Terminal("con1") as second, Terminal("--read-only", "con1") as third:
            tap.ok(second.expect(b"another one writes, you watch; Ctrl-] leaves\r\n") and
                   second.expect(b"got hello\r\n"), "a second one watches, and is told so",
                   second.data)
            tap.ok(third.expect(b"you watch; Ctrl-] leaves\r\n"), "--read-only is told so",
                   third.data)
            second.type("from the second\r")
            first.type("from the first\r")
            tap.ok(second.expect(b"got from the first") and b"the second" not in second.data,
                   "it sees what the first one does, and what it types is dropped", second.data)
            sized.expect(b"you write")
            tap.ok(guest.says("line: /dev/tty3 has 20 rows and 70 columns"),
                   "the line has the size of the window", guest.instance.text[-500:])
            sized.resize(33, 99)
            tap.ok(guest.says("line: /dev/tty3 has the size"), "and follows it",
                   guest.instance.text[-500:])
            first.type(ESCAPE)
            tap.ok(first.status() == 0 and first.is_restored() and
                   first.data.endswith(f"uml_console: {NAME} con1: left\r\n".encode()),
                   "Ctrl-] leaves, with status 0, and the terminal is as before",
                   (first.process.poll(), first.data))
            tap.ok(second.expect(b"the one before you has left, now you write; Ctrl-] leaves\r\n"),
                   "then the second one writes, and is told so", second.data)
            second.type("now the second\r")
            tap.ok(third.expect(b"got now the second"), "and does", third.data)
            third.type("\x03")
            tap.equal(third.status(), 0, "Ctrl-C leaves one that only reads")
    with Terminal("--escape=^A", "con1") as other:
        other.expect(b"you write; Ctrl-A leaves\r\n")
        other.type(f"{ESCAPE}key\r")
        tap.ok(other.expect(b"got \x1dkey"), "with another escape key Ctrl-] is a key", other.data)
        other.type("\x01")
        tap.equal(other.status(), 0, "and that one leaves")


def signals(guest):
    for sign, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGSEGV, -11),
                         (signal.SIGKILL, -9)):
        with Terminal("con1") as terminal:
            terminal.expect(b"you write")
            terminal.process.send_signal(sign)
            ended = terminal.status()
            # the sanitizers take SIGSEGV
            tap.ok((ended == status or sign == signal.SIGSEGV) and terminal.is_restored(),
                   f"{sign.name}: the terminal is as before", (ended, terminal.data))


def pattern(length):
    return bytes((i * 7 + i // 251 + i // 65536) & 255 for i in range(length))


def raw_bytes(guest):
    """A megabyte of all byte values each way, with two who read."""
    whole, copy = pattern(MEGABYTE), uml.scratch("copy")
    client = attach.Client(SOCKET, "ssl0")
    client.wait(lambda: client.roles)
    with open(copy, "wb") as file:
        tool = subprocess.Popen([TOOL, f"--uml-dir={UML}", NAME, "ssl0"], stdout=file,
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        tool.stderr.readline()
    guest.does(f"/line exchange /dev/ttyS0 {MEGABYTE} && echo EXCHANGED")
    guest.says("^raw")
    at = 0
    while at < MEGABYTE or len(client.output) < MEGABYTE:
        readable, writable, _ = select.select([client.socket],
                                              [client.socket] if at < MEGABYTE else [], [],
                                              10 * uml.PATIENCE)
        if readable and not client.receive() or not readable and not writable:
            break
        if writable:
            client.send(attach.INPUT, whole[at:at + 16384])
            at += 16384
    tap.ok(guest.says("^EXCHANGED", 30), "a megabyte of all byte values arrives in the guest",
           guest.instance.text[-500:])
    tap.ok(bytes(client.output) == whole and not client.lost, "and as many from it",
           f"{len(client.output)} bytes, {client.lost} lost")
    deadline = time.monotonic() + 10 * uml.PATIENCE
    while os.path.getsize(copy) < MEGABYTE and time.monotonic() < deadline:
        time.sleep(0.01)
    tool.terminate()
    tool.communicate()
    with open(copy, "rb") as file:
        tap.ok(file.read() == whole, "uml_console in a pipe passes each byte on, too")
    client.close()


def slow_client(guest):
    """One that does not read, and one that is stopped: the guest does not wait for them."""
    client = attach.Client(SOCKET, "con4")
    client.wait(lambda: client.roles)
    with Terminal("con4") as stopped:
        stopped.expect(b"you watch")
        stopped.process.send_signal(signal.SIGSTOP)
        guest.does("/line flood /dev/tty4 60000; echo FLOODED")
        tap.ok(guest.says("^FLOODED", 30), "a client that does not read does not hold up the guest",
               guest.instance.text[-500:])
        tap.ok(client.expect(rb"line 59999 of a flood[^\n]*\n") and client.lost > 1000000 and
               client.output.startswith(b"line 0 of"),
               "it then has the oldest that was sent, how much is lost, and the newest",
               f"{len(client.output)} bytes, {client.lost} lost, {client.output[-200:]}")
        tap.ok(client.lost + len(client.output) == sum(
            len(f"line {i} of a flood that is longer than a reader is kept\r\n")
            for i in range(60000)), "the number of lost bytes is right",
            f"{len(client.output)} and {client.lost}")
        stopped.process.send_signal(signal.SIGCONT)
        tap.ok(stopped.expect(rb"\d+ bytes of output are missing here") and
               stopped.expect(rb"line 59999 of a flood"), "uml_console says so in a line",
               stopped.data[-300:])
    client.close()


def stopped_guest(guest):
    path = os.path.join(UML, NAME, "mconsole")
    mconsole.ask(path, "stop")
    ended = run(NAME)
    with Terminal("con0") as terminal:
        tap.ok(ended.returncode == 0 and terminal.expect(b"GUEST-READY"),
               "while the guest is stopped, its lines can be listed, and what they show be seen",
               lambda: f"{ended}\n{terminal.data[-300:]}")
    mconsole.ask(path, "go")


# ---- hostile clients ----

def failure_of(*frames):
    """The instance's answer to frames of a new connection."""
    client = attach.Client(SOCKET)
    for frame in frames:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.socket.send(frame)
    return client.finish().failure


def hostile(guest):
    start = attach.request(attach.START, "con1")
    frames = {
        "a first frame that is no request": [struct.pack("=I", attach.INPUT) + b"x"],
        "a frame of 3 bytes": [b"abc"],
        "garbage": [os.urandom(500)],
        "a frame of 100,000 bytes": [b"\2\0\0\0" + b"x" * 99996],
        "another version": [attach.request(attach.START, "con1", version=2)],
        "a name without an end": [start[:-8] + b"con1xxxx"],
        "a request that is cut": [start[:-1]],
        "a second request": [start, start],
        "a size that is cut": [start, struct.pack("=II", attach.SIZE, 3)],
        "an unknown kind": [start, struct.pack("=I", 999)],
    }
    answers = {name: failure_of(*sent) for name, sent in frames.items()}
    tap.ok(all(answers.values()), f"refused with a reason: {', '.join(frames)}",
           {name for name, answer in answers.items() if not answer})
    tap.ok(failure_of(b"") is None, "an empty packet is the end")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    with contextlib.ExitStack() as opened:
        many = []
        for _ in range(min(1000, limit[1] - 100)):
            client = attach.Client(SOCKET)
            opened.callback(client.close)
            many.append(client)
        refused = [client for client in many[64:] if client.wait(lambda: client.failure)]
        tap.ok(len(refused) >= len(many) - 64 and refused[-1].failure ==
               (errno.EBUSY, "too many clients are connected; end one of them"),
               "of 1,000 connections, those beyond 64 are refused", len(refused))
        guest.does("echo STILL-HERE")
        tap.ok(guest.says("^STILL-HERE"), "those that were there, and the guest, are served",
               guest.instance.text[-500:])
        silent = many[0]
        tap.ok(silent.wait(lambda: silent.failure, 15) and "no request" in silent.failure[1],
               "a connection without a request is closed after 10 seconds", silent.failure)
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    tap.ok(attach.lines(SOCKET)["con9"][2] == 1, "afterwards all is as before")


def no_answer(guest):
    guest.instance.process.send_signal(signal.SIGSTOP)
    refuses("an instance that does not answer has status 4", [NAME, "con1"], 4,
            "no answer within 10 s")
    guest.instance.process.send_signal(signal.SIGCONT)


# ---- the end ----

def restart(guest):
    with Terminal("con0") as terminal:
        terminal.expect(b"GUEST-READY")
        mconsole.ask(os.path.join(UML, NAME, "mconsole"), "reboot")
        tap.ok(terminal.expect(b"con0: the guest starts again\r\n(?s:.*)GUEST-READY", 60),
               "when the guest restarts, uml_console attaches again", terminal.data[-500:])
        guest.keys.close()
        guest.keys = attach.Client(SOCKET, "con9")
        guest.does("end")
        tap.ok(terminal.status() == 0 and terminal.is_restored() and re.search(
            rb"reboot: Power down\r\n.*the guest has ended\r\n$", terminal.data),
            "at the end of the guest its last lines are shown, and the status is 0",
            (terminal.process.poll(), terminal.data[-500:]))
    guest.keys.close()
    guest.judge()


def killed():
    guest = Guest()
    with Terminal("con0") as terminal:
        terminal.expect(b"GUEST-READY")
        guest.instance.process.kill()
        tap.ok(terminal.status() == 3 and terminal.is_restored() and
               terminal.data.endswith(b"the instance has gone\r\n"),
               "when ./linux is killed, the status is 3 and the terminal as before",
               (terminal.process.poll(), terminal.data[-300:]))
    guest.keys.close()
    guest.instance.close()


def completion():
    script = f"""
        source {uml.TOP}/completion/uml_console
        uml_mconsole() {{ {uml.TOP}/build/tools/uml_mconsole --uml-dir={UML} "$@"; }}
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _uml_console
        printf '%s\\n' "${{COMPREPLY[@]}}" """

    def completed(*words):
        ended = subprocess.run(["bash", "-c", script, "bash", TOOL, *words], capture_output=True,
                               text=True, timeout=60, stdin=subprocess.DEVNULL)
        return sorted(ended.stdout.split()) if not ended.stderr else ended.stderr
    tap.equal(completed("--read"), ["--read-only"], "bash completes an option")
    tap.equal(completed("gu"), [NAME], "an instance")
    tap.equal(completed("--read-only", os.path.join(UML, NAME), "con1"), ["con1"], "and a line")


uml.require()
uml.build()
os.makedirs(UML, exist_ok=True)
TOOL = build()
arguments()
only = os.environ.get("CONSOLE_ONLY", "").split()
shared = Guest("con0=null,fd:1", "con1=null", "con2=pts", "con3=null", "con4=null", "ssl0=null")
for part in (lists, two_clients, signals, raw_bytes, slow_client, stopped_guest, hostile,
             no_answer):
    if not only or part.__name__ in only:
        part(shared)
completion()
restart(shared)
killed()
tap.done()
