# SPDX-License-Identifier: GPL-2.0-or-later
"""Speaks to an instance's management console: docs/reference/mconsole.md."""
import errno
import itertools
import os
import socket
import struct
import time

import uml

MAGIC, VERSION, TEXT = 0xcafebabe, 2, 512
HEAD = struct.Struct("=III")
_names = itertools.count()


def packet(text, magic=MAGIC, version=VERSION, length=None, size=TEXT):
    """A request of @size bytes of text."""
    text = text.encode() if isinstance(text, str) else text
    return HEAD.pack(magic, version, len(text) if length is None else length) + \
        text.ljust(size, b"\0")[:size]


class Client:
    """A socket from which requests go to @path."""

    def __init__(self, path, timeout=10):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{os.getpid()}-{next(_names)}".encode())
        self.socket.settimeout(timeout * uml.PATIENCE)

    def send(self, data):
        self.socket.sendto(data, self.path)

    def answer(self):
        """The next answer: (error, text, number of packets)."""
        whole, count = b"", 0
        while True:
            data = self.socket.recv(65536)
            error, more, length = HEAD.unpack_from(data)
            whole += data[HEAD.size:HEAD.size + length - 1]
            count += 1
            if not more:
                return error, whole, count

    def ask(self, text):
        """(error, text) of the answer to a request."""
        self.send(packet(text))
        error, answer, _ = self.answer()
        return error, answer.decode(errors="replace")

    def close(self):
        self.socket.close()


def ask(path, text, timeout=10):
    """One request from a new client."""
    client = Client(path, timeout)
    try:
        return client.ask(text)
    finally:
        client.close()


def wait_for(path, timeout=30):
    """Wait until the instance at @path answers; whether it did."""
    deadline = time.monotonic() + timeout * uml.PATIENCE
    while time.monotonic() < deadline:
        try:
            return ask(path, "version")[0] == 0
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED):
                raise
        time.sleep(0.01)
    return False
