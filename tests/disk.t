#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ubd devices with raw images: a root on one, flags, partitions, swap, sizes, durability, errors
of the host."""
import errno
import os
import re
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import recorder
import tap
import uml

uml.require()
ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def fsck(path):
    return subprocess.run(["e2fsck", "-fn", path], capture_output=True, text=True, env=ENVIRONMENT)


def guest_with(*programs):
    """A guest's files with programs of this machine."""
    tree = image.Tree()
    for name in programs:
        tree.copy_program(shutil.which(name, path=ENVIRONMENT["PATH"]), f"usr/bin/{name}")
    return tree


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
tap.ok(re.search(r"\b98, +16\b", result.output), "ubd1 is /dev/ubdb, major 98", result.tail)
tap.ok("size-right" in result.output, "it has the image's size", result.tail)
tap.ok(any(line.strip() == "4097" for line in result.output.splitlines()),
       "a sector reads as the image has it", result.tail)
with open(disk, "rb") as source:
    source.seek(51200)
    tap.ok("written" in result.output and source.read(6) == b"marked",
           "what is written and synced is in the image", result.tail)
tap.ok("marked-read-only" in result.output, "with the flag r a device is read-only", result.tail)
uml.clean(result)


def cut(instance):
    """Take most of the image away under the guest, then let it continue."""
    if instance.expect("^CUT-NOW$", 30):
        os.truncate(disk, 1 << 20)
        instance.type("go\n")


result = uml.run("""
    echo CUT-NOW; read go
    dd if=/dev/ubdb of=/dev/null bs=4096 skip=1000 count=1 2>&1 | grep -i 'i/o error\\|input/output' && echo read-fails
    dd if=/dev/ubdb of=/dev/null bs=4096 skip=10 count=1 2>/dev/null && echo rest-reads
    exit 0""", mem="128M", arguments=[f"ubd1={disk}"], drive=cut, terminal=True)
tap.ok("read-fails" in result.output, "a read that the host cannot serve is an I/O error",
       result.tail)
tap.ok("rest-reads" in result.output and result.status == 0, "and the guest goes on", result.tail)

# A host that is killed after fsync has the data.
tree_disk = uml.scratch("flush")
with open(tree_disk, "wb") as out:
    out.truncate(8 << 20)


def kill(instance):
    instance.expect("^SYNCED$", 30)
    instance.process.kill()


result = uml.run("printf synced | dd of=/dev/ubdb bs=512 seek=7 conv=notrunc,fsync 2>/dev/null; "
                 "echo SYNCED; sleep 100",
                 mem="64M", arguments=[f"ubd1={tree_disk}"], drive=kill, timeout=30)
with open(tree_disk, "rb") as source:
    source.seek(7 * 512)
    tap.ok(source.read(6) == b"synced" and result.exit == -9,
           "synced data is in the image after SIGKILL", result.tail)

# Two instances on one image
first = uml.Instance(["mem=64M", f"ubd0={tree_disk}", "initrd=" + uml.scratch("guest.cpio"),
                      "rdinit=/init"])
up = first.expect("^GUEST-READY$", 30)
second = uml.boot_and_judge(["mem=64M", f"ubd0={tree_disk}"], 20)
lines = [line for line in second.console.splitlines() if line.strip() and not line.startswith("[ ")]
tap.ok(up and second.exit == 1 and len(lines) == 1 and tree_disk in second.console
       and f"process {first.pid};" in second.console,
       "an image in use by another instance is refused in one line that names its process",
       "\n".join(lines[-10:]))
first.close()


def sparse(name, size):
    """A sparse image of @size bytes."""
    path = uml.scratch(name)
    with open(path, "wb") as out:
        out.truncate(size)
    return path


# Flags, partitions, swap, serial numbers
parts = sparse("parts", 128 << 20)
with open(parts, "r+b") as out:
    table = b"".join(struct.pack("<B3xB3xII", 0, kind, start, count) for kind, start, count in
                     ((0x83, 2048, 20480), (0x82, 22528, 204800), (0, 0, 0), (0, 0, 0)))
    out.seek(446)
    out.write(table + b"\x55\xaa")
plain, shared = sparse("plain", 1 << 20), sparse("shared", 1 << 20)
result = uml.run("""
    set -e
    [ $(blockdev --getsize64 /dev/ubdb1) = 10485760 ] && echo partition-size-right
    mknod /tmp/p2 b 98 18 && [ $(blockdev --getsize64 /tmp/p2) = 104857600 ] && echo numbers-right
    mkswap /dev/ubdb2 >/dev/null; swapon /dev/ubdb2; grep -q ubdb2 /proc/swaps && echo swap-is-on
    /test/swap 48 >/tmp/swap || cat /tmp/swap
    grep -q '^ok.*are swapped out$' /tmp/swap && echo swap-is-used
    grep -q '^ok.*is read back$' /tmp/swap && echo swapped-data-right
    echo "serial $(cat /sys/block/ubdb/serial), none '$(cat /sys/block/ubdc/serial)'"
    for disk in b c d; do
        echo "$disk: ro $(cat /sys/block/ubd$disk/ro) cache $(cat /sys/block/ubd$disk/queue/write_cache)" \
             "discard $(cat /sys/block/ubd$disk/queue/discard_max_bytes)"
    done
    dd if=/dev/zero of=/dev/ubdc bs=4k count=10 conv=fsync 2>/dev/null && echo synchronous-works
    exit 0""", mem="128M", files={"test/swap": uml.built("guest/swap")},
                 arguments=[f"ubdb={parts},,WD-1234", f"ubd2ts={plain}",
                            f"ubddcr={shared}", f"ubd4rc={shared}"])
for sentence, mark in (("a partition has its size", "partition-size-right"),
                       ("and its numbers, major 98, minor 18", "numbers-right"),
                       ("the guest swaps to one", "swap-is-on"), ("in earnest", "swap-is-used"),
                       ("and gets back what it swapped out", "swapped-data-right"),
                       ("the serial number is in sysfs", "serial WD-1234, none ''"),
                       ("without flags, a disk has a write cache and discards",
                        "b: ro 0 cache write back discard 4"),
                       ("with s and t it has neither", "c: ro 0 cache write through discard 0"),
                       ("and works", "synchronous-works"),
                       ("the letters come in any order, and two disks may share an image",
                        "d: ro 1 cache write back discard 0")):
    tap.ok(mark in result.output, sentence, result.tail)
uml.clean(result)

# Sizes
huge, odd = sparse("huge", (3 << 40) + 4096), sparse("odd", (1 << 20) + 3 * 512 + 100)
with open(odd, "r+b") as out:
    out.seek(-612, os.SEEK_END)
    out.write(b"L" * 512 + b"T" * 100)
result = uml.run("""
    [ $(blockdev --getsize64 /dev/ubdb) = 3298534887424 ] && echo huge-size-right
    printf far-away | dd of=/dev/ubdb bs=512 seek=6442450945 conv=notrunc,fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/ubdb bs=512 skip=6442450945 count=1 2>/dev/null | head -c 8
    echo
    [ $(blockdev --getsz /dev/ubdc) = 2051 ] && echo odd-size-right
    dd if=/dev/ubdc bs=512 skip=2050 2>/dev/null | tr -d L | wc -c
    printf last | dd of=/dev/ubdc bs=512 seek=2050 conv=notrunc,fsync 2>/dev/null && echo odd-written
    cat /dev/ubdc | wc -c
    exit 0""", mem="64M", arguments=[f"ubd1={huge}", f"ubd2={odd}"])
tap.ok("huge-size-right" in result.output and "far-away" in result.output,
       "an image of 3 TiB is one, to its end", result.tail)
with open(huge, "rb") as source:
    source.seek(6442450945 * 512)
    tap.equal(source.read(8), b"far-away", "on the host too")
tap.ok("odd-size-right" in result.output and "\n0\n" in result.output
       and f"\n{2051 * 512}\n" in result.output,
       "an image of an odd size has all its whole sectors", result.tail)
with open(odd, "rb") as source:
    source.seek(2050 * 512)
    tap.ok(source.read() == b"last" + b"L" * 508 + b"T" * 100, "and keeps what is behind them",
           result.tail)
tap.ok(re.search(r"ubd2: the size of \S+ is no multiple of 512: the last 100 bytes are not "
                 r"used", result.log),
       "which the log says", result.tail)
uml.clean(result)

# Freed and zeroed ranges
holes = uml.scratch("holes")
with open(holes, "wb") as out:
    out.write(b"x" * (8 << 20))
result = uml.run("""
    /usr/bin/blkdiscard -o 1048576 -l 1048576 /dev/ubdb && echo discarded
    /usr/bin/blkdiscard -z -o 3145728 -l 1048576 /dev/ubdb && echo zeroed
    dd if=/dev/ubdb bs=1M skip=3 count=1 2>/dev/null | tr -d '\\0' | wc -c
    sync; exit 0""", mem="64M", arguments=[f"ubd1={holes}"], tree=guest_with("blkdiscard"))
with open(holes, "rb") as source:
    content = source.read()
tap.ok("discarded" in result.output and os.stat(holes).st_blocks * 512 <= 7 << 20,
       "discarding frees the host's space",
       lambda: f"{os.stat(holes).st_blocks} blocks\n" + result.tail())
tap.ok("zeroed" in result.output and content[3 << 20:4 << 20] == bytes(1 << 20)
       and content[4 << 20:] == b"x" * (4 << 20) and
       content[2 << 20:3 << 20] == b"x" * (1 << 20), "zeroing zeroes the range and nothing else",
       result.tail)
uml.clean(result)

# A host that is full
full = uml.scratch("full")
os.mkdir(full)
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", full],
                  capture_output=True).returncode:
    tap.skip("a full host is an error of the writes that find no space",
             "may not mount a tmpfs here")
else:
    try:
        image_there = os.path.join(full, "image")
        with open(image_there, "wb") as out:
            out.truncate(8 << 20)
        result = uml.run("""
            dd if=/dev/zero of=/dev/ubdb bs=64k count=16 conv=fsync 2>/dev/null && echo fits
            tr '\\0' y </dev/zero | dd of=/dev/ubdb bs=64k count=64 oflag=direct iflag=fullblock 2>&1 | grep -i 'no space'
            tr '\\0' z </dev/zero | dd of=/dev/ubdb bs=64k count=4 conv=fsync iflag=fullblock 2>/dev/null && echo goes-on
            sync; exit 0""", mem="64M", arguments=[f"ubd1={image_there}"])
        with open(image_there, "rb") as source:
            content = source.read()
        tap.ok("fits" in result.output and re.search("no space", result.output, re.I)
               and "goes-on" in result.output,
               "a full host is an error of the writes that find no space, and of no others",
               result.tail)
        tap.ok(content.startswith(b"z" * (256 << 10) + b"y" * (512 << 10)),
               "and what was acknowledged is there", result.tail)
        uml.clean(result)
    finally:
        subprocess.run(["umount", full], check=False)


class Bad(recorder.Recorder):
    """A file of which the host cannot read or write one piece."""

    def answer(self, opcode, node, body):
        if opcode in (recorder.READ, recorder.WRITE):
            _, offset, size = struct.unpack_from("<QQI", body)
            if offset < (2 << 20) + 4096 and offset + size > 2 << 20:
                raise OSError(errno.EIO, "bad sector")
        return super().answer(opcode, node, body)


# A host with a bad sector
if recorder.missing():
    tap.skip("EIO of the host is an error of the request that it concerns", recorder.missing())
else:
    worn, folder = uml.scratch("worn"), uml.scratch("mounted")
    with open(worn, "wb") as out:
        out.write(b"w" * (4 << 20))
    os.mkdir(folder)
    with Bad(folder, worn):
        result = uml.run("""
            piece() { dd "$@" bs=4k count=1 conv=notrunc 2>/dev/null && echo "$name-works" || echo "$name-fails"; }
            name=read; piece if=/dev/ubdb of=/dev/null skip=512 iflag=direct
            name=read-before; piece if=/dev/ubdb of=/dev/null skip=511 iflag=direct
            name=write; piece if=/dev/zero of=/dev/ubdb seek=512 oflag=direct
            name=write-after; piece if=/dev/zero of=/dev/ubdb seek=513 oflag=direct
            name=sync; dd if=/dev/zero of=/dev/ubdb seek=512 bs=4k count=1 conv=fsync 2>/dev/null || echo sync-fails
            exit 0""", mem="64M", arguments=[f"ubd1={folder}/worn"])
    tap.ok({"read-fails", "read-before-works", "write-fails", "write-after-works",
            "sync-fails"} <= set(result.output.split()),
           "EIO of the host is an error of the request that it concerns, and of no other",
           result.tail)
    tap.ok(not result.leaked and result.status == 0, "and the guest goes on", result.tail)

# Images that grow while they are in use
def grows(image_path, option, steps, script="", events=1):
    """@steps: functions that change the size, each with the size that the guest must see then.
    @events: that it must get in all."""
    def drive(instance):
        for number, (change, _) in enumerate(steps):
            if not instance.expect(f"^STEP {number}$", 30):
                return
            change()

    waits = "".join(f"""
        echo STEP {number}
        until [ $(blockdev --getsize64 /dev/ubdb) = {size} ]; do {script or 'sleep 0.1'}; done
        cat /sys/block/ubdb/size /sys/block/ubdb/ubdb1/size"""
                    for number, (_, size) in enumerate(steps))
    return uml.run(f"""
        uevent sh -c '[ "$RESIZE" = 1 ] && echo "event $DEVNAME $SUBSYSTEM" >>/tmp/events' &
        {waits}
        until [ "$(grep -c event /tmp/events)" -ge {events} ]; do sleep 0.1; done
        cat /tmp/events
        exit 0""", mem="64M", arguments=[f"{option}={image_path}"], drive=drive, timeout=20)


def image_with_partition(path, size):
    """One partition of a MiB from the first MiB on."""
    with open(path, "wb") as out:
        out.truncate(size)
        out.seek(446)
        out.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, 2048))
        out.seek(510)
        out.write(b"\x55\xaa")


def by_descriptor(path, size):
    def change():
        with open(path, "r+b") as out:
            out.truncate(size)
    return change


def by_writing(path, size):
    def change():
        with open(path, "r+b") as out:
            out.seek(size - 1)
            out.write(b"x")
    return change


MIB = 1 << 20
growing = uml.scratch("growing")
for option in ("ubd1", "ubd1r", "ubd1s"):
    image_with_partition(growing, 4 * MIB)
    result = grows(growing, option, [
        (by_descriptor(growing, 8 * MIB), 8 * MIB),
        (lambda: os.truncate(growing, 12 * MIB), 12 * MIB),
        (by_writing(growing, 13 * MIB), 13 * MIB)], events=3)
    tap.ok(result.status == 0 and result.output.count("event ubdb block") == 3,
           f"{option}: an image that grows on the host, however it does, is a larger disk to an "
           "idle guest, with an event", result.tail)
    tap.ok(result.output.split().count("2048") == 3
           and str(13 * MIB // 512) in result.output.split(), "its partitions stay as they are",
           result.tail)
    uml.clean(result)
image_with_partition(growing, 8 * MIB)
result = grows(growing, "ubd1",
               [(lambda: os.truncate(growing, 4 * MIB), 8 * MIB),
                (lambda: os.truncate(growing, 9 * MIB), 9 * MIB)],
               script="dd if=/dev/ubdb of=/dev/null bs=512 count=1 skip=9 iflag=direct "
                      "2>/dev/null; sleep 0.1")
tap.ok(result.status == 0 and result.output.count("event ubdb block") == 1,
       "one that becomes smaller keeps its size, until it is larger again",
       result.tail)
image_with_partition(growing, 4 * MIB)
loop = subprocess.run(["losetup", "-f", "--show", growing], capture_output=True, text=True,
                      env=ENVIRONMENT)
if loop.returncode:
    tap.skip("a block device that grows is larger at the next flush",
             "no loop device to be had here: " + loop.stderr.strip())
else:
    def grow_device():
        os.truncate(growing, 8 * MIB)
        subprocess.run(["losetup", "-c", loop.stdout.strip()], check=True, env=ENVIRONMENT)

    try:
        result = grows(loop.stdout.strip(), "ubd1", [(grow_device, 8 * MIB)],
                       script="dd if=/dev/zero of=/dev/ubdb bs=512 seek=4096 count=1 conv=fsync "
                              "2>/dev/null; sleep 0.1")
    finally:
        subprocess.run(["losetup", "-d", loop.stdout.strip()], check=False, env=ENVIRONMENT)
    tap.ok(result.status == 0 and "event ubdb block" in result.output,
           "a block device that grows is larger at the next flush", result.tail)

# A block device, and a file system without O_DIRECT
loop = subprocess.run(["losetup", "-f", "--show", holes], capture_output=True, text=True,
                      env=ENVIRONMENT)
if loop.returncode:
    tap.skip("a block device of the host is a disk",
             "no loop device to be had here: " + loop.stderr.strip())
else:
    try:
        result = uml.run("""
            [ $(blockdev --getsize64 /dev/ubdb) = 8388608 ] && echo size-right
            printf block | dd of=/dev/ubdb bs=512 seek=9 conv=notrunc,fsync 2>/dev/null
            /usr/bin/blkdiscard -o 5242880 -l 1048576 /dev/ubdb && dd if=/dev/ubdb bs=1M skip=5 count=1 2>/dev/null | tr -d '\\0' | wc -c
            exit 0""", mem="64M", arguments=[f"ubd1o={loop.stdout.strip()}"],
                         tree=guest_with("blkdiscard"))
    finally:
        subprocess.run(["losetup", "-d", loop.stdout.strip()], check=False, env=ENVIRONMENT)
    with open(holes, "rb") as source:
        source.seek(9 * 512)
        tap.ok("size-right" in result.output and source.read(5) == b"block"
               and "\n0\n" in result.output,
               "a block device of the host is a disk, with O_DIRECT and discards", result.tail)
    uml.clean(result)
undirect = uml.scratch("undirect")
os.mkdir(undirect)
if subprocess.run(["mount", "-t", "ramfs", "ramfs", undirect], capture_output=True).returncode:
    tap.skip("where the host has no O_DIRECT, one line says so", "may not mount a ramfs here")
else:
    try:
        with open(os.path.join(undirect, "image"), "wb") as out:
            out.write(bytes(1 << 20))
        result = uml.run("dd if=/dev/ubdb of=/dev/null bs=64k count=16 && echo reads; exit 0",
                         mem="64M",
                         arguments=[f"ubd1o={undirect}/image"])
        tap.ok("reads" in result.output and len(re.findall("O_DIRECT", result.log)) == 1,
               "where the host has no O_DIRECT, one line says so",
               lambda: result.tail() + result.log[-2000:])
        uml.clean(result)
    finally:
        subprocess.run(["umount", undirect], check=False)

# Options that are wrong
for option, pattern in ((f"ubd0x={plain}", "no flag 'x'"), ("ubd0=", "file is missing"),
                        (f"ubd16={plain}", "no such disk"),
                        (f"ubd0={plain},a,b,c", "follows the serial number"),
                        (f"ubd0=/nonexistent", "does not exist"),
                        (f"ubd0={plain},,{'s' * 21}", "longer than 20"),
                        (f"ubd0d={plain},{shared}", "no backing file")):
    result = uml.boot_and_judge(["mem=64M", option], 20)
    lines = [line for line in result.console.splitlines() if line.strip()]
    tap.ok(result.exit == 1 and len(lines) == 1 and re.search(pattern, lines[0]),
           f"{option.split('=')[0]}: {pattern}: is one line",
           result.console[-500:])
tap.done()
