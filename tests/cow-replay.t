#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ext4 on a COW file, and loss of power: all that reaches the COW file while a guest writes and
syncs is recorded; then the file is put together as the host's disk may have it at some moment:
what was synced, and of what came after it any sectors, torn ones too. It opens, its disk is
consistent once the journal has been replayed, and whatever the guest had synced by then is in it.
(unit/cow_replay.c tries every moment, without a file system.)"""
import os
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import ext4check
import recorder
import tap
import uml

uml.require()
why = ext4check.missing() or recorder.missing()
if why:
    tap.skip_all(why)
uml.build("../build/tests/guest/fsyncer")
STATES = int(os.environ.get("COW_STATES", "40"))
SECONDS = int(os.environ.get("COW_RECORD_SECONDS", "4"))
SECTOR = 512
random.seed(int(os.environ.get("COW_SEED", "1")))
MOO, MKCOW = cowfile.build_tools()
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
os.chdir(os.path.dirname(uml.scratch("x")))

# ---- recording

ext4check.make("base", 48)
subprocess.run([MKCOW, "cow", "base"], check=True)
shutil.copy("cow", "before")
os.mkdir("mounted")
acks = []           # (length of the record when it was seen, number)
try:
    record = recorder.Recorder(os.path.abspath("mounted"), "cow")
except OSError as error:
    tap.skip_all(f"the host does not mount FUSE: {error}")


def watch(instance):
    """Note when the guest says that something is kept; after a while, end it."""
    seen, deadline = 0, None
    while deadline is None or time.monotonic() < deadline:
        if not instance.read(0.05):
            break
        numbers = re.findall(r"^KEPT (\d+)$", instance.text, re.M)
        acks.extend((len(record.log), int(n)) for n in numbers[seen:])
        seen = len(numbers)
        if seen and deadline is None:
            deadline = time.monotonic() + SECONDS
    instance.process.kill()


with record:
    result = uml.run("mkdir -p /data; mount -t ext4 /dev/ubdb /data && fsyncer /data 0", mem="96M",
                     arguments=["ubd1=mounted/cow"],
                     files={"bin/fsyncer": uml.built("guest/fsyncer")}, drive=watch, timeout=60)
log = record.log
writes, syncs = sum(e[0] == "write" for e in log), sum(e[0] == "sync" for e in log)
tap.ok(len(acks) > 10 and writes > 20 and syncs > 20, "a guest's writes and syncs are recorded",
       lambda: f"{writes} writes, {syncs} syncs, {len(acks)} kept\n{result.tail()}")

# ---- losing power

with cowfile.CowFile("before") as image:
    DATA = image.data
OLDEST, NEWEST, NEW_BITS, NEW_DATA, ANY = range(5)


def versions(pending):
    """Of each sector that is written in the record's part, what is written to it, in order."""
    found = {}
    for event in pending:
        if event[0] == "write":
            for at in range(0, len(event[2]), SECTOR):
                found.setdefault((event[1] + at) // SECTOR, []).append(event[2][at:at + SECTOR])
    return found


def settle(old, new, choice, bits):
    """A sector with the durable content @old, and @new (a list) written to it later: a state."""
    if choice == ANY:
        one, other = random.choice([old, *new]), random.choice([old, *new])
        cut = random.choice((0, 0, random.randrange(SECTOR)))
        return other[:cut] + one[cut:]
    return new[-1] if choice == NEWEST or (choice != OLDEST
                                           and (choice == NEW_BITS) == bits) else old


def lose_power(durable, pending, choice):
    """Make the file "crash" from the durable one and what was not synced."""
    subprocess.run(["cp", "--sparse=always", durable, "crash"], check=True)
    with open("crash", "r+b") as out:
        for sector, new in versions(pending).items():
            out.seek(sector * SECTOR)
            old = out.read(SECTOR).ljust(SECTOR, b"\0")
            out.seek(sector * SECTOR)
            out.write(settle(old, new, choice, sector * SECTOR < DATA))


def examine(at):
    """The fault of the file, if any, when the power failed after so many events."""
    ended = subprocess.run([MOO, "crash", "merged"], capture_output=True, text=True)
    if ended.returncode:
        return [ended.stderr]
    kept = ext4check.Kept()
    for seen, n in acks:
        if seen <= at:
            kept.add(n)
    # The console is read a little later than the guest writes to it.
    begun = max((n for seen, n in acks if seen <= at + 200), default=0) + 1
    return ext4check.check("merged", kept, begun)


moments = sorted(random.sample(range(len(log)), min(len(log), STATES)))
wrong, done = [], 0
shutil.copy("before", "durable")
with open("durable", "r+b") as durable:
    for at in moments:
        last = max((i for i in range(done, at) if log[i][0] == "sync"), default=None)
        if last is not None:
            for event in log[done:last]:
                if event[0] == "write":
                    durable.seek(event[1])
                    durable.write(event[2])
            durable.flush()
            done = last
        choice = random.choice((OLDEST, NEWEST, NEW_BITS, NEW_DATA, ANY, ANY, ANY))
        lose_power("durable", log[done:at], choice)
        wrong += [f"after {at} events, choice {choice}: {words}" for words in examine(at)]
        if wrong:
            break
tap.ok(not wrong,
       f"the power failed at {len(moments)} moments: all that the guest had synced is there",
       "\n".join(wrong[:20]))
tap.diag(f"{writes} writes, {syncs} syncs, {len(acks)} files kept")
tap.done()
