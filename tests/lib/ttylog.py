# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads terminal logs (docs/reference/terminal-log-format.md), without any help of our own tool."""
import collections
import os
import struct

OPEN, CLOSE, DATA, EXEC, LOST = 1, 2, 3, 4, 5
TYPED, SHOWN = 1, 2
HEADER = struct.Struct("@iLiiLL")

Record = collections.namedtuple("Record", "what tty direction time data")


def parse(log):
    """The records in bytes; fails where they are not whole."""
    records = []
    while log:
        what, tty, length, direction, seconds, microseconds = HEADER.unpack_from(log)
        data = log[HEADER.size:HEADER.size + length]
        if not OPEN <= what <= LOST or microseconds > 999999 or len(data) != length:
            raise ValueError(f"no record after {records[-1:]}: {log[:64]}")
        records.append(Record(what, tty, direction, seconds + microseconds / 1e6, data))
        log = log[HEADER.size + length:]
    return records


def read(path):
    """The records of a file."""
    with open(path, "rb") as source:
        return parse(source.read())


def sessions(folder):
    """The records of each file of a folder, oldest first."""
    return [read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]


def data(records, direction):
    """The bytes that were typed, or shown, in these records."""
    return b"".join(r.data for r in records if r.what == DATA and r.direction == direction)


def shown(records):
    return data(records, SHOWN)


def typed(records):
    return data(records, TYPED)


def programs(records):
    """The arguments of the programs that began."""
    return [r.data.rstrip(b"\0").split(b"\0") for r in records if r.what == EXEC]


def lost(records):
    """Bytes that the log says are missing."""
    return sum(struct.unpack("@L", r.data)[0] for r in records if r.what == LOST)


def write(records):
    """Bytes of a log, of (what, tty, direction, microseconds, data)."""
    return b"".join(HEADER.pack(what, tty, len(body), direction, *divmod(time, 1000000)) + body
                    for what, tty, direction, time, body in records)
