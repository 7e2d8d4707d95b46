# SPDX-License-Identifier: GPL-2.0-or-later
"""A file under a file system of its own (FUSE, spoken here directly) that records every write and
sync that reaches it, in their order.

    with Recorder("folder", "file") as recorder:    # folder/file shows the host's file
        ...
        recorder.log                                # ("write", offset, data) and ("sync",)

Nothing is cached between the program that writes and the record. Needs root and /dev/fuse;
missing() says what is not there.
"""
import contextlib
import ctypes
import os
import struct
import threading

LOOKUP, GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT, ACCESS = 1, 3, 4, 14, 15, 16, 18, 20, 25, 26, 34
FORGET, INTERRUPT, DESTROY, BATCH_FORGET, FALLOCATE, LSEEK = 2, 36, 38, 42, 43, 46
ENOENT, ENOSYS = 2, 38
MOST = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)


def missing():
    """The tool or right that this machine lacks, or None."""
    if os.geteuid():
        return "mounting needs root"
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse on this machine"
    return None


class Recorder:
    """See the top of this file."""

    def __init__(self, folder, path):
        self.folder, self.name, self.log = folder, os.path.basename(path).encode(), []
        self.file = os.open(path, os.O_RDWR)
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"recorder", folder.encode(), b"fuse", 2 | 4, options):
            raise OSError(ctypes.get_errno(), "mounting FUSE")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.umount2(self.folder.encode(), 2)
        self.thread.join(10)
        os.close(self.device)
        os.close(self.file)

    def serve(self):
        """One request after the other, until the file system is unmounted."""
        while True:
            try:
                request = os.read(self.device, MOST + 65536)
            except OSError as error:
                if error.errno == 4:
                    continue
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                answer, error = self.answer(opcode, node, request[40:]), 0
            except OSError as problem:
                answer, error = b"", problem.errno
            with contextlib.suppress(OSError):
                os.write(self.device, struct.pack("<IiQ", 16 + len(answer), -error, unique)
                         + answer)

    def attributes(self, node):
        """struct fuse_attr of the folder (1) or the file (2)."""
        status = os.fstat(self.file)
        mode, size = (0o40755, 0) if node == 1 else (0o100644, status.st_size)
        return struct.pack("<6Q10I", node, size, status.st_blocks, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0,
                           0, 4096, 0)

    def answer(self, opcode, node, body):
        """Carry out one request."""
        if opcode == INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, MOST, 1 | 1 << 5 | 1 << 22, 16, 12, MOST,
                               1, MOST // 4096, 0, 0)
        if opcode == LOOKUP:
            if body.rstrip(b"\0") != self.name:
                raise OSError(ENOENT, "")
            return struct.pack("<QQQQII", 2, 0, 3600, 0, 0, 0) + self.attributes(2)
        if opcode in (GETATTR, SETATTR):
            return struct.pack("<QII", 0, 0, 0) + self.attributes(node)
        if opcode == OPEN:
            return struct.pack("<QII", 1, 1, 0)         # direct: no cache in between
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self.file, size, offset)
        if opcode == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            data = body[40:40 + size]
            self.log.append(("write", offset, data))
            return struct.pack("<II", os.pwrite(self.file, data, offset), 0)
        if opcode == FSYNC:
            self.log.append(("sync",))
            return b""
        if opcode == FALLOCATE:
            _, offset, length, _ = struct.unpack_from("<QQQI", body)
            self.log.append(("write", offset, bytes(length)))
            os.pwrite(self.file, bytes(length), offset)
            return b""
        if opcode == LSEEK:
            _, offset, whence = struct.unpack_from("<QQI", body)
            return struct.pack("<Q", os.lseek(self.file, offset, whence))
        if opcode in (RELEASE, FLUSH, ACCESS, DESTROY):
            return b""
        raise OSError(ENOSYS, "")
