# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the socket console of an instance: docs/reference/console-socket.md."""
import re
import select
import socket
import struct
import time

import uml

LIST, START, INPUT, SIZE = range(1, 5)
OUTPUT, LOST, ROLE, ENTRY, END, FAILURE = range(16, 22)
WRITES, WATCHES, ONLY_READS = range(1, 4)
READ_ONLY = 1
LONGEST = 32768


def request(kind, line="", flags=0, size=(0, 0), version=1):
    """The first frame of a connection."""
    if kind == LIST:
        return struct.pack("=II", kind, version)
    return struct.pack("=5I8s", kind, version, flags, *size, line.encode())


class Client:
    """A connection, and what came from it."""

    def __init__(self, path, line=None, **how):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.settimeout(10 * uml.PATIENCE)
        self.output, self.roles, self.lost, self.entries = bytearray(), [], 0, []
        self.failure, self.has_end, self.ended = None, False, False
        if line:
            self.socket.send(request(START, line, **how))

    def send(self, kind, data=b""):
        self.socket.send(struct.pack("=I", kind) + data)

    def type(self, data):
        for at in range(0, len(data), LONGEST - 4):
            self.send(INPUT, data[at:at + LONGEST - 4])

    def resize(self, rows, columns):
        self.send(SIZE, struct.pack("=II", rows, columns))

    def receive(self):
        """Take one frame; False at the end."""
        try:
            frame = self.socket.recv(2 * LONGEST)
        except ConnectionResetError:
            frame = b""
        if not frame:
            self.ended = True
            return False
        kind, data = struct.unpack_from("=I", frame)[0], frame[4:]
        if kind == OUTPUT:
            self.output += data
        elif kind == LOST:
            self.lost += struct.unpack("=II", data)[0]
        elif kind == ROLE:
            self.roles.append(struct.unpack("=II", data))
        elif kind == ENTRY:
            is_open, clients, line, channel = struct.unpack("=II8s256s", data)
            self.entries.append((line.split(b"\0")[0].decode(), channel.split(b"\0")[0].decode(),
                                 is_open, clients))
        elif kind == END:
            self.has_end = True
        elif kind == FAILURE:
            self.failure = struct.unpack_from("=I", data)[0], data[4:].decode()
        else:
            raise ValueError(f"a frame of kind {kind}")
        return True

    def wait(self, condition, timeout=10):
        """Receive until @condition() is true; whether it became so."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0] or \
                    not self.receive():
                return bool(condition())
        return True

    def expect(self, pattern, timeout=10):
        return self.wait(lambda: re.search(pattern, self.output), timeout)

    def finish(self):
        """Read to the end and close."""
        while self.receive():
            pass
        self.socket.close()
        return self

    def close(self):
        self.socket.close()


def lines(path):
    """The list of lines: {name: (channel, is open, clients)}."""
    client = Client(path)
    client.socket.send(request(LIST))
    return {name: rest for name, *rest in client.finish().entries}
