# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for an instance: its folder, its lock, and a management console that answers as told.

    with Server(parent, "alice") as server:
        server.answers["version"] = "Linux alice 6.12 ..."
        ...
        server.requests        texts that came, as bytes

An answer is a string (one packet), or a list of packets, each (error, more, bytes) or a number of
seconds to wait before the next one. None is no answer at all. It may be a function that returns one
of these. Requests are looked up whole, then by their first word; "default" answers the others.
"""
import fcntl
import os
import socket
import struct
import threading
import time

MAGIC, VERSION, ROOM = 0xcafebabe, 2, 512


def packets(text, size=511, error=0):
    """The packets of an answer that is cut into parts of @size bytes."""
    text = text if isinstance(text, bytes) else text.encode()
    parts = [text[i:i + size] for i in range(0, len(text), size)] or [b""]
    return [(error, i + 1 < len(parts), part) for i, part in enumerate(parts)]


def reply(error, more, text):
    """A packet as kernels send it: the length counts a NUL."""
    return struct.pack("III512s", error, more, len(text) + 1, text)


class Server:
    def __init__(self, parent, name, lock=True, pid=None):
        self.folder = os.path.join(parent, name)
        self.path = os.path.join(self.folder, "mconsole")
        self.answers = {"version": f"Linux {name} 6.12.0 #1 Sat Nov 28 2026 x86_64",
                        "default": packets("no such command; help lists them", error=22),
                        "help": "Commands:\n    version - the version\n    halt - the end",
                        "log": ""}
        self.requests, self.sizes, self.names = [], [], []
        self.changed = threading.Condition()
        os.makedirs(self.folder, exist_ok=True)
        self.pid_file = open(os.path.join(self.folder, "pid"), "w+")
        self.pid_file.write(f"{os.getpid() if pid is None else pid}\n")
        self.pid_file.flush()
        if lock:
            fcntl.fcntl(self.pid_file, fcntl.F_OFD_SETLK,
                        struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # By a descriptor, since a path may be too long for an address.
        self.at = os.open(self.folder, os.O_PATH)
        self.socket.bind(f"/proc/self/fd/{self.at}/mconsole")
        os.chmod(self.path, 0o600)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            data, client = self.socket.recvfrom(4096)
            if data == b"end":
                return
            magic, version, length = struct.unpack("III", data[:12])
            text = data[12:12 + length]
            assert (magic, version) == (MAGIC, VERSION)
            with self.changed:
                self.requests.append(text)
                self.sizes.append(len(data))
                self.names.append(client)
                self.changed.notify_all()
            threading.Thread(target=self.answer, args=(text.decode(errors="replace"), client),
                             daemon=True).start()

    def answer(self, text, client):
        for key in (text, text.split(" ")[0], "default"):
            if key in self.answers:
                break
        answer = self.answers[key]
        if callable(answer):
            answer = answer()
        if isinstance(answer, str):
            answer = packets(answer)
        for packet in answer or ():
            if isinstance(packet, (int, float)):
                time.sleep(packet)
                continue
            data = packet if isinstance(packet, bytes) else reply(*packet)
            try:
                self.socket.sendto(data, client)
            except OSError:
                return      # the client is gone

    def wait_for(self, request, seconds=30):
        """Whether the request came."""
        with self.changed:
            return self.changed.wait_for(lambda: request in self.requests, seconds)

    def stop(self):
        """Go as after SIGKILL: the folder stays."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.sendto(b"end", f"/proc/self/fd/{self.at}/mconsole")
        end.close()
        self.thread.join()
        self.socket.close()
        self.pid_file.close()
        os.close(self.at)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.socket.fileno() >= 0:
            self.stop()
        for name in ("mconsole", "pid"):
            os.unlink(os.path.join(self.folder, name))
        os.rmdir(self.folder)
