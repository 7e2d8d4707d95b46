# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in an instance over its socket exec: docs/reference/exec.md."""
import collections
import contextlib
import select
import socket
import struct
import threading
import time

import uml

START, INPUT, INPUT_END, SIZE, SIGNAL = range(1, 6)
OUTPUT, ERRORS, STATUS, FAILURE = range(16, 20)
TERMINAL = 1
LONGEST = 32768
PATH = "PATH=/bin:/sbin:/usr/bin:/usr/sbin"

Result = collections.namedtuple("Result", "status output errors failure")


def start_frame(words, environment=(PATH,), directory="/", user=0, group=0, groups=(),
                size=None, **change):
    """The request to run @words; @change overrides numbers of its head."""
    fields = dict(kind=START, version=1, flags=TERMINAL if size else 0, user=user, group=group,
                  supplementary=len(groups), rows=(size or (0, 0))[0], columns=(size or (0, 0))[1],
                  arguments=len(words), variables=len(environment))
    fields.update(change)
    return struct.pack("=10I", *fields.values()) + struct.pack(f"={len(groups)}I", *groups) + \
        b"".join(text.encode() + b"\0" for text in (directory, *words, *environment))


class Command:
    """A connection, and what came from it."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)       # waits, where many do so at once
        self.socket.settimeout(timeout * uml.PATIENCE)
        self.output, self.errors = bytearray(), bytearray()
        self.status, self.failure = None, None

    def send(self, kind, data=b""):
        self.socket.send(struct.pack("=I", kind) + data)

    def input(self, data):
        self.send(INPUT, data)

    def resize(self, rows, columns):
        self.send(SIZE, struct.pack("=II", rows, columns))

    def signal(self, number):
        self.send(SIGNAL, struct.pack("=I", number))

    def receive(self):
        """Take one frame; False at the end."""
        try:
            frame = self.socket.recv(2 * LONGEST)
        except ConnectionResetError:
            frame = b""
        if not frame:
            return False
        kind, data = struct.unpack_from("=I", frame)[0], frame[4:]
        if kind == OUTPUT:
            self.output += data
        elif kind == ERRORS:
            self.errors += data
        elif kind == STATUS:
            self.status = struct.unpack("=I", data)[0]
        elif kind == FAILURE:
            self.failure = struct.unpack_from("=I", data)[0], data[4:].decode()
        else:
            raise ValueError(f"a frame of kind {kind}")
        return True

    def expect(self, text, timeout=30, after=b""):
        """Wait until @text is in the output, behind the first @after; whether it came."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while text not in (self.output.partition(after)[2] if after else self.output):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0] or \
                    not self.receive():
                return False
        return True

    def read_to_end(self, timeout=60):
        """Take all frames; TimeoutError when the end has not come after PATIENCE times @timeout
        seconds."""
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            if not self.receive():
                return
        raise TimeoutError(f"the command has not ended after {timeout * uml.PATIENCE} seconds")

    def finish(self, timeout=60):
        """Read to the end, as above, and close; the Result."""
        try:
            self.read_to_end(timeout)
        finally:
            self.close()
        return self.result()

    def result(self):
        return Result(self.status, bytes(self.output), bytes(self.errors), self.failure)

    def close(self):
        self.socket.close()


def start(path, *arguments, **how):
    """A Command that was told what to run."""
    command = Command(path)
    with contextlib.suppress(BrokenPipeError):      # refused: the reason can be read
        command.socket.send(start_frame(arguments, **how))
    return command


def run(path, *arguments, data=b"", **how):
    """The Result of a command with @data as its input."""
    command = start(path, *arguments, **how)

    def feed():
        with contextlib.suppress(OSError):      # the command has ended without reading it all
            for at in range(0, len(data), LONGEST - 4):
                command.input(data[at:at + LONGEST - 4])
            command.send(INPUT_END)
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        command.read_to_end()
    finally:
        with contextlib.suppress(OSError):
            command.socket.shutdown(socket.SHUT_RDWR)   # ends the feeder, too
        feeder.join()
        command.close()
    return command.result()
