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
    """A Frail server in its own process."""

    def __init__(self, sign, *how, **more):
        self.path = uml.scratch(f"socket{next(SOCKETS)}")
        self.sign = sign
        ready, told = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self.run(told, *how, **more)
        os.close(told)
        with open(ready, "rb") as source:
            if not source.read(1):
                raise RuntimeError(f"{self.path}: the server does not start")

    def run(self, told, *how, **more):
        """In the child, which must not continue with this file. SIGALRM ends one that hangs."""
        signal.alarm(60 * uml.PATIENCE)
        try:
            server = Frail(self.path, self.sign, *how, **more)
            os.write(told, b".")
            os.close(told)
            server.thread.join()
        except Exception:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def signalled(self):
        """Wait until it has got its signal, or has ended otherwise; whether it got it."""
        status = os.waitpid(self.pid, os.WUNTRACED)[1]
        if os.WIFSTOPPED(status):
            return self.sign == os.WSTOPSIG(status)
        self.pid = None
        return os.WIFSIGNALED(status) and self.sign == os.WTERMSIG(status)

    def close(self):
        if self.pid:
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


# The messages that a server gets which lives
path = uml.scratch("whole")
whole = vhost.Disk(path)
result = finish(start(path))
whole.close()
REQUESTS = list(whole.requests)
tap.ok("read-0" in result.output and vhost.GET_VRING_BASE in REQUESTS,
       "a server that lives serves, and is told of the end", result.tail)


# The words of refusals at the start, by the words of later messages.
WORDS = {"is gone": "hung up", "does not answer": "does not answer"}


def is_sound(result, request, word):
    """How the guest ends when the server was lost at @request: it refuses to start, or continues.
    The reason is one line in words."""
    if re.search(r"(virtio_uml\.device=|server ).*error -?\d", result.console):
        return False
    if request in OPENING:
        last = result.console.splitlines()[-1]
        return (result.exit == 1 and last.startswith("linux: virtio_uml.device=") and
                WORDS[word] in last)
    # The same line is on the console and in the log that the guest prints before it ends.
    lines = {line for line in result.console.splitlines() if "the device is broken" in line}
    return (result.exit == 0 and result.status == 0 and not result.problems and
            len(lines) == 1 and word in lines.pop())


def try_each(sign, word):
    """Guests, each of which loses its server at another message; what went wrong."""
    servers = [Process(sign, turn) for turn in range(1, len(REQUESTS) + 1)]
    instances = [start(server.path) for server in servers]
    wrong = []
    for turn, (request, server, instance) in enumerate(zip(REQUESTS, servers, instances)):
        result = finish(instance)
        got = server.signalled()
        server.close()
        if not got or not is_sound(result, request, word) or result.leaked:
            wrong.append(f"message {turn}, request {request}, the server "
                         f"{'got' if got else 'did not get'} its signal:\n{result.tail(8)}")
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
    stopped = server.signalled()
    instance.process.terminate()
    result = finish(instance, 5)
    tap.ok(stopped and result.exit in (-signal.SIGTERM, 128 + signal.SIGTERM),
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
    stopped = server.signalled()
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
    tap.ok(stopped and alive and result.exit in wanted,
           f"a guest whose server is stopped with a request in hand goes on; {what}", result.tail)
    server.close()

# Started again
server = Process(signal.SIGKILL, sector=1600)
instance = start(server.path, SLOW, terminal=True)
killed = server.signalled()
os.unlink(server.path)
again = vhost.Disk(server.path)
alive = lives(instance) and instance.expect("is gone.*the device is broken", 30)
instance.type("end\n")
result = finish(instance)
tap.ok(killed and alive and result.exit == 0 and not hasattr(again, "socket"),
       "a server that is killed and started again is lost for a guest that runs", result.tail)
result = finish(start(server.path))
tap.ok("read-0" in result.output, "and serves the next one", result.tail)
again.close()
tap.done()
