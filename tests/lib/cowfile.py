# SPDX-License-Identifier: GPL-2.0-or-later
"""COW files for tests: read and written here by the description of the format alone, not with the
code under test."""
import contextlib
import fcntl
import os
import struct
import subprocess

import uml

SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
VARIANTS = (("1", "version 1"), ("1be", "version 1 of a big-endian machine"), ("2", "version 2"),
            ("2swapped", "version 2, magic swapped"),
            ("3swapped", "version 3, magic swapped"), ("3le", "version 3, all of it swapped"),
            ("3padded", "the padded version 3"),
            ("3padded-be", "the padded version 3 of a big-endian machine"))


def make(*arguments):
    made = subprocess.run(["make", "-s", "-C", *arguments], capture_output=True, text=True,
                          env=uml.clean_environment())
    if made.returncode:
        uml.tap.ok(False, "the programs build", made.stdout + made.stderr)
        uml.tap.done()


def build_tools():
    """Paths of uml_moo and uml_mkcow, built with sanitizers."""
    folder = os.path.join(uml.OBJECTS, "sanitized")
    for name in ("uml_moo", "uml_mkcow"):
        make(os.path.join(uml.TOP, "tools", name), f"OUT={folder}", f"CFLAGS=-O1 {SANITIZERS}")
    return os.path.join(folder, "uml_moo"), os.path.join(folder, "uml_mkcow")


class CowFile:
    """A COW file of version 3."""

    def __init__(self, path):
        self.file = open(path, "r+b")
        magic, version, self.mtime, self.size, self.sector, align, kind = struct.unpack(">4sIIQIII",
                                                                                        self.file.read(32))
        assert (magic, version, self.sector, kind) == (b"OOOM", 3, 512, 0)
        self.path = self.file.read(4096).rstrip(b"\0")
        self.bitmap = (4128 + align - 1) // align * align
        self.length = (self.size + 4095) // 4096
        self.data = (self.bitmap + self.length + align - 1) // align * align

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, first, data):
        """Write whole sectors from sector @first on, as a guest does."""
        self.file.seek(self.data + 512 * first)
        self.file.write(data)
        start, end = first // 8, (first + len(data) // 512 + 7) // 8
        self.file.seek(self.bitmap + start)
        bits = bytearray(self.file.read(end - start))
        for sector in range(first, first + len(data) // 512):
            bits[sector // 8 - start] |= 1 << sector % 8
        self.file.seek(self.bitmap + start)
        self.file.write(bits)

    def present(self):
        """How many sectors are in it."""
        self.file.seek(self.bitmap)
        return sum(byte.bit_count() for byte in self.file.read(self.length))


def merging(path):
    """Whether a COW file of version 3 has the mark of a merge in place."""
    with open(path, "rb") as source:
        source.seek(4112)
        return source.read(16) != bytes(16)


def convert(source, target, variant, backing=None):
    """Write @source, of version 3, as another version to @target (see VARIANTS); @backing: another
    path for its header."""
    with CowFile(source) as image:
        image.file.seek(image.bitmap)
        bitmap = image.file.read(image.length)
        image.file.seek(image.data)
        data = image.file.read()
        path = backing.encode() if backing else image.path
        order = "<" if variant in ("1", "3le") else ">"
        magic = "<" if variant in ("1", "2swapped", "3swapped", "3le") else ">"
        start = struct.pack(magic + "II", 0x4f4f4f4d, int(variant[0]))
        if variant[0] in "12":
            start += path.ljust(256 if variant[0] == "1" else 4096,
                                b"\0") + struct.pack(order + "IQI", image.mtime, image.size, 512)
            align, at = 512, len(start)
        else:
            time = struct.pack(order + "I", image.mtime)
            if variant == "3padded":
                time += bytes(4)
            if variant == "3padded-be":
                time = bytes(4) + time
            start += time + struct.pack(order + "QIII", image.size, 512, 4096, 0) + path.ljust(4096,
                                                                                               b"\0")
            align, at = 4096, 8192
        with open(target, "wb") as out:
            out.write(start)
            out.seek(at)
            out.write(bitmap)
            out.seek((at + len(bitmap) + align - 1) // align * align)
            out.write(data)


@contextlib.contextmanager
def locked(path, write):
    """A process, whose number this gives, that holds a lock on @path as ./linux does."""
    code = ("import fcntl,struct,sys\nf=open(sys.argv[1],'r+b' if sys.argv[2]=='w' else 'rb')\n"
            "fcntl.fcntl(f,37,struct.pack('hhqqi4x',fcntl.F_WRLCK if sys.argv[2]=='w' else "
            "fcntl.F_RDLCK,0,0,0,0))\n"
            "print('locked',flush=True)\nsys.stdin.read()")
    with subprocess.Popen(["python3", "-c", code, path, "w" if write else "r"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        try:
            yield process.pid
        finally:
            process.stdin.close()
            process.wait()
