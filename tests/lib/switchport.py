# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of an Ethernet switch, as an instance with eth0=daemon is one."""
import os
import select
import socket
import struct

MAGIC = 0xfeedface
ADDRESS = 110       # bytes of a struct sockaddr_un


def address(name):
    """A struct sockaddr_un; an abstract name has all of its bytes."""
    return struct.pack("=H108s", socket.AF_UNIX, name)


def mac(number):
    return struct.pack(">HI", 0x0200, number)


def frame(to, sender, payload=b"", kind=0x0800):
    return (to if isinstance(to, bytes) else mac(to)) + mac(sender) + \
        struct.pack(">H", kind) + payload.ljust(46, b"\0")


BROADCAST = b"\xff" * 6


class Refused(Exception):
    """The switch has closed the control connection."""


class Port:
    """A connection, and its port. @data: the name of its data socket, a path or, from a
    zero byte on, abstract. @to: the data socket of the switch, for version 0."""
    count = 0

    def __init__(self, control, version=3, data=None, to=None, kind=0, timeout=10):
        Port.count += 1
        if data is None:
            data = b"\0test-%d-%d" % (os.getpid(), Port.count)
        self.data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.data.bind(data.ljust(108, b"\0") if data[:1] == b"\0" else data)
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(timeout)
        self.control.connect(control)
        self.to = to
        head = {3: struct.pack("=III", MAGIC, 3, kind),
                1: struct.pack("=II6s", MAGIC, kind, mac(Port.count)),
                0: struct.pack("=I6s", kind, mac(Port.count))}[version]
        try:
            self.control.sendall(head + address(data))
            self.reply = self.control.recv(1000) if version else b""
        except ConnectionError:
            self.reply = b""
        if version:
            if len(self.reply) != ADDRESS:
                self.close()
                raise Refused(self.reply)
            name = self.reply[2:]
            self.to = name if name[:1] == b"\0" else name.rstrip(b"\0")
        self.data.setblocking(False)

    def send(self, data, wait=10):
        if wait:
            self.data.setblocking(True)
            self.data.settimeout(wait)
        self.data.sendto(data, self.to)
        self.data.setblocking(False)

    def receive(self, wait=10):
        """A frame, or None."""
        ready = select.poll()
        ready.register(self.data, select.POLLIN)
        if not ready.poll(wait * 1000):
            return None
        return self.data.recv(100000)

    def all(self, wait=0.0):
        frames = []
        while (data := self.receive(wait)) is not None:
            frames.append(data)
        return frames

    def close(self):
        self.control.close()
        self.data.close()
