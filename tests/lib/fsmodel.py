# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's part in tests/guest/fsmodel.c: it changes files when asked to, and looks at them at
the end."""
import ctypes
import mmap
import os
import threading


def pattern(length, mark):
    """The bytes that fill_with() of fsmodel.h writes."""
    return bytes((mark + i // 7) & 255 for i in range(length))


def checksum(content):
    """FNV-1a of 64 bits."""
    total = 0xcbf29ce484222325
    for byte in content:
        total = ((total ^ byte) * 0x100000001b3) & (1 << 64) - 1
    return f"{total:016x}"


def punch(fd, start, length):
    """Zeroes, where the file system can by taking the blocks away; the file ends at the end of the
    range at least."""
    function = ctypes.CDLL(None, use_errno=True).fallocate
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if function(fd, 3, start, length):  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        os.pwrite(fd, bytes(length), start)
    elif os.fstat(fd).st_size < start + length:
        os.ftruncate(fd, start + length)


def copy(fd, source, start, to, length):
    """From one file to another within the host."""
    other = os.open(source, os.O_RDONLY)
    try:
        while length:
            done = os.copy_file_range(other, fd, length, start, to)
            if not done:
                raise ValueError("the source has not what the guest wrote")
            start, to, length = start + done, to + done, length - done
    finally:
        os.close(other)


def write_mapped(fd, start, length, mark):
    with mmap.mmap(fd, 0) as mapping:
        mapping[start:start + length] = pattern(length, mark)


def change(path, what, *words):
    """One change of a file on the host: write <from> <length> <mark>, map, zero, punch, truncate,
    copy, replace."""
    numbers = [int(word) for word in words if word.isdigit()]
    if what == "replace":
        length, mark = numbers
        with open(path + ".host", "wb") as out:
            out.write(pattern(length, mark))
        os.rename(path + ".host", path)
        return
    fd = os.open(path, os.O_RDWR)
    try:
        if what == "write":
            os.pwrite(fd, pattern(numbers[1], numbers[2]), numbers[0])
        elif what == "map":
            write_mapped(fd, *numbers)
        elif what == "zero":
            os.pwrite(fd, bytes(numbers[1]), numbers[0])
        elif what == "punch":
            punch(fd, *numbers)
        elif what == "truncate":
            os.ftruncate(fd, numbers[0])
        elif what == "copy":
            copy(fd, os.path.join(os.path.dirname(path), words[0]), *numbers)
        else:
            raise ValueError(what)
    finally:
        os.close(fd)


class Host(threading.Thread):
    """Answers the requests that appear in @directory about files in @place, until stop()."""

    def __init__(self, directory, place):
        super().__init__(daemon=True)
        self.directory, self.place, self.answered, self.errors = directory, place, 0, []
        self.over = threading.Event()
        self.start()

    def path(self, kind):
        return os.path.join(self.directory, f"{kind}-{self.answered}")

    def run(self):
        while not self.over.is_set():
            try:
                with open(self.path("request"), encoding="ascii") as request:
                    words = request.read().split()
            except FileNotFoundError:
                words = []
            # The guest's write reaches the host when it closes the file, so at first it may be
            # empty.
            if not words:
                self.over.wait(.001)
                continue
            try:
                change(os.path.join(self.place, words[0]), words[1], *words[2:])
            except (OSError, ValueError) as error:
                self.errors.append(f"{words}: {error}")
            os.unlink(self.path("request"))
            with open(self.path("answer"), "w"):
                pass
            self.answered += 1

    def stop(self):
        self.over.set()
        self.join()
