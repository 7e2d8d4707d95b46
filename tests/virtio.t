#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtio devices of vhost-user servers: a disk of ours, one of qemu-storage-daemon, servers that
go away or lie."""
import errno
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import uml
import vhost

uml.require()
CONFIG = uml.configuration(uml.LINUX)
if "CONFIG_VIRTIO_UML=y\n" not in CONFIG or "CONFIG_VIRTIO_BLK=y\n" not in CONFIG:
    tap.skip_all("this kernel is built without VIRTIO_UML or VIRTIO_BLK")
ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
SOCKETS = iter(range(1000))


def socket_name():
    return uml.scratch(f"socket{next(SOCKETS)}")


def boot(script, path, **how):
    return uml.run(script, mem="64M", arguments=[f"virtio_uml.device={path}:2"], timeout=60, **how)


# A disk
path = socket_name()
disk = vhost.Disk(path, sectors=8192)
disk.data[512 * 77:512 * 77 + 5] = b"hello"
result = boot("""
    [ "$(blockdev --getsize64 /dev/vda)" = 4194304 ] && echo size-right
    dd if=/dev/vda bs=512 skip=77 count=1 2>/dev/null | head -c 5; echo
    i=0; while [ $i -lt 5000 ]; do echo "line $i"; i=$((i+1)); done > /tmp/big
    dd if=/tmp/big of=/dev/vda bs=4096 seek=3 conv=fsync 2>/dev/null
    echo 3 > /proc/sys/vm/drop_caches
    dd if=/dev/vda bs=4096 skip=3 2>/dev/null | cmp -n $(wc -c < /tmp/big) /tmp/big - && echo read-back
    exit 0""", path)
tap.ok("size-right" in result.output and "hello" in result.output,
       "a vhost-user disk has its size and its data", result.tail)
tap.ok("read-back" in result.output, "what is written to it is read back", result.tail)
tap.ok(bytes(disk.data[12288:12302]) == b"line 0\nline 1\n", "and is in the server", result.tail)
uml.clean(result)
disk.close()

# A server that nobody here wrote
if not shutil.which("qemu-storage-daemon"):
    tap.skip("a disk of qemu-storage-daemon",
             "it is not on this machine (Debian package qemu-system-common)")
else:
    path, image = socket_name(), uml.scratch("qsd.ext4")
    with open(image, "wb") as out:
        out.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True, env=ENVIRONMENT)
    daemon = subprocess.Popen(["qemu-storage-daemon", "--blockdev",
                               f"driver=file,node-name=disk,filename={image}",
                               "--export",
                               f"type=vhost-user-blk,id=disk,node-name=disk,addr.type=unix,addr.path={path},"
                               "writable=on,num-queues=2"])
    while not os.path.exists(path) and daemon.poll() is None:
        time.sleep(0.05)
    result = boot("""
        set -e
        mkdir /data; mount -t ext4 /dev/vda /data; cd /data
        i=0; while [ $i -lt 100 ]; do echo $i > file$i; i=$((i+1)); done
        dd if=/dev/urandom of=big bs=1M count=8 2>/dev/null
        md5sum big > sum; sync; echo 3 > /proc/sys/vm/drop_caches
        md5sum -c sum
        cd /; umount /data
        exit 0""", path)
    daemon.terminate()
    daemon.wait()
    check = subprocess.run(["e2fsck", "-fn", image], capture_output=True, text=True,
                           env=ENVIRONMENT)
    tap.ok(result.status == 0 and check.returncode == 0,
           "a file system on a disk of qemu-storage-daemon is written, read and clean",
           lambda: result.tail() + check.stdout)
    uml.clean(result)

# A server that goes away
path = socket_name()
disk = vhost.Disk(path)


def hang_up(instance):
    if instance.expect("^HANG-UP$", 30):
        disk.close()
        instance.type("go\n")


LOST = "until dmesg | grep -q 'the device is broken'; do sleep 0.1; done"
result = boot(f"""
    dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null && echo first-read
    echo HANG-UP; read go; {LOST}
    timeout 10 dd if=/dev/vda of=/dev/null bs=4096 skip=9 count=1 || echo then-error-$?
    dmesg | grep -c 'the device is broken'
    exit 0""", path, drive=hang_up, terminal=True)
tap.ok("first-read" in result.output and "then-error-1" in result.output,
       "a server that goes away makes I/O errors", result.tail)
tap.ok("\n1\n" in result.output and result.status == 0, "said in one line, and the guest goes on",
       result.tail)


# A server that goes away with requests in hand
class Hoarder(vhost.Disk):
    """Keeps what it is asked from sector 1024 on."""

    def __init__(self, path):
        self.kept = {0: threading.Event(), 1: threading.Event()}       # reads, writes
        super().__init__(path)

    def serve(self, ring, out, room):
        kind, _, sector = struct.unpack_from("<IIQ", out)
        if sector < 1024:
            return super().serve(ring, out, room)
        self.kept[kind].set()
        return None

    def give(self, ring, head, data, room):
        if data is not None:
            super().give(ring, head, data, room)


def hang_up_full(instance):
    """The write comes first: a reader has Linux's lock of the device; a writer seeks under it."""
    if disk.kept[1].wait(30 * uml.PATIENCE):
        instance.type("go\n")
        disk.kept[0].wait(30 * uml.PATIENCE)
    disk.close()


path = socket_name()
disk = Hoarder(path)
result = boot("""
    (dd if=/dev/zero of=/dev/vda bs=4096 seek=150 count=20 conv=fsync,notrunc; echo writer-ended-$?) 2>/dev/null &
    read go
    (dd if=/dev/vda of=/dev/null bs=4096 skip=200 count=1; echo reader-ended-$?) 2>/dev/null &
    wait
    exit 0""", path, drive=hang_up_full, terminal=True)
ended = all(word in result.output for word in ("reader-ended-1", "writer-ended-1"))
tap.ok(ended and result.status == 0,
       "what a disk's server has in hand when it goes away ends with an error",
       lambda: f"{[kept.is_set() for kept in disk.kept.values()]}\n{result.tail()}")
tap.ok(all(kept.is_set() for kept in disk.kept.values()), "which it had: a read and a write")


# Servers that lie
class Liar(vhost.Disk):
    """Lies in the answer to one request of the protocol."""

    def __init__(self, path, about, how):
        self.about, self.how = about, how
        super().__init__(path)

    def reply(self, request, answer):
        if request != self.about:
            super().reply(request, answer)
        elif self.how == "long":
            self.socket.sendall(struct.pack("<III", request, 5, 0x7fffffff) + bytes(100))
        elif self.how == "other":
            super().reply(request + 1, answer)
        elif self.how == "noise":
            self.socket.sendall(os.urandom(64))


class BadRing(vhost.Disk):
    """Ends requests that were never made, with lengths that cannot be."""

    def work(self, ring):
        while self.take(ring) is not None:
            self.used(ring, 0x7ffffff0, 0xffffffff)


for about, how, name in ((vhost.GET_FEATURES, "long", "an answer of 2 GiB"),
                         (vhost.GET_PROTOCOL_FEATURES, "other", "the wrong answer")):
    path = socket_name()
    liar = Liar(path, about, how)
    result = uml.boot_and_judge(["mem=64M", f"virtio_uml.device={path}:2"], 30)
    tap.ok(result.exit == 1 and "does not talk vhost-user" in result.console,
           f"{name} at the start is refused", result.tail)
    liar.close()
for about, how, name in ((vhost.GET_CONFIG, "long", "too long a configuration"),
                         (vhost.SET_VRING_ADDR, "noise", "noise")):
    path = socket_name()
    liar = Liar(path, about, how)
    result = boot("ls /dev/vda; dmesg | grep -c 'the device is broken'; exit 0", path)
    tap.ok(result.status == 0 and "\n1\n" in result.output,
           f"{name} later breaks the device and nothing else", result.tail)
    liar.close()
path = socket_name()
liar = BadRing(path)
result = boot("until dmesg | grep 'not a head\\|out of range'; do sleep 0.1; done; exit 0", path)
tap.ok(result.status == 0 and ("not a head" in result.output or "out of range" in result.output),
       "a ring with nonsense in it breaks the ring and nothing else", result.tail)
liar.close()

# Servers that are slow, in the middle of a message too: everybody else in the guest goes on. None
# of these waits longer than it takes the guest to show that it lives; one that stood still would
# give the server up before.
CHANGE = struct.pack("<III", vhost.BACKEND_CONFIG_CHANGE, 1, 0)
TICKS = """
    (while :; do echo tick; sleep 0.1; done) &
    echo SIZE-ASKED
    until [ "$(blockdev --getsize64 /dev/vda)" = 2097152 ]; do sleep 0.1; done
    dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null && echo still-read
    dmesg | grep 'the device is broken'
    exit 0"""


def lives(instance):
    """Whether the guest says something more."""
    return all(instance.expect("^tick$", 30, len(instance.text)) for _ in range(3))


class Slow(vhost.Disk):
    """Answers a request for the configuration only when it is let."""

    def __init__(self, path):
        self.asked, self.let = threading.Event(), threading.Event()
        self.let.set()
        super().__init__(path)

    def grow(self):
        struct.pack_into("<Q", self.config, 0, 4096)

    def reply(self, request, answer):
        if request != vhost.GET_CONFIG or self.let.is_set():
            super().reply(request, answer)
            return
        message = struct.pack("<III", request, 5, len(answer)) + answer
        self.socket.sendall(message[:20])
        self.asked.set()
        self.let.wait(60)
        self.socket.sendall(message[20:])


def half_a_request(instance, server):
    server.grow()
    server.backend.sendall(CHANGE[:7])
    alive = lives(instance)
    server.backend.sendall(CHANGE[7:])
    return alive


def half_an_answer(instance, server):
    server.grow()
    server.let.clear()
    server.backend.sendall(CHANGE)
    alive = server.asked.wait(60) and lives(instance)
    server.let.set()
    return alive


def several_at_once(instance, server):
    server.backend.sendall(CHANGE + CHANGE + CHANGE[:3])
    alive = lives(instance)
    server.grow()
    server.backend.sendall(CHANGE[3:])
    return alive


for misbehave, sentence in ((half_a_request, "sends half a request"),
                            (half_an_answer, "gives half an answer"),
                            (several_at_once, "sends several requests, the last in pieces")):
    path = socket_name()
    server = Slow(path)
    alive = []

    def drive(instance, how=misbehave):
        if instance.expect("^SIZE-ASKED$", 30):
            try:
                alive.append(how(instance, server))
            except OSError as error:    # the guest has closed the socket
                alive.append(error)

    result = boot(TICKS, path, drive=drive)
    tap.ok(alive == [True] and result.status == 0 and "still-read" in result.output
           and "broken" not in result.output,
           f"while a server {sentence} the guest goes on, and takes the rest when it comes",
           lambda: f"{alive}\n{result.tail()}")
    uml.clean(result)
    server.close()


class Half(vhost.Disk):
    """Sends half an answer and goes away."""

    def reply(self, request, answer):
        if request != vhost.SET_VRING_ADDR:
            super().reply(request, answer)
            return
        self.socket.sendall(struct.pack("<III", request, 5, len(answer))[:7])
        raise EOFError


path = socket_name()
server = Half(path)
result = boot("dmesg | grep -c 'is gone.*the device is broken'; exit 0", path)
tap.ok(result.status == 0 and result.output.split()[:1] == ["1"],
       "a server that goes away within an answer breaks the device and nothing else", result.tail)
server.close()

# What a server may do with guest RAM, and what root in the guest may do with servers
path = socket_name()
server = vhost.Disk(path)
shrinks = []


def shrink(instance):
    if instance.expect("^SHARED$", 30):
        try:
            os.ftruncate(server.ram, 1 << 20)
            shrinks.append("done")
        except OSError as error:
            shrinks.append(error.errno)


result = boot("echo SHARED; i=0; while [ $i -lt 20 ]; do echo $i >/tmp/file$i; sleep 0.1; "
              "i=$((i+1)); done; exit 0", path, drive=shrink)
tap.ok(shrinks == [errno.EPERM] and result.status == 0, "a server cannot make guest RAM smaller",
       lambda: f"{shrinks}\n{result.tail()}")
server.close()
path, idle = socket_name(), vhost.Disk(socket_name())
server = vhost.Disk(path)
result = boot(f"""
    at=/sys/module/virtio_uml/parameters/device
    cat $at
    echo {idle.listener.getsockname()}:2 >$at || echo refused
    chmod 600 $at; echo {idle.listener.getsockname()}:2 >$at || echo refused-again
    ls /dev/vd*
    exit 0""", path)
tap.ok("refused\n" in result.output and "refused-again" in result.output
       and "/dev/vdb" not in result.output and not hasattr(idle, "socket") and
       f"{path}:2:0" in result.output,
       "root in the guest reads which servers there are, and cannot connect to others", result.tail)
uml.clean(result)
server.close()
idle.close()

# Options
for option, sentence in ((f"{uml.scratch('none')}:2", "no such socket"),
                         (f"{uml.scratch('none')}", "give <socket>:<virtio id>")):
    result = uml.boot_and_judge(["mem=64M", f"virtio_uml.device={option}"], 30)
    last = ([line for line in result.console.splitlines() if line.strip()] or [""])[-1]
    tap.ok(result.exit == 1 and sentence in last,
           f"virtio_uml.device= without what it needs ends with a line: {sentence}", result.tail)


# At run time, by the management console
class Console:
    """The management console of a guest that waits for its end."""

    def __init__(self, instance, at):
        self.pid, self.at = instance.pid, at

    def ask(self, request, timeout=20):
        """(error, text) of the answer."""
        return mconsole.ask(self.at, request, timeout)

    def shell(self, line):
        """(status, output) of a line in the guest."""
        return self.ask(f"exec {line}", 60)

    def has(self, device):
        return self.shell(f"ls /dev/{device}")[0] == 0


def with_console(drive, *arguments, **how):
    """The Result of a guest while whose run drive(console) is called."""
    folder = uml.scratch("instances")

    def drive_instance(instance):
        drive(Console(instance, os.path.join(folder, "hot", "mconsole")))
        instance.type("go\n")

    return uml.run("mkdir -p /data; read go; exit 0", mem="64M", timeout=120, terminal=True,
                   arguments=[f"uml_dir={folder}", "umid=hot", *arguments], drive=drive_instance,
                   **how)


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds * uml.PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def add_and_remove(console):
    path = socket_name()
    disk = vhost.Disk(path, sectors=8192)
    tap.equal(console.ask("config virtio_uml0"), (0, f"{BOOTED.path}:2"),
              "the management console shows a device of the command line")
    tap.equal(console.ask("config virtio_uml1")[0], 1, "and none that is not there")
    tap.equal(console.ask(f"config virtio_uml1={path}:2"), (0, ""), "it adds one")
    tap.equal(console.ask("config virtio_uml1"), (0, f"{path}:2"), "which it shows then")
    status, text = console.shell("mke2fs -q /dev/vdb && mount /dev/vdb /data && "
                                 "echo kept >/data/file && sync && cat /data/file")
    tap.equal((status, text.strip().splitlines()[-1:]), (0, ["kept"]),
              "a disk that was added holds a file system")
    tap.equal([console.ask(request) for request in
               ("remove virtio_uml1", f"config virtio_uml1={path}:2")],
              [(1, "Device is currently open")] * 2, "mounted, it is not removed and not replaced")
    console.shell("umount /data")
    tap.equal(console.ask("remove virtio_uml1"), (0, ""), "unmounted, it is removed")
    disk.thread.join(10 * uml.PATIENCE)
    tap.ok(not console.has("vdb") and not disk.thread.is_alive(),
           "it is gone from the guest, and its server is hung up on")
    tap.equal(console.ask("remove virtio_uml1")[0], 1, "and cannot be removed again")
    data, path = disk.data, socket_name()
    disk = vhost.Disk(path, sectors=8192)
    disk.data = data
    console.ask(f"config virtio_uml1={path}:2:1")
    tap.equal(console.shell("mount /dev/vdb /data && cat /data/file && umount /data"),
              (0, "kept\n"), "it comes back with what is on it")
    tap.equal(console.ask(f"config virtio_uml1={path}:2"),
              (1, "virtio_uml1 has a server; remove virtio_uml1 first"), "a number is given once")
    disk.close()
    tap.ok(wait_until(lambda: "is broken" in console.shell("dmesg")[1])
           and console.ask("remove virtio_uml1") == (0, "") and not console.has("vdb"),
           "a disk whose server is lost can be removed")
    tap.equal(console.ask("remove virtio_uml0"), (0, ""),
              "a device of the command line can be removed")
    tap.ok(not console.has("vda"), "and is gone")


BOOTED = vhost.Disk(socket_name())
BOOTED.path = BOOTED.listener.getsockname()
result = with_console(add_and_remove, f"virtio_uml.device={BOOTED.path}:2")
tap.equal(result.status, 0, "the guest goes on all the while", result.tail)
uml.clean(result, allowed="I/O error|the device is broken")
BOOTED.close()


# Servers that cannot be used
def refused(console, value, why, sentence):
    """One line, and nothing stays of it."""
    error, text = console.ask(f"config virtio_uml3={value}")
    tap.ok(error == 1 and why in text and len(text.splitlines()) == 1
           and console.ask("config virtio_uml3")[0] == 1
           and console.shell("ls -d /sys/bus/platform/devices/virtio-uml.*")[0] != 0
           and not console.has("vda"),
           f"{sentence} is refused in a line, and nothing stays of it", (error, text))


class Gone(vhost.Disk):
    """Hangs up when it is asked about its disk."""

    def reply(self, request, answer):
        if request == vhost.GET_CONFIG:
            raise EOFError
        super().reply(request, answer)


def full_server():
    """(a listener that accepts nothing, its clients, which fill its queue)"""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socket_name())
    listener.listen(0)
    clients = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        clients.append(client)
        if client.connect_ex(listener.getsockname()):
            return listener, clients


def silent_server(console):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(socket_name())
    listener.listen(1)
    refused(console, f"{listener.getsockname()}:2", "does not answer", "a server that is silent")
    listener.close()


def busy_server(console):
    """Who waits for it does so alone."""
    listener, clients = full_server()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(
        console.ask(f"config virtio_uml3={listener.getsockname()}:2", 60)))
    asking.start()
    lives = console.shell("sleep 0.1; echo lives") == (0, "lives\n")
    waited = not answers
    listener.close()
    asking.join(60 * uml.PATIENCE)
    for client in clients:
        client.close()
    tap.ok(lives and waited and answers and answers[0][0] == 1,
           "while the management console waits for a server that is busy, the guest goes on",
           (lives, waited, answers))


def wrong_servers(console):
    nobody = socket.socket(socket.AF_UNIX)
    nobody.bind(socket_name())
    with open(uml.scratch("file"), "w"):
        pass
    for value, why, sentence in (
            (f"{uml.scratch('none')}:2", "there is no such socket", "a socket that is not there"),
            (f"{nobody.getsockname()}:2", "no server listens there", "a socket without a server"),
            (f"{uml.scratch('file')}:2", "no server listens there", "a file"),
            (f"/{'x' * 200}:2", "too long", "a path that is too long"),
            (uml.scratch("none"), "give <socket>:<virtio id>", "a socket without a virtio id"),
            (f"{uml.scratch('none')}:2:7", "give <socket>:<virtio id>", "another platform id")):
        refused(console, value, why, sentence)
    nobody.close()
    for server, why, sentence in (
            (Liar(socket_name(), vhost.GET_FEATURES, "long"), "does not talk vhost-user", "a liar"),
            (Liar(socket_name(), vhost.GET_CONFIG, "long"), "gave a wrong answer",
             "a server that lies later"),
            (Gone(socket_name()), "is gone", "a server that goes away")):
        refused(console, f"{server.listener.getsockname()}:2", why, sentence)
        server.close()
    tap.equal(console.ask("config virtio_uml=x:2")[0], 1, "a device without a number is refused")
    silent_server(console)
    busy_server(console)


result = with_console(wrong_servers)
tap.equal(result.status, 0, "the guest goes on all the while", result.tail)
uml.clean(result, allowed="the device is broken")


# Many times
def descriptors(console):
    return len(os.listdir(f"/proc/{console.pid}/fd"))


def many_times(console):
    console.shell("true")
    before, added = descriptors(console), 0
    for _ in range(30):
        path = socket_name()
        disk = vhost.Disk(path)
        added += (console.ask(f"config virtio_uml7={path}:2") == (0, "") and console.has("vda")
                  and console.ask("remove virtio_uml7") == (0, ""))
        disk.close()
    tap.equal((added, descriptors(console) - before), (30, 0),
              "a device is added and removed thirty times, and no descriptor stays on the host")


result = with_console(many_times)
tap.equal(result.status, 0, "the guest goes on", result.tail)
uml.clean(result)
tap.done()
