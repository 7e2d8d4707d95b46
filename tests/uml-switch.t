#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_switch: every version of its protocol, what it learns, drops and refuses, its sockets, and
clients that are slow, many, hostile, or gone. Debian's uml_switch is the peer where it is there."""
import contextlib
import grp
import json
import os
import pty
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import switchport
import tap
import uml
from switchport import BROADCAST, Port, frame

TOOL = os.path.join(uml.TOP, "build", "tools", "uml_switch")
DEBIANS = "/usr/bin/uml_switch"
MANY = 1000
if not os.path.exists(TOOL):
    tap.skip_all("build/tools/uml_switch is not built")
folder = uml.scratch("switch")
os.makedirs(folder, exist_ok=True)
control = os.path.join(folder, "ctl")


class Switch:
    """A switch that has been started, and answers."""
    def __init__(self, *arguments, tool=TOOL, where=control, wait=True, **how):
        self.process = subprocess.Popen([tool, "-unix", where, *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, **how)
        self.text = None
        if wait:
            wait_for_socket(where, self.process)

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.text = self.process.communicate(timeout=60)[0]
        return self.process.returncode


def wait_for_socket(where, process):
    deadline = time.monotonic() + 3 * uml.PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(where)
            return True
        time.sleep(0.01)
    return False


@contextlib.contextmanager
def switch(*arguments, **how):
    running = Switch(*arguments, **how)
    try:
        yield running
    finally:
        running.end()


@contextlib.contextmanager
def ports(count, **how):
    opened = []
    try:
        for _ in range(count):
            opened.append(Port(control, **how))
        yield opened
    finally:
        for port in opened:
            port.close()


def deliver(sender, data, others, marker=[0]):
    """Send @data; the numbers of those of @others that get it. A frame to all that follows it shows
    that nothing more comes."""
    marker[0] += 1
    last = frame(BROADCAST, 0x999, b"marker %d" % marker[0])
    sender.send(data)
    sender.send(last)
    got = []
    for port in others:
        while (arrived := port.receive()) not in (last, None):
            got.append((port, arrived))
    return [others.index(port) for port, arrived in got if arrived == data]


def counters(running):
    """The counters that a switch with --json prints at SIGUSR1."""
    running.process.send_signal(signal.SIGUSR1)
    return json.loads(running.process.stdout.readline())


def total(said, name):
    return said["gone"][name] + sum(port[name] for port in said["ports"])


# ---- frames ----

def learns(tool, peer):
    with switch(tool=tool), ports(3) as (a, b, c):
        got = [deliver(a, frame(2, 1, b"first"), [b, c]),
               deliver(b, frame(1, 2, b"answer"), [a, c]),
               deliver(a, frame(2, 1, b"again"), [b, c]),
               deliver(c, frame(BROADCAST, 3, b"to all"), [a, b]),
               deliver(c, frame(b"\1\0\x5e\0\0\1", 3, b"to a group"), [a, b]),
               deliver(c, frame(2, 1, b"moved"), [a, b]),
               deliver(b, frame(1, 2, b"to where it is now"), [a, c])]
        tap.equal(got, [[0, 1], [0], [0], [0, 1], [0, 1], [1], [1]],
                  f"{peer}frames to unknown addresses and groups go to all, those to known ones to "
                  "one, and an address that is seen elsewhere has moved")


def mended():
    with switch("--json") as running, ports(3) as (a, b, c):
        deliver(a, frame(9, 5), [b, c])
        a.send(frame(5, 1, b"own"))
        tap.equal(deliver(b, frame(BROADCAST, 2), [a, c]), [0, 1],
                  "a frame to an address behind its own port is not sent back")
        a.send(b"x" * 6)
        a.send(b"")
        a.send(frame(BROADCAST, 1, b"y" * 1501))
        a.send(frame(BROADCAST, 1, b"z" * 1500, kind=0x8101))
        a.send(b"\xff" * 6 + b"\1" + b"\0" * 60)
        tap.equal(deliver(a, frame(BROADCAST, 1, b"y" * 1500), [b, c]), [0, 1],
                  "frames that are too short or too long, or are from a group, go nowhere")
        tagged = frame(BROADCAST, 1, b"\0\7" + b"\x08\0" + b"t" * 1500, kind=0x8100)
        tap.equal(deliver(a, tagged, [b, c]), [0, 1], "a tag may come on top of the MTU")
        said = counters(running)
        tap.equal({name: total(said, name) for name in ("own", "in_short", "in_long",
                                                        "in_source")},
                  {"own": 1, "in_short": 2, "in_long": 1, "in_source": 1},
                  "each drop is counted with its reason")
    with switch("-mtu", "9000"), ports(2) as (a, b):
        tap.equal(deliver(a, frame(BROADCAST, 1, b"y" * 9000), [b]), [0],
                  "-mtu lets larger ones pass")
    with switch("-hub"), ports(3) as (a, b, c):
        deliver(b, frame(1, 2), [a, c])
        tap.equal(deliver(a, frame(2, 1), [b, c]), [0, 1], "a hub sends to all")


def vlans():
    def tagged(to, sender, vlan, payload):
        return frame(to, sender, struct.pack(">H", vlan) + b"\x08\0" + payload, kind=0x8100)
    with switch("-vlan"), ports(3) as (a, b, c):
        deliver(a, tagged(9, 1, 10, b"here"), [b, c])
        tap.equal((deliver(b, tagged(1, 2, 20, b"elsewhere"), [a, c]),
                   deliver(b, tagged(1, 2, 10, b"here"), [a, c])), ([0, 1], [0]),
                  "-vlan: what is learned in one VLAN says nothing of another")


def versions():
    with switch(), ports(2) as (a, b), ports(1, version=1) as (c,):
        tap.ok(all(len(port.reply) == 110 and port.reply[:3] == b"\1\0\0" for port in (a, b, c)),
               "requests of version 3 and 1 are answered with 110 bytes, an abstract name",
               a.reply)
        tap.equal(deliver(c, frame(BROADCAST, 3), [a, b]), [0, 1], "and both kinds get frames")
        for sentence, head in (
                ("of another type", struct.pack("=III", switchport.MAGIC, 3, 1)),
                ("of another version", struct.pack("=III", switchport.MAGIC, 99, 0)),
                ("of version 0, without -compat-v0", struct.pack("=I8x", 0)),
                ("with another magic number", struct.pack("=III", 0xdeadbeef, 3, 0))):
            with socket.socket(socket.AF_UNIX) as wrong:
                wrong.connect(control)
                wrong.sendall(head + switchport.address(b"\0nothing"))
                wrong.settimeout(3 * uml.PATIENCE)
                try:
                    said = wrong.recv(200)
                except ConnectionError:
                    said = b""
                tap.equal(said, b"", f"a request {sentence} is closed without an answer")
        with socket.socket(socket.AF_UNIX) as slow:
            slow.connect(control)
            request = struct.pack("=III", switchport.MAGIC, 3, 0)
            name = b"\0slow-%d" % os.getpid()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as data:
                data.bind(name.ljust(108, b"\0"))
                for byte in request + switchport.address(name):
                    slow.send(bytes([byte]))
                slow.settimeout(3 * uml.PATIENCE)
                tap.equal(len(slow.recv(200)), 110, "a request may come byte by byte")
    data = os.path.join(folder, "data")
    with switch(data, "-compat-v0"):
        with ports(2, version=0, to=data) as (a, b), ports(1) as (c,):
            wait_until(lambda: deliver(a, frame(BROADCAST, 1), [b, c]) == [0, 1])
            tap.equal((deliver(a, frame(BROADCAST, 1), [b, c]),
                       deliver(c, frame(1, 3), [a, b])), ([0, 1], [0]),
                      "-compat-v0: clients of version 0 share a socket, beside others")
    tap.ok(not os.path.exists(data), "which is removed, too")


def wait_until(condition, seconds=3):
    deadline = time.monotonic() + seconds * uml.PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


# ---- clients that do not read, or are gone ----

def slow_readers():
    with switch("--json") as running, ports(3) as (a, b, c):
        wanted = [frame(BROADCAST, 1, b"%d" % n) for n in range(200)]
        for data in wanted:
            a.send(data)
        arrived = []
        while len(arrived) < 200 and (data := c.receive()) is not None:
            arrived.append(data)
        tap.ok(arrived == wanted, "a port that does not read holds up no other", len(arrived))
        late = []
        while len(late) < 200 and (data := b.receive()) is not None:
            late.append(data)
        tap.ok(late == wanted, "200 frames wait for it, in order", len(late))
        for n in range(2000):
            a.send(frame(BROADCAST, 1, b"more %d" % n))
            c.all()
        wait_until(lambda: total(counters(running), "in_frames") == 2200)
        got = len(b.all(0.1))
        said = counters(running)
        full = max(port["out_full"] for port in said["ports"])
        tap.ok(got + full == 2000 and full > 1000,
               "more than some hundreds are dropped and counted", (got, full, said))
    tap.ok(len(running.text) < 1000, "without a line for each", len(running.text))
    with switch("--json") as running, ports(2) as (a, b):
        c = Port(control)
        c.data.close()
        tap.equal(deliver(a, frame(BROADCAST, 1), [b]), [0],
                  "a client whose data socket is gone harms no other")
        tap.ok(total(counters(running), "out_error") > 0, "and what it misses is counted")
        c.control.close()
        wait_until(lambda: len(counters(running)["ports"]) == 2)
        tap.equal(deliver(a, frame(BROADCAST, 1), [b]), [0], "nor when it goes altogether")


def addresses_made_up():
    with switch("--json") as running, ports(3) as (a, b, c):
        for n in range(20000):
            a.send(frame(BROADCAST, 0x10000 + n))
            b.all()
            c.all()
        wait_until(lambda: b.all() + c.all() == [] and not any(
            port["waiting"] for port in counters(running)["ports"]))
        tap.equal((deliver(b, frame(BROADCAST, 2), [a, c]), deliver(a, frame(2, 1), [b, c])),
                  ([0, 1], [0]), "20,000 addresses that a client makes up do not fill the switch")
        with open(f"/proc/{running.process.pid}/statm") as source:
            pages = int(source.read().split()[1])
        tap.ok(pages < 5000, "nor its memory", pages)


def many():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * MANY and hard != resource.RLIM_INFINITY:
        tap.skip(f"{MANY} ports", "the limit of open files is too low")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with switch("--json") as running, ports(MANY) as opened:
        opened[0].send(frame(BROADCAST, 1, b"to all"))
        got = sum(port.receive() is not None for port in opened[1:])
        tap.equal(got, MANY - 1, f"{MANY} ports at once: a frame to all reaches all others")
        tap.equal(len(counters(running)["ports"]), MANY, "and all are counted")
    with switch("--json") as running, ports(2) as (a, b):
        for _ in range(MANY):
            Port(control).close()
        tap.equal(deliver(a, frame(BROADCAST, 1), [b]), [0],
                  f"{MANY} clients that come and go disturb no other")
        tap.ok(wait_until(lambda: len(counters(running)["ports"]) == 2), "and none is left")
        tap.equal(len(os.listdir(f"/proc/{running.process.pid}/fd")) < 20, True,
                  "nor a descriptor of theirs")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def too_many():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    with switch(preexec_fn=limit) as running, ports(2) as (a, b):
        more, refused = [], 0
        for _ in range(40):
            try:
                more.append(Port(control))
            except (switchport.Refused, OSError):
                refused += 1
        before = cpu_time(running.process.pid)
        time.sleep(0.2)
        tap.ok(refused > 10 and cpu_time(running.process.pid) - before < 0.1,
               "without descriptors connections are refused, and it does not spin", refused)
        tap.ok(0 in deliver(a, frame(BROADCAST, 1), [b, *more]), "and those that are there go on")
        for port in more:
            port.close()
        tap.ok(wait_until(lambda: can_join()), "when some go, others can come")


def can_join():
    try:
        Port(control).close()
        return True
    except (switchport.Refused, OSError):
        return False


def cpu_time(pid):
    with open(f"/proc/{pid}/stat") as source:
        words = source.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# ---- its sockets and files ----

def sockets():
    with switch():
        second = Switch(wait=False)
        tap.ok(second.end(0) == 1 and "has another server attached to it" in second.text,
               "a second switch on a live socket: a line and status 1", second.text)
    tap.ok(not os.path.exists(control), "SIGTERM removes the socket")
    first = Switch()
    first.end(signal.SIGKILL)
    tap.ok(os.path.exists(control), "SIGKILL leaves it")
    with switch(), ports(2) as (a, b):
        tap.equal(deliver(a, frame(BROADCAST, 1), [b]), [0], "and the next switch takes it over")
    Switch().end(signal.SIGKILL)
    rivals = [Switch(wait=False) for _ in range(20)]
    wait_until(lambda: sum(one.process.poll() is None for one in rivals) == 1, 10)
    tap.equal((sum(one.process.poll() is None for one in rivals), can_join()), (1, True),
              "of twenty that are started at once over a dead one's socket, one lives")
    for one in rivals:
        one.end()
    with switch("-m", "0622", "-p", os.path.join(folder, "pid")) as running:
        with open(os.path.join(folder, "pid")) as source:
            pid = int(source.read())
        tap.equal((oct(stat.S_IMODE(os.stat(control).st_mode)), pid),
                  ("0o622", running.process.pid),
                  "-m sets the mode of the socket, -p writes its id")
    tap.ok(not os.path.exists(os.path.join(folder, "pid")), "which is gone at the end")
    if os.geteuid() == 0:
        group = grp.getgrgid(1)
        with switch("-m", "660", "-g", group.gr_name):
            file = os.stat(control)
            tap.equal((file.st_gid, oct(stat.S_IMODE(file.st_mode))), (1, "0o660"),
                      "-g sets its group")
    else:
        tap.skip("-g sets its group", "needs root")
    done = subprocess.run([TOOL, "-daemon", "-unix", control, "-p", os.path.join(folder, "pid")],
                          capture_output=True, text=True)
    with open(os.path.join(folder, "pid")) as source:
        pid = int(source.read())
    tap.ok(done.returncode == 0 and not done.stdout + done.stderr and can_join(),
           "-daemon: when it returns, the switch serves", done)
    os.kill(pid, signal.SIGTERM)
    tap.ok(wait_until(lambda: not os.path.exists(control)), "and ends by SIGTERM")


def activated():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(control)
    listener.listen(5)
    script = 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % listener.fileno()
    process = subprocess.Popen(["sh", "-c", script, "sh", TOOL], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, pass_fds=[listener.fileno()])
    with ports(2) as (a, b):
        tap.equal(deliver(a, frame(BROADCAST, 1), [b]), [0],
                  "a socket that systemd listens at is served")
    process.terminate()
    process.wait()
    tap.ok(os.path.exists(control), "and left as it is")
    os.unlink(control)


def terminal():
    host, guest = pty.openpty()
    process = subprocess.Popen([TOOL, "-unix", control], stdin=guest, stdout=subprocess.DEVNULL)
    os.close(guest)
    wait_for_socket(control, process)
    os.write(host, b"anything\n")
    alive = can_join()
    os.close(host)
    tap.equal((alive, process.wait(60), os.path.exists(control)), (True, 0, False),
              "the end of a terminal ends it")


def captured():
    path = os.path.join(folder, "all.pcap")
    with switch("-pcap", path), ports(2) as (a, b):
        sent = frame(BROADCAST, 1, b"captured")
        a.send(sent)
        b.receive()
        wait_until(lambda: os.path.getsize(path) > 24)
    with open(path, "rb") as source:
        data = source.read()
    magic, length = struct.unpack_from("=I", data)[0], struct.unpack_from("=I", data, 32)[0]
    tap.ok(magic == 0xa1b2c3d4 and data[40:40 + length] == sent,
           "-pcap: a capture file with all frames", data[:60])
    done = subprocess.run([TOOL, "-unix", control, "-pcap", "/nowhere/x"], capture_output=True,
                          text=True)
    tap.ok(done.returncode == 1 and "/nowhere/x" in done.stderr and done.stderr.count("\n") == 1,
           "one that cannot be written: a line and status 1", done)


def other_users():
    """A client names the socket of another user, to which the switch, as root, may send."""
    if os.geteuid() != 0:
        tap.skip("sockets of other users", "needs root")
        return
    victim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    shared = tempfile.mkdtemp()
    os.chmod(shared, 0o755)
    place, at = os.path.join(shared, "victim").encode(), os.path.join(shared, "ctl")
    victim.bind(place)
    with switch("-m", "666", where=at):
        script = f"""
import os, socket, struct, sys
os.setgid(65534); os.setuid(65534)
control = socket.socket(socket.AF_UNIX)
control.connect({at!r})
control.sendall(struct.pack("=IIIH108s", 0xfeedface, 3, 0, 1, {place!r}))
try:
    sys.exit(len(control.recv(200)))
except ConnectionError:
    sys.exit(0)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        with contextlib.closing(Port(at)) as a, contextlib.closing(Port(at)) as b:
            deliver(a, frame(BROADCAST, 1), [b])
        victim.setblocking(False)
        try:
            got = victim.recv(2000)
        except BlockingIOError:
            got = None
        tap.equal((done.returncode, got), (0, None),
                  "frames are not sent to a socket that another user owns", done.stderr)
    shutil.rmtree(shared)


def interface():
    """-tap in a private network namespace: a frame each way."""
    script = f"""
ip link set lo up && ip tuntap add dev swtap0 mode tap && ip link set swtap0 up || exit 77
exec python3 - <<'END'
import os, socket, subprocess, sys
sys.path.insert(0, {os.path.join(uml.TOP, "tests", "lib")!r})
import switchport
from switchport import Port, frame, BROADCAST
process = subprocess.Popen([{TOOL!r}, "-unix", {control!r}, "-tap", "swtap0"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
raw.bind(("swtap0", 0x88b5))
raw.settimeout(30)
while True:
    try:
        a = Port({control!r})
        break
    except OSError:
        pass
down = frame(BROADCAST, 1, b"down", 0x88b5)
a.send(down)
data = raw.recv(2000)
up = frame(1, 7, b"up", 0x88b5)
raw.send(up)
while (got := a.receive(30)) not in (up, None):
    pass
process.terminate()
process.wait()
sys.exit(0 if data == down and got == up else 1)
END
"""
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        tap.skip("-tap: an interface of the host is a port", "no TAP device can be made here: "
                 + done.stderr.strip()[:100])
        return
    tap.equal(done.returncode, 0, "-tap: an interface of the host is a port", done.stderr)


def arguments():
    for words in (["-mtu", "20"], ["-mtu", "x"], ["-nonsense"], ["extra"], ["-m", "9"], ["-unix"],
                  ["-unix", "a", "b"], ["-compat-v0", "-unix", "a"], ["-g", "nosuchgroup"],
                  ["-tap", "x" * 16]):
        done = subprocess.run([TOOL, *words], capture_output=True, text=True, cwd=folder,
                              stdin=subprocess.DEVNULL, timeout=60)
        tap.ok(done.returncode == 2 and done.stderr.count("\n") == 1,
               f"{' '.join(words)[:40]}: a line and status 2", done)
    for words in (["-unix", "/nowhere/x"], ["-unix", "x" * 120],
                  ["-unix", control, "-p", "/nowhere/pid"]):
        done = subprocess.run([TOOL, *words], capture_output=True, text=True, cwd=folder,
                              stdin=subprocess.DEVNULL, timeout=60)
        tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1 and
               not os.path.exists(control),
               f"{' '.join(words)[-30:]}: a line, status 1, and nothing is left", done)
    done = subprocess.run([TOOL, "--help"], capture_output=True, text=True)
    tap.ok(done.returncode == 0 and done.stdout.startswith("usage: uml_switch"), "--help")
    done = subprocess.run([TOOL, "--version"], capture_output=True, text=True)
    tap.ok(done.returncode == 0 and done.stdout.startswith("uml_switch "), "--version")


learns(TOOL, "")
if os.path.exists(DEBIANS):
    learns(DEBIANS, "Debian's uml_switch: ")
else:
    tap.skip("Debian's uml_switch", "uml-utilities is not installed")
mended()
vlans()
versions()
slow_readers()
addresses_made_up()
many()
too_many()
sockets()
activated()
terminal()
captured()
other_users()
interface()
arguments()
tap.done()
