#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and disks under random operations are what models of them in memory are: hostfs, plain and with map=xattr, ext4 on ubd, ubd itself.

FSMODEL_SECONDS: how long each runs (default 6; 600 is the long form). FSMODEL_SEED repeats one.
FSMODEL_ONLY: a part of the name of those that run."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import fsmodel
import tap
import uml

uml.require()
uml.build()
SECONDS = int(os.environ.get("FSMODEL_SECONDS", "6"))
SEED = os.environ.get("FSMODEL_SEED", "")
ONLY = os.environ.get("FSMODEL_ONLY", "")
PROGRAM = {"fsmodel": uml.built("guest/fsmodel")}
DENY = [uml.built("host/deny"), "io_uring_setup", "--"]
DISK = 512 << 10


def judge(name, result):
    tap.ok(result.status == 0, f"{name}: files under random operations are what their models are", lambda: result.tail(60))
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
        with open(host, "rb") as source:
            content = source.read()
        if (len(content), fsmodel.checksum(content)) != (int(size), total):
            differ.append(f"{path}: {len(content)} bytes on the host, {size} in the model")
    tap.ok(seen and not differ, f"{name}: the host has the same bytes at the end", "\n".join(differ) or result.tail)


def hostfs(name, options, arguments=(), place=None):
    if ONLY not in name:
        return
    place = place or uml.scratch(name.replace(" ", "-").replace("/", "-"))
    control = uml.scratch("control")
    os.makedirs(place)
    os.makedirs(control)
    host = fsmodel.Host(control, place)
    result = uml.run(f"""
        mkdir -p /control /one /two
        mount -t hostfs none /control -o {control}
        mount -t hostfs none /one -o {place}{options}
        mount -t hostfs none /two -o {place}{options}
        FSMODEL_HOST=/control /fsmodel /one/a,/one/b,/two/c,/tmp/d {SECONDS} {SEED}""",
                     files=PROGRAM, arguments=arguments, timeout=SECONDS + 90)
    judge(name, result)
    host.stop()
    tap.ok(host.answered and not host.errors, f"{name}: someone on the host changed files in between, too", "\n".join(host.errors))
    same_on_host(name, result, lambda path: None if path == "/tmp/d" else os.path.join(place, os.path.basename(path)))
    shutil.rmtree(control)
    shutil.rmtree(place)


def image(name, size=DISK):
    path = uml.scratch(name)
    with open(path, "wb") as out:
        out.truncate(size)
    return path


def disks(name, wrap, arguments=()):
    if ONLY not in name:
        return
    raw, direct, base, cow = image("raw"), image("direct"), image("base"), uml.scratch("cow")
    result = uml.run(f"/fsmodel /dev/ubda,/dev/ubdb,/dev/ubdc,/tmp/d {SECONDS} {SEED}", files=PROGRAM,
                     arguments=[f"ubd0={raw}", f"ubd1o={direct}", f"ubd2={cow},{base}", *arguments], wrap=wrap, timeout=SECONDS + 90)
    judge(name, result)
    merged = uml.scratch("merged")
    subprocess.run([os.path.join(uml.TOP, "build", "tools", "uml_moo"), cow, merged], check=True, capture_output=True)
    same_on_host(name, result, {"/dev/ubda": raw, "/dev/ubdb": direct, "/dev/ubdc": merged, "/tmp/d": None}.get)
    for path in (raw, direct, base, cow, merged):
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
                     arguments=[f"ubd0={uml.scratch('ext4.cow')},{place}", f"ubd1={image('raw')}", *arguments], timeout=SECONDS + 90)
    judge(name, result)
    os.unlink(uml.scratch("ext4.cow"))
    shutil.rmtree(shared)


hostfs("hostfs", "")
hostfs("hostfs map=xattr", ",map=xattr", ["seccomp=off"])
if os.access("/dev/shm", os.W_OK):
    hostfs("hostfs on tmpfs", "", place=f"/dev/shm/uml-fsmodel-{os.getpid()}")
disks("ubd", ())
disks("ubd through threads", DENY, ["seccomp=off"])
if shutil.which("mkfs.ext4"):
    on_ext4("ext4 on ubd", ())
else:
    tap.skip("ext4 on ubd", "no mkfs.ext4 on this machine (Debian package e2fsprogs)")
tap.done()
