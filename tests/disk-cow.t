#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ubd devices with COW files: made, written, read again, in chains, shared, refused where they
must be, and cut off by SIGKILL."""
import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
SIZE = 8 << 20
RUNS = int(os.environ.get("KILL_RUNS", "3"))


def digest(path):
    with open(path, "rb") as source:
        return hashlib.sha256(source.read()).hexdigest()


def backing_file(name, size=SIZE):
    """A file whose every sector says its number."""
    path = uml.scratch(name)
    with open(path, "wb") as out:
        for number in range(size // 512):
            out.write(number.to_bytes(4, "little") * 128)
    return path


def say(*pairs):
    """Shell: print the number in each sector given."""
    return "\n".join(f"echo {name} $(dd if=/dev/{disk} bs=512 skip={sector} count=1 2>/dev/null | "
                     "od -A n -t u4 -N 4)"
                     for name, disk, sector in pairs)


def write(disk, sector, text):
    return f"printf '{text}' | dd of=/dev/{disk} bs=512 seek={sector} conv=notrunc,fsync 2>/dev/null"


def refused(arguments, pattern, sentence, mem="64M"):
    """./linux says one line, in which @pattern is found, and ends with status 1."""
    result = uml.boot_and_judge([f"mem={mem}", *arguments], 20)
    lines = [line for line in result.console.splitlines() if line.strip()]
    tap.ok(result.exit == 1 and len(lines) == 1 and re.search(pattern, lines[0]), sentence,
           result.console[-1500:])


# Made, written, read again
base, cow = backing_file("base"), uml.scratch("cow")
before, log = digest(base), ""
result = uml.run(f"""
    {say(("untouched", "ubdb", 4097))}
    {write("ubdb", 100, "marked")}
    dd if=/dev/urandom of=/tmp/random bs=4096 count=300 2>/dev/null
    dd if=/tmp/random of=/dev/ubdb bs=4096 seek=1000 conv=notrunc,fsync 2>/dev/null
    md5sum /tmp/random | cut -c1-32
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/ubdb bs=4096 skip=1000 count=300 2>/dev/null | md5sum | cut -c1-32
    [ $(blockdev --getsize64 /dev/ubdb) = {SIZE} ] && echo size-right
    exit 0""", mem="64M", arguments=[f"ubd1={cow},{base}"])
sums = re.findall(r"^[0-9a-f]{32}$", result.output, re.M)
tap.ok(os.path.exists(cow) and "a COW file on" in result.log, "a COW file that is missing is made",
       result.tail)
tap.ok("size-right" in result.output and "untouched 4097" in result.output,
       "it shows the backing file", result.tail)
tap.ok(len(sums) == 2 and sums[0] == sums[1], "what is written to it is read back", result.tail)
tap.equal(digest(base), before, "the backing file is as it was")
tap.ok(os.stat(cow).st_blocks * 512 < 2 << 20, "it holds only what was written",
       f"{os.stat(cow).st_blocks} blocks")
uml.clean(result)
result = uml.run(f"""
    dd if=/dev/ubdb bs=4096 skip=1000 count=300 2>/dev/null | md5sum | cut -c1-32
    dd if=/dev/ubdb bs=512 skip=100 count=1 2>/dev/null | head -c 6; echo
    {say(("untouched", "ubdb", 99), ("between", "ubdb", 101))}
    exit 0""", mem="64M", arguments=[f"ubdb={cow}"])
tap.ok(sums and sums[0] in result.output and "\nmarked\n" in result.output
       and "untouched 99" in result.output and
       "between 101" in result.output, "the next guest, given the COW file alone, sees the same",
       result.tail)
uml.clean(result)

# On each other, and next to each other
other = uml.scratch("other")
result = uml.run(f"""
    {write("ubdb", 200, "second")}
    {write("ubdc", 300, "beside")}
    echo 3 >/proc/sys/vm/drop_caches
    for disk in b c; do
        for sector in 100 200 300; do
            echo $disk $sector $(dd if=/dev/ubd$disk bs=512 skip=$sector count=1 2>/dev/null | head -c 6 | tr -cd a-z)
        done
    done
    exit 0""", mem="64M", arguments=[f"ubd1={uml.scratch('chain')},{cow}", f"ubd2={other},{cow}"])
tap.ok(re.search(r"b 100 marked\nb 200 second\nb 300 ?\w{0,2}\nc 100 marked\nc 200 ?\w{0,2}\nc 300 "
                 r"beside", result.output),
       "COW files on a COW file see it and not each other", result.tail)
uml.clean(result)


def with_second(instance):
    """While one guest runs, another on the same backing file, and one on the same COW file."""
    second = uml.run(write("ubdb", 5, "two") + "; sync", mem="64M",
                     arguments=[f"ubd1={uml.scratch('two')},{base}"])
    tap.equal(second.status, 0, "two guests have COW files on one backing file", second.tail)
    refused([f"ubd1={uml.scratch('one')}"], f"in use by process {instance.pid};",
            "a COW file in use is refused, naming the process")
    refused([f"ubd1={base}"], f"in use by process {instance.pid};",
            "a backing file in use is not opened for writing")
    instance.type("go\n")


result = uml.run("read go; " + write("ubdb", 5, "one") + "; exit 0", mem="64M",
                 arguments=[f"ubd1={uml.scratch('one')},{base}"],
                 drive=with_second, terminal=True)
tap.equal(result.status, 0, "the first goes on", result.tail)
uml.clean(result)

# Discarding and zeroing
tree = image.Tree()
tree.copy_program(shutil.which("blkdiscard", path=os.environ["PATH"] + ":/usr/sbin:/sbin"),
                  "usr/bin/blkdiscard")
result = uml.run(f"""
    dd if=/dev/urandom of=/dev/ubdb bs=1M count=2 conv=notrunc,fsync 2>/dev/null
    /usr/bin/blkdiscard -o 0 -l 1048576 /dev/ubdb && echo discarded
    /usr/bin/blkdiscard -z -o 2097152 -l 1048576 /dev/ubdb && echo zeroed
    dd if=/dev/ubdb bs=1M skip=2 count=1 2>/dev/null | tr -d '\\0' | wc -c
    {say(("after", "ubdb", 6144))}
    sync; exit 0""", mem="64M", arguments=[f"ubd1={uml.scratch('holes')},{base}"], tree=tree)
tap.ok("zeroed\n0\n" in result.output and "after 6144" in result.output,
       "zeroing hides the backing file's sectors", result.tail)
tap.ok("discarded" in result.output and os.stat(uml.scratch("holes")).st_blocks * 512 < 2560 << 10,
       "discarding frees space in the COW file",
   lambda: f"{os.stat(uml.scratch('holes')).st_blocks} blocks")
uml.clean(result)

# Refusals
moved, strange = uml.scratch("moved"), uml.scratch("strange")
shutil.copy2(base, moved)
with open(strange, "wb") as out:
    out.write(b"x" * SIZE)
refused([f"ubd1={cow},{moved}"], rf"stands on .*{base}.*{moved}.*ubd1m=",
        "another path of the backing file is refused, saying what to do")
result = uml.run(say(("untouched", "ubdb", 99)), mem="64M", arguments=[f"ubd1m={cow},{moved}"])
tap.ok("untouched 99" in result.output and result.status == 0, "with the flag m it is taken",
       result.tail)
result = uml.run(say(("untouched", "ubdb", 99)), mem="64M", arguments=[f"ubd1={cow}"])
tap.ok("untouched 99" in result.output and moved.encode() in open(cow, "rb").read(8192),
       "and stays", result.tail)
refused([f"ubd1={strange},{base}"], "is not a COW file",
        "a file that is no COW file has no backing file")
refused([f"ubd1c={cow}"], "only one can write", "a COW file is not shared by two writers")
refused([f"ubd1={uml.scratch('new')},/nonexistent"], "/nonexistent",
        "a backing file that is not there is named")
tap.ok(not os.path.exists(uml.scratch("new")), "and no COW file is made")
stat = os.stat(moved)
os.utime(moved, (stat.st_atime, stat.st_mtime + 100))
refused([f"ubd1={cow}"], "has changed: it was modified at",
        "a backing file with another time stamp is refused, naming both")
os.truncate(moved, SIZE - 512)
refused([f"ubd1={cow}"], f"has changed: its size is {SIZE - 512} bytes, and was {SIZE}",
        "and one of another size, naming both")
with open(cow, "r+b") as out:
    out.seek(20)
    out.write(b"\xff\xff\xff\xff")
refused([f"ubd1={cow}"], "damaged COW file", "a damaged COW file is refused")
result = uml.run("dd if=/dev/ubdb bs=4 count=1 2>/dev/null; exit 0", mem="64M",
                 arguments=[f"ubd1d={cow}"])
tap.ok("OOOM" in result.output, "with the flag d it is a disk of its bytes", result.tail)

# Whom to believe
private, mode = backing_file("private"), uml.scratch("mode")
for backing_mode, wanted in ((0o600, 0o600), (0o640, 0o640), (0o444, 0o644)):
    os.chmod(private, backing_mode)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mode)
    uml.run("exit 0", mem="64M", arguments=[f"ubd1={mode},{private}"],
            wrap=["sh", "-c", 'umask 022; exec "$0" "$@"'])
    tap.equal(oct(os.stat(mode).st_mode & 0o777), oct(wanted),
              f"over a backing file of mode {backing_mode:o} a new COW file is read by nobody else "
              f"than that ({wanted:o} with umask 022)")
if os.getuid():
    tap.skip("a stranger's COW file is not believed what it stands on",
             "must be root to have a stranger's file")
else:
    os.chown(mode, 65534, 65534)
    refused([f"ubd1={mode}"], rf"belongs to another user .*{private}",
            "a stranger's COW file is not believed what it stands on")
    result = uml.run(say(("untouched", "ubdb", 99)), mem="64M",
                     arguments=[f"ubd1={mode},{private}"])
    tap.ok("untouched 99" in result.output and result.status == 0, "unless its user says the same",
           result.tail)
    made = subprocess.run([os.path.join(uml.TOP, "build", "tools", "uml_moo"), "-d", mode],
                          capture_output=True, text=True)
    tap.ok(made.returncode == 1 and "belongs to another user" in made.stderr, "nor is it merged",
           made.stdout + made.stderr)

# SIGKILL: what was acknowledged is there
random.seed(time.time())
for run in range(RUNS):
    victim = uml.scratch(f"victim{run}")

    def kill(instance):
        """At a moment that the test does not choose."""
        instance.expect(rf"^ACK {random.randrange(1, 60)}$", 60)
        instance.process.kill()

    result = uml.run("""
        n=1
        while :; do
            printf 'sector %06d' $n | dd of=/dev/ubdb bs=512 seek=$((n * 37)) conv=notrunc,fsync 2>/dev/null && echo ACK $n
            n=$((n + 1))
        done""", mem="64M", arguments=[f"ubd1={victim},{base}"], drive=kill)
    last = max([int(number) for number in re.findall(r"^ACK (\d+)$", result.output, re.M)],
               default=0)
    result = uml.run(f"""
        n=1; good=0
        while [ $n -le {last} ]; do
            [ "$(dd if=/dev/ubdb bs=512 skip=$((n * 37)) count=1 2>/dev/null | head -c 13)" = "$(printf 'sector %06d' $n)" ] && good=$((good + 1))
            n=$((n + 1))
        done
        echo good $good
        {say(("untouched", "ubdb", 36))}
        exit 0""", mem="64M", arguments=[f"ubd1={victim}"])
    tap.ok(last > 0 and f"good {last}\n" in result.output and "untouched 36" in result.output,
           "killed at any moment, the COW file has every write that was acknowledged after fsync",
           result.tail)

# A file system on it
tree = image.Tree()
tree.base("exit 0")
base_fs = uml.scratch("base.ext4")
tree.write_ext4(base_fs, 32)
result = uml.run("""
    mount /dev/ubdb /mnt && mkdir /mnt/new && i=0
    while [ $i -lt 300 ]; do echo $i >/mnt/new/$i; i=$((i + 1)); done
    sync; umount /mnt; exit 0""", mem="64M", arguments=[f"ubd1={uml.scratch('fs.cow')},{base_fs}"])
result = uml.run("mount /dev/ubdb /mnt; cat /mnt/new/* | sort -n | tail -1; umount /mnt; exit 0",
                 mem="64M",
                 arguments=[f"ubd1r={uml.scratch('fs.cow')}"])
tap.ok(re.search("^299$", result.output, re.M),
       "a file system written in one guest is read in the next, read-only", result.tail)
uml.clean(result)
tap.done()
