# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether an image of an ext4 holds what guest/fsyncer.c had kept, and is consistent, after its
journal has been replayed."""
import os
import re
import shutil
import subprocess
import tempfile

ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
FILES = 24


def missing():
    """The tool that this machine lacks, or None."""
    for program in ("mke2fs", "e2fsck", "debugfs"):
        if not shutil.which(program, path=ENVIRONMENT["PATH"]):
            return f"no {program} on this machine (Debian package e2fsprogs)"
    return None


def call(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env=ENVIRONMENT)


def make(path, megabytes):
    """An empty ext4 with a journal."""
    with open(path, "wb") as out:
        out.truncate(megabytes << 20)
    made = call("mke2fs", "-q", "-F", "-t", "ext4", "-J", "size=4", "-E",
                "lazy_itable_init=0,lazy_journal_init=0", path)
    assert made.returncode == 0, made.stdout


class Kept:
    """The guest's reports of what it kept: of each file the newest number, all lines of the log."""

    def __init__(self):
        self.files, self.log, self.newest, self.total = {}, set(), -1, 0

    def note(self, console):
        """Take what a console says; how many there are."""
        numbers = [int(n) for n in re.findall(r"^KEPT (\d+)$", console, re.M)]
        for n in numbers:
            self.add(n)
        return len(numbers)

    def add(self, n):
        """Number @n is kept."""
        self.newest, self.total = n, self.total + 1
        if n % 3 == 2:
            self.log.add(n)
        else:
            self.files[f"{('renamed', 'rewritten')[n % 3]}-{n % FILES}"] = n


def number_in(path):
    """The number that a file holds from its beginning to its end, or None."""
    with open(path, "rb") as source:
        data = source.read()
    if not data[:8].isdigit():
        return None
    n = int(data[:8])
    return n if data == data[:8] * (1 + n * 7919 % (96 * 1024 // 8)) else None


def check(image, kept, begun=None):
    """What is wrong with the image (which is changed: its journal is replayed), as a list of
    lines. @begun: the last number that may have been begun."""
    begun = kept.newest + 1 if begun is None else begun
    call("e2fsck", "-fy", "-E", "journal_only", image)
    checked = call("e2fsck", "-fn", image)
    wrong = [f"e2fsck: {line}"
             for line in checked.stdout.splitlines()] if checked.returncode else []
    with tempfile.TemporaryDirectory() as folder:
        call("debugfs", "-R", f"rdump / {folder}", image)
        for name, n in kept.files.items():
            path = os.path.join(folder, name)
            found = number_in(path) if os.path.exists(path) else None
            # One that is under way is removed first.
            if found is None and name in (f"rewritten-{next % FILES}"
                                          for next in range(n + 1, begun + 1) if next % 3 == 1):
                continue
            if found is None or found < n:
                wrong.append(f"{name} holds {found}, and {n} was kept")
        path = os.path.join(folder, "log")
        lines = set()
        if os.path.exists(path):
            with open(path) as source:
                lines = {int(line) for line in source if line.strip().isdigit()}
        if kept.log - lines:
            wrong.append(f"the log lacks {sorted(kept.log - lines)[:5]}")
    return wrong
