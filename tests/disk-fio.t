#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fio with verification on ubd devices: images, O_DIRECT and COW files, through io_uring and
through threads."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
FIO = shutil.which("fio")
if not FIO:
    tap.skip_all("no fio on this machine (Debian package fio)")
MEGABYTES = int(os.environ.get("FIO_MEGABYTES", "8"))
uml.build()
DENY = [uml.built("host/deny"), "io_uring_setup", "--"]
KINDS = {"b": "an image", "c": "an image with O_DIRECT", "d": "a COW file",
         "e": "a COW file with O_DIRECT"}
JOBS = [("randwrite", "4k", 32), ("randwrite", "4k", 1), ("write", "1M", 8),
        ("randrw", "512-64k", 16)]


def file(name, backed):
    path = uml.scratch(name)
    with open(backed or path, "wb") as out:
        out.truncate(MEGABYTES << 20)
    if os.path.exists(path) and backed:
        os.unlink(path)
    return f"{path},{backed}" if backed else path


def script():
    lines = ["cd /tmp; echo 0 >/proc/sys/kernel/hung_task_timeout_secs 2>/dev/null"]
    for disk in KINDS:
        for rw, block, depth in JOBS:
            lines.append(f"fio --name=x --filename=/dev/ubd{disk} --size={MEGABYTES}M --rw={rw} "
                         f"--{'bsrange' if '-' in block else 'bs'}={block} "
                         f"--ioengine=io_uring --iodepth={depth} --direct=1 --verify=crc32c "
                         "--verify_fatal=1 --fsync=64 "
                         f"--output=/tmp/out && echo VERIFIED {disk} {rw} {block} {depth} || cat "
                         "/tmp/out")
    return "\n".join(lines) + "\nexit 0\n"


for wrap, backend, line in (((), "io_uring", "through io_uring"),
                            (DENY, "threads", "through threads (the host refuses io_uring")):
    tree = image.Tree()
    tree.copy_program(FIO, "usr/bin/fio")
    base = uml.scratch("base")
    result = uml.run(script(), mem="256M", tree=tree, disk=192, timeout=240, wrap=wrap,
                     arguments=[f"ubd1={file('b', None)}", f"ubd2o={file('c', None)}",
                                f"ubd3={file('d', base)}", f"ubd4o={file('e', base)}"])
    if backend == "io_uring" and "through threads" in result.log:
        tap.skip("fio through io_uring", "the host refuses it")
        continue
    tap.ok(line in result.log, f"the log says that requests go through {backend}", result.tail)
    for disk, kind in KINDS.items():
        for rw, block, depth in JOBS:
            tap.ok(f"VERIFIED {disk} {rw} {block} {depth}" in result.output,
                   f"{kind}, through {backend}: fio {rw} of {block} at depth {depth} verifies",
                   lambda: result.tail(60))
    uml.clean(result)
tap.done()
