#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user server that is killed or stopped at each message of the protocol, or with requests
in hand: the guest never hangs with it."""
import os
import re
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml
import vhost

uml.require()
if not {"CONFIG_VIRTIO_UML=y",
        "CONFIG_VIRTIO_BLK=y"} <= set(uml.configuration(uml.LINUX).splitlines()):
    tap.skip_all("this kernel is built without VIRTIO_UML or VIRTIO_BLK")
SOCKETS = iter(range(1000))
OPENING = (vhost.GET_FEATURES, vhost.GET_PROTOCOL_FEATURES, vhost.SET_PROTOCOL_FEATURES,
           vhost.GET_QUEUE_NUM, vhost.SET_BACKEND_REQ_FD, vhost.SET_OWNER)
tree = image.Tree()
tree.base("""
    [ -e /dev/vda ] && dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null
    echo read-$?
    exit 0
""")
READER = uml.scratch("reader.cpio")
tree.write_cpio(READER)


class Frail(vhost.Disk):
    """Sends itself a signal, which acts at once, at its @turn-th message, or with the request for a
    sector from @sector on in hand."""

    def __init__(self, path, sign, turn=0, sector=1 << 60):
        self.sign, self.turn, self.sector = sign, turn, sector
        super().__init__(path)

    def answer(self, request, payload, fds):
        self.turn -= 1
        if self.turn == 0:
            signal.pthread_kill(threading.get_ident(), self.sign)
        return super().answer(request, payload, fds)

    def serve(self, ring, out, room):
        if struct.unpack_from("<Q", out, 8)[0] >= self.sector:
            signal.pthread_kill(threading.get_ident(), self.sign)
        return super().serve(ring, out, room)


class Process:
    """A Frail server in a process of its own."""

    def __init__(self, *how, **more):
        self.path = uml.scratch(f"socket{next(SOCKETS)}")
        self.pid = os.fork()
        if not self.pid:
            server = Frail(self.path, *how, **more)
            server.thread.join()
            os._exit(0)
        uml.Instance.everyone.add(self.pid)
        while not os.path.exists(self.path):
            time.sleep(0.01)

    def signalled(self, flags=os.WUNTRACED):
        """Wait until it has got its signal."""
        return os.waitpid(self.pid, flags)[1]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def start(path, initrd=READER, **how):
    return uml.Instance(["mem=64M", f"initrd={initrd}", "rdinit=/init",
                         f"virtio_uml.device={path}:2"], **how)


def finish(instance, timeout=60):
    instance.wait(timeout)
    ended = instance.process.poll() is not None
    leaked = instance.close()
    return uml.Result(instance.text, instance.process.returncode if ended else None, leaked)


# What a server that lives is asked
path = uml.scratch("whole")
whole = vhost.Disk(path)
result = finish(start(path))
whole.close()
REQUESTS = list(whole.requests)
tap.ok("read-0" in result.output and vhost.GET_VRING_BASE in REQUESTS,
       "a server that lives serves, and is told of the end", result.tail)


# What is said at the start for what is said later.
WORDS = {"is gone": "hung up", "does not answer": "does not answer"}


def is_sound(result, request, word):
    """How the guest ends when the server was lost at @request: it refuses to start, or goes on; the
    reason is one line in words."""
    if re.search(r"(virtio_uml\.device=|server ).*error -?\d", result.console):
        return False
    if request in OPENING:
        last = result.console.splitlines()[-1]
        return result.exit == 1 and last.startswith("linux: virtio_uml.device=") and WORDS[word] in last
    lines = [line for line in result.console.splitlines() if "the device is broken" in line]
    # The log of a guest that ends has been printed when the last messages go out.
    return (result.exit == 0 and result.status == 0 and not result.problems and
            len(set(lines)) <= 1 and all(word in line for line in lines))


def try_each(sign, word):
    """Guests, each of which loses its server at another message; what went wrong."""
    servers = [Process(sign, turn) for turn in range(1, len(REQUESTS) + 1)]
    instances = [start(server.path) for server in servers]
    wrong = []
    for turn, (request, server, instance) in enumerate(zip(REQUESTS, servers, instances)):
        result = finish(instance)
        server.close()
        if not is_sound(result, request, word) or result.leaked:
            wrong.append(f"message {turn}, request {request}:\n{result.tail(8)}")
    return wrong


for sign, word, done in ((signal.SIGKILL, "is gone", "killed"),
                         (signal.SIGSTOP, "does not answer", "stopped")):
    wrong = try_each(sign, word)
    tap.ok(not wrong,
           f"a server that is {done} at any of its {len(REQUESTS)} messages is refused at "
           "the start, and later costs its device only", lambda: "\n".join(wrong[:5]))

# Signals while it is waited for
for turn, when in ((1, "starts"), (REQUESTS.index(vhost.SET_VRING_ADDR) + 1, "probes a device")):
    server = Process(signal.SIGSTOP, turn)
    instance = start(server.path)
    server.signalled()
    instance.process.terminate()
    result = finish(instance, 5)
    tap.ok(result.exit == -signal.SIGTERM or result.exit == 128 + signal.SIGTERM,
           f"SIGTERM ends a guest that {when} and waits for a server that is stopped", result.tail)
    server.close()

# Requests in hand
SCRIPT = """
    dd if=/dev/vda of=/dev/null bs=4096 count=1 skip=200 2>/dev/null && echo read-late &
    (while :; do echo tick; sleep 0.1; done) &
    read word
    [ $word = wait ] && wait $!
    exit 0"""


def lives(instance):
    """Whether the guest says something more."""
    return all(instance.expect("^tick$", 30, len(instance.text)) for _ in range(3))


tree = image.Tree()
tree.base(SCRIPT)
SLOW = uml.scratch("slow.cpio")
tree.write_cpio(SLOW)
for what in ("SIGTERM ends it", "it can end itself",
             "its request is served when the server goes on"):
    server = Process(signal.SIGSTOP, sector=1600)
    instance = start(server.path, SLOW, terminal=True)
    server.signalled()
    alive = lives(instance)
    if what.startswith("SIGTERM"):
        instance.process.terminate()
    elif what.startswith("it can"):
        instance.type("end\n")
    else:
        os.kill(server.pid, signal.SIGCONT)
        alive = alive and instance.expect("^read-late$", 30)
        instance.type("end\n")
    result = finish(instance)
    wanted = (128 + signal.SIGTERM, -signal.SIGTERM) if what.startswith("SIGTERM") else (0,)
    tap.ok(alive and result.exit in wanted,
           f"a guest whose server is stopped with a request in hand goes on; {what}", result.tail)
    server.close()

# Started again
server = Process(signal.SIGKILL, sector=1600)
instance = start(server.path, SLOW, terminal=True)
server.signalled(0)
os.unlink(server.path)
again = vhost.Disk(server.path)
alive = lives(instance) and instance.expect("is gone.*the device is broken", 30)
instance.type("end\n")
result = finish(instance)
tap.ok(alive and result.exit == 0 and not hasattr(again, "socket"),
       "a server that is killed and started again is lost for a guest that runs", result.tail)
result = finish(start(server.path))
tap.ok("read-0" in result.output, "and serves the next one", result.tail)
again.close()
tap.done()
