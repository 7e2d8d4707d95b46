#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles and serial lines: every channel, readers that come, go, are slow or dead, window sizes,
raw bytes, lines that are changed while the guest runs."""
import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import stat
import struct
import sys
import termios
import threading
import time
import tty

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import uml

MIB = 1 << 20
IAC, WILL, DO, SB, SE, WINDOW = 255, 251, 253, 250, 240, 31
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Reader:
    """The host's end of a line: a descriptor, and all that was read from it."""

    def __init__(self, fd):
        self.fd, self.data, self.ended = fd, b"", False

    def read(self, seconds):
        if select.select([self.fd], [], [], max(0, seconds))[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            self.ended = not data
            self.data += data

    def expect(self, pattern, timeout=10):
        """Whether @pattern (bytes) comes within PATIENCE times @timeout seconds."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while not re.search(pattern, self.data):
            if self.ended or time.monotonic() > deadline:
                return False
            self.read(min(0.5, deadline - time.monotonic()))
        return True

    def end(self, timeout=10):
        """Whether the guest's side ends it."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while not self.ended and time.monotonic() < deadline:
            self.read(0.5)
        return self.ended

    def type(self, data):
        while data:
            data = data[os.write(self.fd, data):]

    def close(self):
        os.close(self.fd)


def open_pts(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)     # not to drop what has been shown already
    return Reader(fd)


def open_socket(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.connect(address)
    return Reader(connection.detach())


def opener(spec):
    """A function that opens the host's end of a channel."""
    kind, _, rest = spec.partition(":")
    if kind in ("pts", "pty"):
        return lambda: open_pts(rest)
    if kind == "unix":
        return lambda: open_socket(rest)
    host, _, port = rest.rpartition(":")
    return lambda: open_socket((host, int(port)))


def where(instance, line):
    """The channel of a line, as the kernel's log names it."""
    match = instance.expect(rf"\] {line}: (\S+)$", 20)
    return match.group(1) if match else ""


def run(script, *arguments, drive=None, **how):
    """A guest with the program /line and a management console, while @drive runs."""
    how.setdefault("timeout", 30)
    return uml.run("export PATH=/bin:/sbin\n" + script, mem="64M",
                   files={"line": uml.built("guest/line")},
                   arguments=["umid=consoles", f"uml_dir={folder}", *arguments], drive=drive, **how)


def ask(text):
    return mconsole.ask(os.path.join(folder, "consoles", "mconsole"), text)


WAIT = "while [ ! -e /tmp/go ]; do read x </dev/tty9; [ \"$x\" = go ] && exit 0; done\n"


# ---- readers that come and go ----

def sessions(spec, name, local=False):
    """A reader comes, types, leaves, and the next one comes, on any channel."""
    seen = {}

    def drive(instance):
        channel = where(instance, "con1")
        seen["channel"] = channel
        opened = opener(channel)
        reader = opened()
        seen["kept"] = reader.expect(rb"session 1\r\n")
        reader.type(b"hello\r")
        seen["both"] = reader.expect(rb"got hello\r\n")
        reader.close()
        if not local:
            seen["hangup"] = instance.expect(r"^line: session 1 of /dev/tty1 ended by SIGHUP", 20)
            reader = opened()
            seen["next"] = reader.expect(rb"session 2\r\n") and b"session 1" not in reader.data
        else:
            reader = opened()
        reader.type(b"again\r")
        seen["again"] = reader.expect(rb"got again\r\n")
        seen["data"] = reader.data
        reader.close()
        ending.type(b"go\n")

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    result = run(f"/line serve /dev/tty1 {'local' if local else ''} &\n" + WAIT, f"con1={spec}",
                 f"con9=fd:{theirs.fileno()}", drive=drive, pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()

    def why():
        return f"{seen}\n{result.tail()}"
    if local:
        tap.ok(seen.get("again") and "session 2" not in str(seen.get("data")),
               f"{name}: with CLOCAL set a reader who leaves does not hang the line up", why)
        return
    tap.ok(seen.get("channel"), f"{name}: the kernel's log says where the line is", why)
    tap.ok(seen.get("kept"), f"{name}: output from before the reader came is kept for it", why)
    tap.ok(seen.get("both"), f"{name}: what is typed gets there, and the answer back", why)
    tap.ok(seen.get("hangup"), f"{name}: a reader who leaves hangs the line up", why)
    tap.ok(seen.get("next"), f"{name}: the next reader has a fresh line", why)
    tap.ok(seen.get("again"), f"{name}: on which both ways work", why)
    uml.clean(result)


def every_kind():
    path = uml.scratch("con1")
    for spec, name in (("pts", "pts"), ("pty", "pty"), ("port:0", "port"),
                       (f"unix:{path}", "unix")):
        sessions(spec, name)
    sessions("pts", "pts", local=True)
    sessions("port:0", "port", local=True)


# ---- slow and dead readers ----

def nobody_there():
    """Lines without a reader never make the guest wait; the newest output is kept."""
    seen = {}

    def drive(instance):
        channels = {line: where(instance, line) for line in ("con1", "con2", "con3")}
        seen["done"] = instance.expect(r"^FLOODED", 30)
        for line, channel in channels.items():
            reader = opener(channel)()
            seen[line] = reader.expect(rb"line 9999 of a flood[^\n]*\n", 20)
            seen[line + " length"] = len(reader.data)
            seen[line + " first"] = reader.data[:60]
            reader.close()
        ending.type(b"go\n")

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    result = run("for i in 1 2 3; do /line flood /dev/tty$i 10000 || exit 1; done\n"
                 "echo FLOODED\n" + WAIT, "con1=pts", "con2=port:0",
                 f"con3=unix:{uml.scratch('con3')}", f"con9=fd:{theirs.fileno()}", drive=drive,
                 pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()

    def why():
        return f"{seen}\n{result.tail()}"
    tap.ok(seen.get("done"), "programs that write to lines without a reader do not wait", why)
    tap.ok(all(seen.get(line) for line in ("con1", "con2", "con3")),
           "a reader who comes later is shown the newest output", why)
    tap.ok(all(32768 < seen.get(f"{line} length", 0) < 65536 + 4096
               for line in ("con1", "con2", "con3")), "about 64 KiB of it", why)


def dead_reader():
    """The kernel's log goes to a pipe that is not read: nothing waits for it."""
    log_in, log_out = os.pipe()
    seen = {}

    def read_all():
        data, more = b"", b"-"
        while more:
            more = os.read(log_in, 65536)
            data += more
        seen["log"] = data

    reader = None

    def boot_is_over(instance):
        nonlocal reader
        seen["flooded"] = instance.expect(r"^FLOODED (\d+)", 30)
        reader = threading.Thread(target=read_all)
        reader.start()
        seen["last"] = instance.expect(r"^LAST", 30)

    instance = uml.Instance(
        ["mem=64M", f"initrd={guest_with_flood()}", "rdinit=/init", f"con0=null,fd:{log_out}",
         "con1=null,fd:1", "printk.devkmsg=on"], pass_fds=[log_out])
    os.close(log_out)
    boot_is_over(instance)
    if reader:
        reader.join(60)
    exit_status = instance.wait(30)
    leaked = instance.close()
    os.close(log_in)
    took = re.search(r"FLOODED (\d+) (\d+)", instance.text)
    tap.ok(seen["flooded"] and int(took.group(1)) - int(took.group(2)) < 10 * uml.PATIENCE,
           "kernel messages do not wait for a reader who does not read",
           lambda: instance.text[-2000:])
    tap.ok(b"THE-LAST-MESSAGE" in seen.get("log", b"") and b"message 2999" in seen["log"],
           "the newest are kept for when it does", lambda: seen.get("log", b"")[-2000:])
    tap.ok(exit_status == 0 and not leaked, "and the guest ends as always",
           lambda: f"{exit_status}\n{instance.text[-2000:]}")


def guest_with_flood():
    """An initramfs whose script writes more kernel messages than a pipe and the ring hold."""
    uml.run("""
        [ -e /dev/tty1 ] && exec >/dev/tty1 2>&1
        read from rest </proc/uptime
        i=0; while [ $i -lt 3000 ]; do
            echo "message $i, which is one of many that together are longer than a pipe"
            i=$((i+1))
        done >/dev/kmsg
        read to rest </proc/uptime
        echo FLOODED ${to%.*} ${from%.*}
        echo THE-LAST-MESSAGE >/dev/kmsg
        echo LAST
        exit 0
        """, mem="64M", arguments=["con0=null"])
    return uml.scratch("guest.cpio")


# ---- bytes ----

def pattern(length):
    return bytes((i * 7 + i // 251 + i // 65536) & 255 for i in range(length))


def raw_bytes():
    """A megabyte of all byte values each way, while the console prints."""
    ours, theirs = socket.socketpair()
    whole = pattern(MIB)
    got = bytearray()

    def drive(instance):
        if not instance.expect(r"^raw", 30):
            return
        os.set_blocking(ours.fileno(), False)
        sent, deadline = 0, time.monotonic() + 60 * uml.PATIENCE
        while (sent < MIB or len(got) < MIB) and time.monotonic() < deadline:
            can_read, can_write, _ = select.select([ours, instance.console],
                                                   [ours] if sent < MIB else [], [], 1)
            if instance.console in can_read:
                instance.read(0)
                can_read.remove(instance.console)
            if can_read:
                data = ours.recv(65536)
                if not data:
                    break
                got.extend(data)
            if can_write:
                sent += ours.send(whole[sent:sent + 65536])
        instance.expect(r"^EXCHANGED", 30)

    result = run(f"(while :; do echo printing; echo printing >/dev/kmsg; done) &\n"
                 f"/line exchange /dev/ttyS3 {MIB}; status=$?\nkill $!\necho EXCHANGED\n"
                 f"exit $status\n", f"ssl3=fd:{theirs.fileno()}", drive=drive, timeout=60,
                 pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()
    tap.ok(result.status == 0, "ssl3=fd:N: a megabyte of all byte values arrives in the guest",
           lambda: "\n".join(line for line in result.output.splitlines()
                             if not line.startswith("printing"))[-1500:])
    tap.ok(bytes(got) == whole, "and as many from it, while the console prints",
           lambda: f"{len(got)} bytes, the first wrong one is " +
           str(next((i for i, (a, b) in enumerate(zip(got, whole)) if a != b), None)))


# ---- port ----

def telnet():
    """port speaks telnet, on loopback only, and lines share it."""
    seen = {}

    def drive(instance):
        port = int(where(instance, "con1").rpartition(":")[2])
        ask_port.append(port)
        first = open_socket(("127.0.0.1", port))
        seen["offer"] = first.expect(bytes([IAC, WILL, 1]))
        seen["window"] = first.expect(bytes([IAC, DO, WINDOW]))
        first.type(bytes([IAC, WILL, WINDOW, IAC, SB, WINDOW, 0, 91, 0, 37, IAC, SE]))
        seen["size"] = instance.expect(r"^line: /dev/tty1 has the size", 20)
        first.type(bytes([IAC, SB, WINDOW, 0, 92, 0, 38, IAC, SE]))
        seen["change"] = instance.expect(r"^line: /dev/tty1 has the size$[^$]*tty1 has the size",
                                         20)
        first.close()
        try:
            # Another address of this machine.
            probe = socket.create_connection(("127.0.0.2", port), 5)
            probe.close()
            seen["loopback"] = False
        except ConnectionRefusedError:
            seen["loopback"] = True

    ask_port = []
    result = run("/line size /dev/tty1 37 91; /line size /dev/tty1 38 92; exit 0",
                 "con1=port:0", drive=drive)

    def why():
        return f"{seen}\n{result.tail()}"
    tap.ok(seen.get("offer") and seen.get("window"),
           "port offers to echo and asks for the window's size", why)
    tap.ok(seen.get("size") and seen.get("change"),
           "a telnet client's window size reaches the guest, also when it changes", why)
    tap.ok(seen.get("loopback"), "without an address it listens on 127.0.0.1 alone", why)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shared_port():
    seen = {}
    port = free_port()

    def drive(instance):
        where(instance, "con2")
        readers = []
        for number in (1, 2):
            readers.append(open_socket(("127.0.0.1", port)))
            seen[number] = readers[-1].expect(b"session 1\r\n")
        readers[0].type(b"one\r")
        readers[1].type(b"two\r")
        seen["own"] = readers[0].expect(b"got one\r\n") and readers[1].expect(b"got two\r\n")
        third = open_socket(("127.0.0.1", port))
        seen["told"] = third.expect(b"All lines are in use")
        gone = open_socket(("127.0.0.1", port))
        gone.expect(b"All lines are in use")
        gone.close()
        readers[1].close()
        seen["served"] = third.expect(b"session 2\r\n", 20)
        third.type(b"three\r")
        seen["works"] = third.expect(b"got three\r\n")
        readers[0].close()
        third.close()
        ending.type(b"go\n")

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    result = run("/line serve /dev/tty1 &\n/line serve /dev/tty2 &\n" + WAIT,
                 f"con1=port:{port}", f"con2=port:127.0.0.1:{port}", f"con9=fd:{theirs.fileno()}",
                 drive=drive, pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()

    def why():
        return f"{seen}\n{result.tail()}"
    tap.ok(seen.get(1) and seen.get(2) and seen.get("own"),
           "two lines share a port, and each connection has one of them", why)
    tap.ok(seen.get("told"), "a third connection is told that it waits", why)
    tap.ok(seen.get("served") and seen.get("works"), "and gets the line that becomes free", why)
    uml.clean(result)


# ---- unix ----

def unix_sockets():
    path = uml.scratch("socket")
    seen = {}

    def drive(instance):
        where(instance, "con1")
        seen["mode"] = stat.S_IMODE(os.stat(path).st_mode)
        refused = uml.boot_and_judge(["mem=64M", f"con1=unix:{path}"], 20)
        seen["refused"] = refused.exit == 1 and "a program listens there already" in refused.console
        seen["still"] = os.path.exists(path)
        ending.type(b"go\n")

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    result = run(WAIT, f"con1=unix:{path}", f"con9=fd:{theirs.fileno()}", drive=drive,
                 pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()
    tap.ok(result.booted, "a stale socket is taken over", result.tail)
    tap.equal(seen.get("mode"), 0o600, "the socket is its user's alone", result.tail)
    tap.ok(seen.get("refused") and seen.get("still"),
           "a socket on which a program listens is refused, and left alone", result.tail)
    tap.ok(not os.path.exists(path), "the socket is gone at the end")


# ---- tty ----

def host_terminal():
    master, slave = os.openpty()
    name = os.ttyname(slave)
    before = termios.tcgetattr(slave)
    set_size(slave, 29, 77)
    seen = {}

    def drive(instance):
        reader = Reader(master)
        seen["session"] = reader.expect(b"session 1\r\n")
        seen["raw"] = not termios.tcgetattr(slave)[3] & termios.ICANON
        reader.type(b"hello\r")
        seen["answer"] = reader.expect(b"got hello\r\n")
        seen["query"] = ask("config con1")
        ending.type(b"go\n")

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    result = run("/line size /dev/tty1 29 77\n/line serve /dev/tty1 &\n" + WAIT, f"con1=tty:{name}",
                 f"con9=fd:{theirs.fileno()}", drive=drive, pass_fds=[theirs.fileno()])
    theirs.close()
    ours.close()

    def why():
        return f"{seen}\n{result.tail()}"
    tap.ok(seen.get("session") and seen.get("answer") and seen.get("raw"),
           "tty:<device> is a terminal of the host, in raw mode", why)
    tap.ok("/dev/tty1 has the size" in result.output, "with its window's size", why)
    tap.equal(seen.get("query"), (0, f"tty:{name}"), "which the management console names", why)
    tap.equal(termios.tcgetattr(slave), before, "it is as it was afterwards")
    os.close(master)
    os.close(slave)


# ---- xterm ----

EMULATOR = """#!{python}
import fcntl, os, pty, socket, struct, sys, termios
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[4], sys.argv[4:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 22, 66, 0, 0))
peer = socket.socket(socket.AF_UNIX)
peer.connect({path!r})
peer.send((" ".join(sys.argv[1:4]) + "\\n").encode())
socket.send_fds(peer, [b"x"], [master])
os.close(master)
peer.recv(1)
"""


def window():
    """A stand-in for xterm that passes the master of its pty to this test."""
    control = uml.scratch("control")
    emulator = uml.scratch("emulator")
    server = socket.socket(socket.AF_UNIX)
    server.bind(control)
    server.listen(4)
    server.settimeout(20 * uml.PATIENCE)
    with open(emulator, "w") as out:
        out.write(EMULATOR.format(python=sys.executable, path=control))
    os.chmod(emulator, 0o755)
    seen = {}

    def next_window():
        peer, _ = server.accept()
        peer.settimeout(20 * uml.PATIENCE)
        arguments = peer.makefile("rb", buffering=0).readline()
        _, fds, _, _ = socket.recv_fds(peer, 1, 1)
        return peer, Reader(fds[0]), arguments

    def drive(instance):
        peer, reader, seen["arguments"] = next_window()
        seen["size"] = instance.expect(r"^line: /dev/tty1 has the size", 20)
        instance.expect(r"^line: /dev/tty1 has 22 rows and 66 columns", 20)
        set_size(reader.fd, 23, 67)
        seen["change"] = instance.expect(r"^line: /dev/tty1 has the size$[^$]*tty1 has the size",
                                         20)
        seen["session"] = reader.expect(b"session 1\r\n")
        reader.type(b"hello\r")
        seen["answer"] = reader.expect(b"got hello\r\n")
        reader.close()
        peer.close()
        seen["hangup"] = instance.expect(r"^line: session 1 of /dev/tty1 ended by SIGHUP", 20)
        peer, reader, _ = next_window()
        seen["next"] = reader.expect(b"session 2\r\n")
        ending.type(b"go\n")
        seen["end"] = reader.end()
        reader.close()
        peer.close()

    ours, theirs = socket.socketpair()
    ending = Reader(ours.fileno())
    environment = dict(os.environ, DISPLAY=":99")
    try:
        result = run("/line size /dev/tty1 22 66\n/line size /dev/tty1 23 67\n"
                     "/line serve /dev/tty1 &\n" + WAIT, "con1=xterm",
                     f"xterm={emulator},-title,", f"con9=fd:{theirs.fileno()}", drive=drive,
                     pass_fds=[theirs.fileno()], env=environment)
    finally:
        theirs.close()
        ours.close()
        server.close()

    def why():
        return f"{seen}\n{result.tail()}"
    tap.equal(seen.get("arguments"), b"-title con1 -e\n",
              "xterm=<emulator>,<title switch>,<exec switch>: empty fields are the default",
              why)
    tap.ok(seen.get("session") and seen.get("answer"), "xterm: a window is the line", why)
    tap.ok(seen.get("size") and seen.get("change"), "its size reaches the guest, also a new one",
           why)
    tap.ok(seen.get("hangup"), "to close it hangs the line up", why)
    tap.ok(seen.get("next"), "and the next use of the line opens another one", why)
    tap.ok(seen.get("end"), "which is closed when ./linux ends", why)
    uml.clean(result)


# ---- options ----

def refuses(arguments, about, sentence, env=None):
    result = uml.boot_and_judge(["mem=64M", *arguments], 20, env=env)
    lines = [line for line in result.console.splitlines() if line.strip()]
    tap.ok(result.exit == 1 and len(lines) == 1 and re.search(about, lines[0]), sentence,
           f"status {result.exit}, {len(lines)} lines:\n" + "\n".join(lines[-12:]))


def bad_options():
    plain = {key: value for key, value in os.environ.items()
             if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    file = uml.scratch("file")
    with open(file, "w") as out:
        out.write("x")
    refuses(["con1=xterm"], "DISPLAY is not set", "xterm without DISPLAY is one line, status 1",
            env=plain)
    refuses(["con1=xterm", "xterm=no-such-emulator"], "no program no-such-emulator in PATH",
            "an emulator that is not there is one line, status 1", env=dict(plain, DISPLAY=":99"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refuses([f"ssl1=port:{taken.getsockname()[1]}"], "in use; choose another port",
                "a port that is taken is one line, status 1")
    for option, about in (("ssl64=pts", "ssl0 to ssl63"), ("sslx=pts", "sslx"), ("ssl1=", "ssl1"),
                          ("con1=port", "port:9000"), ("con1=port:x", "port:9000"),
                          ("con1=port:70000", "port:9000"), ("con1=port:1.2.3:99", "port:9000"),
                          ("con1=pts:1", "pts takes no argument"), ("con1=tty", "tty:/dev/tty2"),
                          ("con1=tty:/nowhere", "No such file"),
                          (f"con1=tty:{file}", "no terminal"),
                          ("con1=unix", "unix:./con1"), (f"con1=unix:{file}", "is no socket"),
                          ("con1=unix:/nowhere/socket", "No such file"),
                          ("con1=unix:/" + "x" * 120, "107 bytes"), ("con1=fd:77", "fd:77"),
                          ("con1=pts,bogus", "there is no such channel"), ("xterm=", "xterm=")):
        refuses([option], about,
                f"{option.replace(uml.scratch(''), '')[:30]} is one line, status 1")


def which_lines():
    """con= and ssl= mean those not named, whatever the order; none and null."""
    result = run("""
        for line in tty1 tty2 tty3 ttyS0 ttyS1 ttyS63; do
            (echo >/dev/$line) 2>/dev/null && echo "$line is there" || echo "$line is not"
        done
        timeout 1 cat /dev/tty2; echo "null: $?"
        (echo >/dev/tty3) 2>&1 | grep -i "no such device"
        exit 0""", "con0=fd:0,fd:1", "con1=null", "con2=null", "con=none",
        "ssl63=null", "ssl=none", "ssl0=pts")
    tap.ok(re.search(r"tty1 is there\ntty2 is there\ntty3 is not\nttyS0 is there\nttyS1 is not\n"
                     "ttyS63 is there", result.output),
           "con= and ssl= set all lines that are not set singly, whatever the order", result.tail)
    tap.ok("null: 143" in result.output or "null: 124" in result.output,
           "null: reading waits, and what is written disappears", result.tail)
    tap.ok("o such device" in result.output, "none: there is no such device", result.tail)
    result = run("(echo hi >/dev/ttyS7) && echo opened; (echo >/dev/tty3) || echo none; exit 0")
    tap.ok("opened" in result.output and re.search(r"ssl7: pts:/dev/pts/\d+", result.console)
           and "none" in result.output,
           "without options consoles 1 to 15 are none, and a serial line that is opened gets a pts",
           result.tail)


def serial_console():
    ours, theirs = socket.socketpair()
    reader = Reader(ours.fileno())
    seen = {}

    def drive(instance):
        seen["log"] = reader.expect(rb"Linux version[^\n]*\r?\n")
        seen["line"] = reader.expect(rb"HELLO FROM A PROGRAM")

    instance = uml.Instance(["mem=64M", f"initrd={hello()}", "rdinit=/init", "console=ttyS0",
                             f"ssl0=fd:{theirs.fileno()}"], pass_fds=[theirs.fileno()])
    theirs.close()
    drive(instance)
    instance.wait(30)
    instance.close()
    ours.close()
    tap.ok(seen["log"] and seen["line"],
           "console=ttyS0: kernel messages and /dev/console are there",
           lambda: f"{reader.data[-2000:]}\n{instance.text[-1000:]}")


def hello():
    uml.run("echo HELLO FROM A PROGRAM >/dev/console; exit 0", mem="64M")
    return uml.scratch("guest.cpio")


def non_raw():
    for options, raw in (([], True), (["ssl-non-raw"], False)):
        master, slave = os.openpty()
        seen = {}

        def drive(instance):
            instance.expect("^OPEN", 20)
            seen["canonical"] = bool(termios.tcgetattr(slave)[3] & termios.ICANON)
            mconsole.ask(os.path.join(folder, "consoles", "mconsole"), "exec echo >/run/end")

        run("mkfifo /run/end; exec 5<>/dev/ttyS0; echo OPEN; read x </run/end; exit 0",
            f"ssl0=fd:{slave}", *options, drive=drive, pass_fds=[slave])
        tap.equal(seen.get("canonical"), not raw,
                  "ssl-non-raw: a serial line's terminal stays in its mode" if options else
                  "without it, it goes raw")
        os.close(master)
        os.close(slave)


# ---- lines that are changed at run time ----

def hot_plug():
    ours, theirs = socket.socketpair()
    end_ours, end_theirs = socket.socketpair()
    ending = Reader(end_ours.fileno())
    seen = {}

    def drive(instance):
        seen["none"] = ask("config con1")
        seen["default"] = ask("config ssl3")
        seen["set"] = ask("config con1=pts")
        error, spec = ask("config con1")
        seen["query"] = spec
        reader = opener(spec)() if spec.startswith("pts:") else Reader(os.open("/dev/null", 0))
        ending.type(b"serve\n")
        seen["works"] = reader.expect(b"session 1\r\n")
        seen["busy"] = [ask(text) for text in ("config con1=null", "remove con1")]
        reader.close()
        ending.type(b"stop\n")
        instance.expect(r"^STOPPED", 20)
        seen["removed"] = ask("remove con1")
        seen["gone"] = ask("config con1")
        seen["path"] = os.path.exists(spec.partition(":")[2])
        seen["fd"] = ask(f"config ssl3=fd:{theirs.fileno()}")
        ending.type(b"hello\n")
        seen["hello"] = Reader(ours.fileno()).expect(b"hello serial")
        seen["bad"] = [ask(text) for text in ("config con1=bogus", "config con16=pts",
                                              "config con1=fd:99", "config ssl=pts",
                                              "remove ssl64")]
        ending.type(b"go\n")

    result = run("""
        while read x </dev/tty9; do case $x in
            serve) /line serve /dev/tty1 & served=$!;;
            stop) kill $served; killall line; wait
                  while pidof line >/dev/null; do :; done; echo STOPPED;;
            hello) echo hello serial >/dev/ttyS3;;
            go) exit 0;;
        esac; done""", f"con9=fd:{end_theirs.fileno()}", drive=drive,
        pass_fds=[theirs.fileno(), end_theirs.fileno()])
    for end in (ours, theirs, end_ours, end_theirs):
        end.close()

    def why():
        return f"{seen}\n{result.tail()}"
    tap.ok(seen.get("none") == (0, "none") and seen.get("default") == (0, "pts"),
           "the management console says what a line is", why)
    tap.ok(seen.get("set", [1])[0] == 0 and re.match(r"pts:/dev/pts/\d+$", seen.get("query", "")),
           "config con1=pts makes one, and config con1 says where", why)
    tap.ok(seen.get("works"), "and the guest uses it", why)
    tap.ok(len(seen.get("busy", ())) == 2 and all(error and text == "Device is currently open"
                                                 for error, text in seen["busy"]),
           "while it is open it can be neither changed nor removed", why)
    tap.ok(seen.get("removed", [1])[0] == 0 and seen.get("gone") == (0, "none")
           and seen.get("path") is False, "afterwards it can, and its pty is gone", why)
    tap.ok(seen.get("fd", [1])[0] == 0 and seen.get("hello"),
           "a descriptor that ./linux inherited can be given to a line later", why)
    tap.ok(all(error and text for error, text in seen.get("bad", [(0, "")])),
           "channels and lines that do not exist are errors with a reason", why)
    uml.clean(result)


def no_descriptors():
    """A host with no descriptor left for a reader: those of commands take them all."""
    seen = {}

    def take_all():
        taken = []
        for _ in range(64):
            taken.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            taken[-1].connect(os.path.join(folder, "consoles", "exec"))
        # The last one was refused, for want of a descriptor.
        select.select(taken[-1:], [], [], 20)
        return taken

    def drive(instance):
        lines = [opener(where(instance, line)) for line in ("con1", "con2", "con3")]
        taken = take_all()
        readers = [line() for line in (*lines, opener(where(instance, "con4")))]
        try:
            seen["goes on"] = mconsole.ask(os.path.join(folder, "consoles", "mconsole"),
                                           "exec echo alive", 20)
        except TimeoutError:
            instance.process.kill()
            return
        for connection in taken:
            connection.close()
        ask("exec sleep 0.2")       # they are closed there, too
        for reader in readers:
            reader.close()
        readers = [line() for line in lines]
        seen["later"] = [reader.expect(rb"session \d\r\n") is not None for reader in readers]
        ask("exec touch /tmp/go")

    result = run("for n in 1 2 3; do /line serve /dev/tty$n & done\n"
                 "while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 0",
                 # The guest has not opened con4.
                 "con1=pts", "con2=port:0", f"con3=unix:{uml.scratch('few')}", "con4=pts",
                 drive=drive,
                 wrap=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'])
    tap.equal(seen.get("goes on"), (0, "alive\n"),
              "a reader for whom the host has no descriptor does not stop the guest", result.tail)
    tap.equal(seen.get("later"), [True] * 3, "and is let in when there are some again",
              result.tail)
    uml.clean(result)


PARTS = [every_kind, nobody_there, dead_reader, raw_bytes, telnet, shared_port, unix_sockets,
         host_terminal, window, bad_options, which_lines, serial_console, non_raw, hot_plug,
         no_descriptors]

uml.require()
uml.build()
only = os.environ.get("CONSOLES_ONLY", "").split()
for part in PARTS:
    if not only or part.__name__ in only:
        part()
tap.done()
