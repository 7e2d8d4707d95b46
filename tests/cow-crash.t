#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ext4 on a COW file under a guest that is killed at random moments while it writes and syncs:
the file is sound, its disk merged by uml_moo is consistent once its journal has been replayed, and
whatever the guest had synced is in it."""
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import ext4check
import tap
import uml

uml.require()
uml.build("../build/tests/guest/fsyncer")
KILLS = int(os.environ.get("COW_GUEST_KILLS", "5"))
random.seed(int(os.environ.get("COW_SEED", "1")))
MOO, MKCOW = cowfile.build_tools()
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
os.chdir(os.path.dirname(uml.scratch("x")))
if not ext4check.missing():
    ext4check.make("base", 48)
else:
    tap.skip_all(ext4check.missing())


def kill_soon(instance):
    """Once it has synced something, kill it at a random moment."""
    if instance.expect(r"^KEPT ", 90):
        deadline = time.monotonic() + random.random() * 2
        while time.monotonic() < deadline and instance.read(deadline - time.monotonic()):
            pass
    instance.process.kill()


kept, wrong, first = ext4check.Kept(), [], 0
arguments = ["ubd1=cow,base"]
for attempt in range(KILLS):
    result = uml.run(f"mkdir -p /data; mount -t ext4 /dev/ubdb /data && fsyncer /data {first}",
                     mem="96M", arguments=arguments,
                     files={"bin/fsyncer": uml.built("guest/fsyncer")}, drive=kill_soon, timeout=30)
    arguments = ["ubd1=cow"]
    count = kept.note(result.console)
    if result.exit != -9 or not count:
        wrong.append(f"{attempt}: {result.tail()}")
        break
    first = kept.newest + 10
    for command in ((MOO, "--verify", "cow"), (MOO, "cow", "merged")):
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            wrong.append(f"{attempt}: {ended.stderr}")
    wrong += [f"{attempt}: {words}" for words in ext4check.check("merged", kept)]
    if wrong:
        break
tap.ok(not wrong, f"killed {KILLS} times, a COW file holds all that its guest had synced",
       "\n".join(wrong[:20]))
tap.diag(f"{kept.total} files were synced")
tap.done()
