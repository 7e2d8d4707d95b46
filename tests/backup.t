#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_mconsole backup: copies of a disk's file while its guest writes are consistent after a replay
of the journal, and have all that the guest had synced."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import ext4check
import mconsole
import tap
import uml
from mconsole_server import Server, packets

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


def console(*words):
    return subprocess.run([OURS, f"--uml-dir={folder}", "bak", *words], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=120 * uml.PATIENCE)


def begin(umid, disk, copy):
    """A backup, under way."""
    return subprocess.Popen([OURS, f"--uml-dir={folder}", umid, "backup", disk, copy],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


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
            done = console("backup", "ubd1", f"copy{attempt}")
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
            console("halt")

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
            done = console(*words)
            tap.ok(done.returncode in (1, 2) and len(done.stderr.splitlines()) == 1
                   and re.search(pattern, done.stderr), f"{sentence}: one line", done)
        tap.ok(console("proc", "uptime").returncode == 0, "and the guest was not left stopped")
        console("halt")

    open("taken", "w").close()
    uml.run("sleep 1000", mem="64M", drive=drive,
            arguments=["ubd1=base", "umid=bak", f"uml_dir={folder}"])


# A program that does not live to let the guest continue

def is_stopped():
    _, text = mconsole.ask(os.path.join(folder, "bak", "mconsole"), "proc uptime")
    return text.startswith("the instance is stopped")


def stopped_in_copying(copy):
    """A backup that SIGSTOP stopped while the guest is stopped, or None: it was too fast."""
    for _ in range(30):
        client = begin("bak", "ubd1", copy)
        while client.poll() is None and not is_stopped():
            pass
        if client.poll() is None:
            client.send_signal(signal.SIGSTOP)
            if is_stopped():
                return client
            client.send_signal(signal.SIGCONT)
        client.communicate()
        os.unlink(copy)
    return None


def continues():
    """Whether the guest does so by itself."""
    deadline = time.monotonic() + 30 * uml.PATIENCE
    while (stopped := is_stopped()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not stopped


def killed(place):
    """On a file system without reflinks."""
    os.chdir(place)
    with open("big", "wb") as out:
        for _ in range(256):
            out.write(os.urandom(4096) * 256)

    def drive(instance):
        client = stopped_in_copying("cut")
        if client:
            client.kill()
            client.communicate()
        tap.ok(client and is_stopped() and continues(),
               "a guest whose backup is killed while it copies continues by itself")
        client = stopped_in_copying("late")
        went_on = client and continues()
        if client:
            client.send_signal(signal.SIGCONT)
            _, errors = client.communicate()
            tap.ok(went_on and client.returncode == 1 and not os.path.exists("late")
                   and "late: the guest continued before all was copied" in errors,
                   "a backup that comes too late fails, and leaves no copy",
                   (went_on, client.returncode, errors))
        done = console("backup", "ubd1", "whole")
        tap.ok(done.returncode == 0 and not is_stopped()
               and not subprocess.run(["cmp", "big", "whole"]).returncode,
               "and the next one is a whole copy", done)
        console("halt")

    result = uml.run("sleep 1000", mem="64M", drive=drive,
                     arguments=["ubd1=big", "umid=bak", f"uml_dir={folder}"])
    uml.clean(result)


def repeated(place):
    """With a stand-in, which stops the program when it copies."""
    os.chdir(place)
    with Server(folder, "fake") as server:
        server.answers.update({"config ubd1": os.path.join(place, "big"), "sync": "", "go": "",
                               "stop": "stopped"})
        client = begin("fake", "ubd1", "slow")
        if server.wait_for(b"stop 20"):
            client.send_signal(signal.SIGSTOP)
            time.sleep(3)       # longer than a program that copies is silent
            client.send_signal(signal.SIGCONT)
        said, errors = client.communicate()
        texts = [request.decode() for request in server.requests]
        tap.ok(client.returncode == 0 and texts[:3] == ["config ubd1", "sync", "stop 20"]
               and texts[-1] == "go" and texts.count("stop 20") > 1
               and not subprocess.run(["cmp", "big", "slow"]).returncode,
               "while a long copy is made, the guest is told to stay stopped",
               (client.returncode, texts, said, errors))


def printable(place):
    os.chdir(place)
    odd = "\x1b]0;x\x07"
    with Server(folder, "fake") as server:
        server.answers.update({"sync": "", "go": "", "stop": "stopped"})
        for answer, copy in ((f"/no{odd}file", "x"), (packets(f"bad{odd}", error=1), "x"),
                             ("/dev/null", f"/nosuch{odd}/x"), ("/dev/null", f"ok{odd}")):
            server.answers["config ubd1"] = answer
            said, errors = begin("fake", "ubd1", copy).communicate()
            tap.ok("\x1b" not in said + errors and "?]0;x?" in said + errors
                   and len((said + errors).splitlines()) == 1,
                   "names and errors of a guest do not control the terminal", (said, errors))


def shares(place):
    """Whether files there can share blocks."""
    return subprocess.run(["cp", "--reflink=always", OURS, os.path.join(place, "probe")],
                          capture_output=True).returncode == 0


plain = uml.scratch("plain")
os.makedirs(plain)
copies(plain, "", "shares its blocks" if shares(plain) else "copied")
refusals()
if shares(plain):
    tap.skip("a backup that is killed or late", "the file system of the test shares blocks")
else:
    killed(plain)
    repeated(plain)
printable(plain)
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
