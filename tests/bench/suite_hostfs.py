# SPDX-License-Identifier: GPL-2.0-or-later
"""hostfs: `tar c` of a 120 MB tree of small files.

The host has it cached; the guest mounts it again for each run, so nothing is cached there. It is
the same GNU tar on both sides, by its path: the guest's shell has another tar. It writes to
/dev/zero, since GNU tar reads nothing when it finds /dev/null. The guest gets the lines of passwd
and group that name the files' owner: without them tar would look for libraries at each file.
"""
import os
import re
import shutil
import statistics
import time

import image
import uml
from place import Row, Unmeasured

ROWS = [Row("tar_hostfs", "tar c of 15,000 files of 8 kB on hostfs", "ms", at_most=(2.5, None))]
FILES, SIZE, FOLDERS, TIMES = 15_000, 8000, 150, 5


def tree_of_files():
    top = uml.scratch("tar-tree")
    if not os.path.isdir(top):
        content = os.urandom(SIZE)
        for number in range(FILES):
            folder = os.path.join(top, f"folder{number % FOLDERS}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"file{number}"), "wb") as out:
                out.write(content)
    return top


def native(place, tar):
    took = []
    for _ in range(TIMES + 1):
        start = time.monotonic()
        place.native(["sh", "-c", f"{tar} -C {tree_of_files()} -cf - . >/dev/zero"])
        took.append((time.monotonic() - start) * 1000)
    return took[1:]


def guest(place, tar):
    tree = image.Tree()
    tree.copy_program(tar, "usr/bin/tar")
    owner = os.stat(tree_of_files())
    tree.add("etc/passwd", f"owner:x:{owner.st_uid}:{owner.st_gid}::/:/bin/sh\n")
    tree.add("etc/group", f"owner:x:{owner.st_gid}:\n")
    tree.add("etc/nsswitch.conf", "passwd: files\ngroup: files\n")
    output = place.guest(f"""
        mkdir -p /mnt
        for round in $(seq {TIMES}); do
            mount -t hostfs none /mnt -o {tree_of_files()} || exit 1
            read start rest </proc/uptime
            /usr/bin/tar -C /mnt -cf - . >/dev/zero || exit 1
            read end rest </proc/uptime
            umount /mnt
            echo "ROUND $start $end"
        done""", mem="512M", tree=tree)
    return [(float(end) - float(start)) * 1000
            for start, end in re.findall(r"^ROUND (\S+) (\S+)$", output, re.M)]


def measure(place):
    tar = shutil.which("tar")
    if not tar:
        raise Unmeasured("no GNU tar on this machine")
    return {"tar_hostfs": statistics.median(native(place, tar)
                                            if place.is_native else guest(place, tar))}
