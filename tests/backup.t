#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_mconsole backup: copies of a disk's file while its guest writes are consistent after a replay
of the journal, and have all that the guest had synced."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import ext4check
import tap
import uml

uml.require()
uml.build("../build/tests/guest/fsyncer")
BACKUPS = int(os.environ.get("BACKUPS", "5"))
MOO, MKCOW = cowfile.build_tools()
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
if ext4check.missing():
    tap.skip_all(ext4check.missing())
OURS = os.path.join(uml.TOP, "build", "tools", "uml_mconsole")
if not os.path.exists(OURS):
    tap.skip_all("build/tools/uml_mconsole is not built")
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)


def mconsole(*words):
    return subprocess.run([OURS, f"--uml-dir={folder}", "bak", *words], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=120 * uml.PATIENCE)


def copies(place, prefix, wanted):
    """@wanted words of what backup says; the faults of BACKUPS copies in folder @place."""
    os.chdir(place)
    ext4check.make("base", 48)
    kept, wrong = ext4check.Kept(), []

    def drive(instance):
        for attempt in range(BACKUPS):
            start = len(instance.text)
            if not instance.expect(r"^KEPT ", 90, start):
                wrong.append(f"{attempt}: the guest writes nothing")
                return
            kept.note(instance.text[start:])
            done = mconsole("backup", "ubd1", f"copy{attempt}")
            if done.returncode or wanted not in done.stdout:
                wrong.append(f"{attempt}: {done.stdout}{done.stderr}")
                return
            for command in ((MOO, "--verify", f"copy{attempt}"),
                            (MOO, f"copy{attempt}", "merged")):
                ended = subprocess.run(command, capture_output=True, text=True)
                if ended.returncode:
                    wrong.append(f"{attempt}: {ended.stderr}")
            wrong.extend(f"{attempt}: {words}" for words in
                         ext4check.check("merged", kept, kept.newest + 200))
            os.unlink("merged")
            tap.diag(done.stdout.strip())
        if instance.process.poll() is None:
            mconsole("halt")

    result = uml.run("mkdir -p /data; mount -t ext4 /dev/ubdb /data && fsyncer /data 0", mem="96M",
                     arguments=["ubd1=cow,base", "umid=bak", f"uml_dir={folder}"],
                     files={"bin/fsyncer": uml.built("guest/fsyncer")}, drive=drive,
                     timeout=60 * BACKUPS)
    tap.ok(not wrong and result.exit == 0,
           f"{prefix}{BACKUPS} copies under write load hold all that the guest had synced",
           "\n".join(wrong[:20]) + result.tail())


def refusals():
    def drive(instance):
        for sentence, words, pattern in (
                ("a disk that is not there", ("backup", "ubd3", "x"), "no such disk"),
                ("a copy that is there already", ("backup", "ubd1", "taken"), "is there already"),
                ("a folder that is not there", ("backup", "ubd1", "/nosuch/x"), "No such file"),
                ("no file", ("backup", "ubd1"), "give a disk and a file"),
                ("no disk", ("backup", "con0", "x"), "give a disk and a file")):
            done = mconsole(*words)
            tap.ok(done.returncode in (1, 2) and len(done.stderr.splitlines()) == 1
                   and re.search(pattern, done.stderr), f"{sentence}: one line", done)
        tap.ok(mconsole("proc", "uptime").returncode == 0, "and the guest was not left stopped")
        mconsole("halt")

    open("taken", "w").close()
    uml.run("sleep 1000", mem="64M", drive=drive,
            arguments=["ubd1=base", "umid=bak", f"uml_dir={folder}"])


plain = uml.scratch("plain")
os.makedirs(plain)
copies(plain, "", "copied" if subprocess.run(
    ["cp", "--reflink=always", OURS, os.path.join(plain, "probe")], capture_output=True).returncode
       else "shares its blocks")
refusals()
if os.geteuid() or not shutil.which("mkfs.xfs"):
    tap.skip("copies that share blocks", "needs root and mkfs.xfs (Debian package xfsprogs)")
else:
    image, place = uml.scratch("xfs.image"), uml.scratch("xfs")
    with open(image, "wb") as out:
        out.truncate(512 << 20)
    os.makedirs(place)
    subprocess.run(["mkfs.xfs", "-q", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True).returncode:
        tap.skip("copies that share blocks", "no XFS can be mounted here")
    else:
        try:
            copies(place, "on XFS, sharing blocks, ", "shares its blocks")
        finally:
            os.chdir("/")
            subprocess.run(["umount", place])
tap.done()
