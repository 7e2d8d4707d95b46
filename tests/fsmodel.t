#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and disks under random operations are what models of them in memory are: hostfs, plain and
with map=xattr, on the host's file systems, a loop device on it, ext4 on ubd, ubd itself and a
partition of it.

FSMODEL_SECONDS: how long each runs (default 5; 600 is the long form). FSMODEL_SEED repeats one.
FSMODEL_ONLY: a part of the name of those that run."""
import os
import re
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import fsmodel
import tap
import uml

uml.require()
uml.build()
SECONDS = int(os.environ.get("FSMODEL_SECONDS", "5"))
SEED = os.environ.get("FSMODEL_SEED", "")
ONLY = os.environ.get("FSMODEL_ONLY", "")
PROGRAM = {"fsmodel": uml.built("guest/fsmodel")}
DENY = [uml.built("host/deny"), "io_uring_setup", "--"]
DISK = 512 << 10
BEFORE = 1 << 20     # bytes of the disk that has a partition
PARTITION = "/dev/ubdd1"


def judge(name, result):
    tap.ok(result.status == 0, f"{name}: files under random operations are what their models are",
           lambda: result.tail(60))
    for line in result.output.splitlines():
        if re.match(r"# (seed|\d+ operations)", line):
            tap.diag(f"{name}: {line[2:]}")
    uml.clean(result)


def sums(result):
    """(path in the guest, size, checksum) of each file's model at the end."""
    return re.findall(r"^# sum of (\S+): (\d+) bytes, (\w+)", result.output, re.M)


def same_on_host(name, result, place_of):
    seen = sums(result)
    differ = []
    for path, size, total in seen:
        host = place_of(path)
        if not host:
            continue
        start, length = (BEFORE, DISK) if path == PARTITION else (0, -1)
        with open(host, "rb") as source:
            source.seek(start)
            content = source.read(length)
        if (len(content), fsmodel.checksum(content)) != (int(size), total):
            differ.append(f"{path}: {len(content)} bytes on the host, {size} in the model")
    tap.ok(seen and not differ, f"{name}: the host has the same bytes at the end",
           "\n".join(differ) or result.tail)


def image(name, size=DISK):
    path = uml.scratch(name)
    with open(path, "wb") as out:
        out.truncate(size)
    return path


def partitioned(name):
    """A partition of as many bytes as the other disks have, behind BEFORE bytes; what lies around
    it is not zero."""
    path = image(name, BEFORE + DISK + (1 << 16))
    entry = struct.pack("<4B4BII", 0, 0, 2, 0, 0x83, 0, 2, 0, BEFORE // 512, DISK // 512)
    with open(path, "r+b") as out:
        out.write(b"\x5a" * (BEFORE + DISK + (1 << 16)))
        out.seek(446)
        out.write(entry + bytes(48) + b"\x55\xaa")
    return path


def around(path):
    with open(path, "rb") as source:
        content = source.read()
    return content[512:BEFORE], content[BEFORE + DISK:]


def hostfs(name, options, arguments=(), place=None):
    """Two mounts of one directory, one of which asks the host each time; a loop device; and
    another file system."""
    if ONLY not in name:
        return
    place = place or uml.scratch(name.replace(" ", "-").replace("/", "-"))
    control = uml.scratch("control")
    os.makedirs(place)
    os.makedirs(control)
    disk = image(os.path.join(place, "disk"))
    host = fsmodel.Host(control, place)
    result = uml.run(f"""
        mkdir -p /control /one /two
        mount -t hostfs none /control -o {control}
        mount -t hostfs none /one -o {place}{options}
        mount -t hostfs none /two -o {place}{options},actimeo=0
        losetup /dev/loop0 /one/disk
        FSMODEL_HOST=/control FSMODEL_ASKS=/two /fsmodel /one/a,/one/b,/two/c,/tmp/d,/two/e,/dev/loop0 {SECONDS} {SEED}; status=$?
        losetup -d /dev/loop0; sync; exit $status""",
                     files=PROGRAM, arguments=arguments, timeout=SECONDS + 90)
    judge(name, result)
    host.stop()
    tap.ok(host.answered and not host.errors,
           f"{name}: someone on the host changed files in between, too", "\n".join(host.errors))
    places = {"/tmp/d": None, "/dev/loop0": disk}
    same_on_host(name, result,
                 lambda path: places.get(path, os.path.join(place, os.path.basename(path))))
    shutil.rmtree(control)
    shutil.rmtree(place)


def hostfs_on_xfs(name):
    """Where a copy is a clone, and blocks are shared."""
    if ONLY not in name:
        return
    place = uml.scratch("xfs")
    os.makedirs(place)
    disk = image("xfs.image", 320 << 20)
    try:
        subprocess.run(["mkfs.xfs", "-q", disk], check=True, capture_output=True)
        if subprocess.run(["mount", "-o", "loop", disk, place], capture_output=True).returncode:
            tap.skip(name, "no XFS can be mounted here")
            return
        try:
            hostfs(name, "", place=os.path.join(place, "files"))
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        os.unlink(disk)


def merge(cow):
    merged = cow + ".merged"
    subprocess.run([os.path.join(uml.TOP, "build", "tools", "uml_moo"), cow, merged], check=True,
                   capture_output=True)
    return merged


def disks(name, wrap, arguments=()):
    if ONLY not in name:
        return
    raw, direct, base, whole = image("raw"), image("direct"), image("base"), partitioned("whole")
    cow, cow_whole = uml.scratch("cow"), uml.scratch("cow-whole")
    result = uml.run(f"/fsmodel /dev/ubda,/dev/ubdb,/dev/ubdc,/tmp/d,{PARTITION} {SECONDS} {SEED}",
                     files=PROGRAM, wrap=wrap, timeout=SECONDS + 90,
                     arguments=[f"ubd0={raw}", f"ubd1o={direct}", f"ubd2={cow},{base}",
                                f"ubd3={cow_whole},{whole}", *arguments])
    judge(name, result)
    merged, merged_whole = merge(cow), merge(cow_whole)
    same_on_host(name, result,
                 {"/dev/ubda": raw, "/dev/ubdb": direct, "/dev/ubdc": merged,
                  PARTITION: merged_whole}.get)
    tap.ok(around(merged_whole) == around(whole),
           f"{name}: what lies around a partition is as it was")
    for path in (raw, direct, base, cow, merged, whole, cow_whole, merged_whole):
        os.unlink(path)


def on_ext4(name, wrap, arguments=()):
    if ONLY not in name:
        return
    place, shared = image("ext4", 64 << 20), uml.scratch("shared")
    subprocess.run(["mkfs.ext4", "-q", place], check=True, capture_output=True)
    os.makedirs(shared)
    result = uml.run(f"""
        mkdir -p /disk /host; mount /dev/ubda /disk; mount -t hostfs none /host -o {shared}
        /fsmodel /disk/a,/disk/b,/host/c,/dev/ubdb {SECONDS} {SEED}; status=$?
        umount /disk; exit $status""", files=PROGRAM, wrap=wrap,
                     arguments=[f"ubd0={uml.scratch('ext4.cow')},{place}", f"ubd1={image('raw')}",
                                *arguments], timeout=SECONDS + 90)
    judge(name, result)
    os.unlink(uml.scratch("ext4.cow"))
    shutil.rmtree(shared)


hostfs("hostfs", "")
hostfs("hostfs map=xattr", ",map=xattr", ["seccomp=off"])
if os.access("/dev/shm", os.W_OK):
    hostfs("hostfs on tmpfs", "", place=f"/dev/shm/uml-fsmodel-{os.getpid()}")
if shutil.which("mkfs.xfs") and os.geteuid() == 0:
    hostfs_on_xfs("hostfs on XFS")
else:
    tap.skip("hostfs on XFS", "needs root and mkfs.xfs (Debian package xfsprogs)")
disks("ubd", ())
disks("ubd through threads", DENY, ["seccomp=off"])
if shutil.which("mkfs.ext4"):
    on_ext4("ext4 on ubd", ())
else:
    tap.skip("ext4 on ubd", "no mkfs.ext4 on this machine (Debian package e2fsprogs)")
tap.done()
