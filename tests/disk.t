#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ubd devices with raw images: reading, writing, read-only, flush, errors, partitions, and a root on one."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def fsck(path):
    return subprocess.run(["e2fsck", "-fn", path], capture_output=True, text=True, env=ENVIRONMENT)


result = uml.run("""
    set -e
    grep -q '^/dev/root / ext4 rw\\|^/dev/ubda / ext4 rw' /proc/mounts
    mkdir /data; cd /data
    i=0; while [ $i -lt 200 ]; do echo $i > file$i; i=$((i+1)); done
    dd if=/dev/urandom of=big bs=1M count=8 2>/dev/null
    md5sum big > sum; sync
    echo 3 > /proc/sys/vm/drop_caches
    md5sum -c sum
    rm file1??
    mount -o remount,ro /
    exit 0""", mem="128M", disk=64)
tap.equal(result.status, 0, "a root file system on ubd0 is written and read back", result.tail)
uml.clean(result)
check = fsck(uml.scratch("guest.ext4"))
tap.equal(check.returncode, 0, "its image is clean", check.stdout)

disk = uml.scratch("data")
with open(disk, "wb") as out:
    for number in range(8192):
        out.write(number.to_bytes(4, "little") * 128)
other = uml.scratch("other")
with open(other, "wb") as out:
    out.truncate(1 << 20)
result = uml.run("""
    ls -l /dev/ubdb
    [ "$(blockdev --getsize64 /dev/ubdb)" = 4194304 ] && echo size-right
    dd if=/dev/ubdb bs=512 skip=4097 count=1 2>/dev/null | od -A n -t u4 -N 4
    printf marked | dd of=/dev/ubdb bs=512 seek=100 conv=notrunc,fsync 2>/dev/null && echo written
    dd if=/dev/ubdb bs=512 skip=9000 count=1 2>/dev/null | wc -c
    dd if=/dev/zero of=/dev/ubdc bs=512 count=1 conv=fsync 2>&1 | grep -i 'read-only\\|not permitted'
    [ "$(cat /sys/block/ubdc/ro)" = 1 ] && echo marked-read-only
    exit 0""", mem="128M", arguments=[f"ubd1={disk}", f"ubd2r={other}"])
tap.ok("98, *16" in result.output or " 98, " in result.output, "ubd1 is /dev/ubdb, major 98", result.tail)
tap.ok("size-right" in result.output, "it has the image's size", result.tail)
tap.ok(any(line.strip() == "4097" for line in result.output.splitlines()), "a sector reads as the image has it", result.tail)
with open(disk, "rb") as source:
    source.seek(51200)
    tap.ok("written" in result.output and source.read(6) == b"marked", "what is written and synced is in the image", result.tail)
tap.ok("marked-read-only" in result.output, "with the flag r a device is read-only", result.tail)
uml.clean(result)


def cut(instance):
    """Take most of the image away under the guest, then let it go on."""
    if instance.expect("^CUT-NOW$", 30):
        os.truncate(disk, 1 << 20)
        instance.type("go\n")


result = uml.run("""
    echo CUT-NOW; read go
    dd if=/dev/ubdb of=/dev/null bs=4096 skip=1000 count=1 2>&1 | grep -i 'i/o error\\|input/output' && echo read-fails
    dd if=/dev/ubdb of=/dev/null bs=4096 skip=10 count=1 2>/dev/null && echo rest-reads
    exit 0""", mem="128M", arguments=[f"ubd1={disk}"], drive=cut, terminal=True)
tap.ok("read-fails" in result.output, "a read that the host cannot serve is an I/O error", result.tail)
tap.ok("rest-reads" in result.output and result.status == 0, "and the guest goes on", result.tail)

# A host that is killed after fsync has the data.
tree_disk = uml.scratch("flush")
with open(tree_disk, "wb") as out:
    out.truncate(8 << 20)


def kill(instance):
    instance.expect("^SYNCED$", 30)
    instance.process.kill()


result = uml.run("printf synced | dd of=/dev/ubdb bs=512 seek=7 conv=notrunc,fsync 2>/dev/null; echo SYNCED; sleep 100",
                 mem="64M", arguments=[f"ubd1={tree_disk}"], drive=kill, timeout=30)
with open(tree_disk, "rb") as source:
    source.seek(7 * 512)
    tap.ok(source.read(6) == b"synced" and result.exit == -9, "synced data is in the image after SIGKILL", result.tail)

# Two instances on one image
first = uml.Instance(["mem=64M", f"ubd0={tree_disk}", "initrd=" + uml.scratch("guest.cpio"), "rdinit=/init"])
up = first.expect("^GUEST-READY$", 30)
second = uml.boot_and_judge(["mem=64M", f"ubd0={tree_disk}"], 20)
lines = [line for line in second.console.splitlines() if line.strip() and not line.startswith("[ ")]
tap.ok(up and second.exit == 1 and len(lines) == 1 and tree_disk in second.console,
       "an image in use by another instance is refused in one line", "\n".join(lines[-10:]))
first.close()
tap.done()
