#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""COW files and their tools on this machine, built with sanitizers: uml_moo and uml_mkcow by
themselves and against Debian's, and fuzzing."""
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import fuzzer
import tap
import uml

FUZZ_SECONDS = int(os.environ.get("COW_FUZZ_SECONDS", "5"))
KILLS = int(os.environ.get("COW_KILLS", "25"))
random.seed(4)
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"     # a tool that ends frees nothing

MOO, MKCOW = cowfile.build_tools()
OLD_MOO, OLD_MKCOW = (next((p for p in (f"/usr/bin/{n}", f"/usr/local/bin/{n}")
                            if os.access(p, os.X_OK)), None) for n in ("uml_moo", "uml_mkcow"))
os.chdir(os.path.dirname(uml.scratch("x")))


def run(*command, timeout=300, **how):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, **how)


def works(sentence, *command):
    ended = run(*command)
    return tap.ok(ended.returncode == 0, sentence,
                  lambda: f"{command}: status {ended.returncode}\n{ended.stderr}")


def content(path):
    with open(path, "rb") as source:
        return source.read()


def same(path, wanted, sentence):
    found = content(path)

    def where():
        return f"{len(found)} bytes, {len(wanted)} wanted, first difference at " + str(
            next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), "the end"))
    return tap.ok(found == wanted, sentence, where)


def blocks(path):
    return os.stat(path).st_blocks * 512


# ---- making, and what is made

SIZE = 10 * 1024 * 1024
backing = random.randbytes(SIZE)
with open("back", "wb") as out:
    out.write(backing)
works("uml_mkcow makes a COW file", MKCOW, "ours.cow", "back")
tap.equal(os.path.getsize("ours.cow"), 10498048, "it is as long as the format has it")
tap.ok(blocks("ours.cow") <= 65536, "and takes no space", f"{blocks('ours.cow')} bytes")
if OLD_MKCOW:
    run(OLD_MKCOW, "theirs.cow", "back")
    tap.ok(content("ours.cow") == content("theirs.cow"),
           "byte for byte as uml_mkcow of uml-utilities makes it")
else:
    tap.skip("byte for byte as uml_mkcow of uml-utilities makes it",
             "uml-utilities is not installed")
tap.equal(run(MKCOW, "ours.cow", "back").returncode, 1, "a file that is there is not overwritten")
works("with -f it is", MKCOW, "-f", "ours.cow", "back")
with open("odd", "wb") as out:
    out.write(backing[:1000003])
with open("huge", "wb") as out:
    out.truncate((5 << 40) + 777)
for name in ("odd", "huge"):
    works(f"a backing file of {os.path.getsize(name)} bytes is fine", MKCOW, f"{name}.cow", name)

# ---- merging to a new image

def scatter(cow, wanted, rounds):
    """Write at random; @wanted (bytes) becomes what the disk should read as."""
    wanted = bytearray(wanted)
    with cowfile.CowFile(cow) as image:
        for _ in range(rounds):
            first = random.randrange(len(wanted) // 512)
            count = min(random.choice((1, 1, 3, 8, 200, 700)), len(wanted) // 512 - first)
            data = random.randbytes(count * 512)
            image.write(first, data)
            wanted[first * 512:(first + count) * 512] = data
    return bytes(wanted)


want = scatter("ours.cow", backing, 200)
works("uml_moo merges to a new image", MOO, "ours.cow", "new")
same("new", want, "which is as the disk was")
works("--verify reads it again", MOO, "--verify", "ours.cow", "new")
same("back", backing, "the backing file is as it was")
for version, what in cowfile.VARIANTS:
    cowfile.convert("ours.cow", "other.cow", version)
    works(f"a COW file of {what} is merged", MOO, "other.cow", "other")
    same("other", want, "to the same")
    if OLD_MOO and version not in ("1be", "3le", "3padded-be"):
        if run(OLD_MOO, "other.cow", "old").returncode == 0:
            same("old", want, "and so does uml_moo of uml-utilities")
        else:
            tap.ok(False, "and so does uml_moo of uml-utilities")
if OLD_MOO:
    shutil.copy("theirs.cow", "t.cow")
    with cowfile.CowFile("t.cow") as image:
        image.write(77, b"x" * 5120)
    works("a COW file that theirs made is merged by ours", MOO, "t.cow", "by-ours")
    run(OLD_MOO, "t.cow", "by-theirs")
    tap.ok(content("by-ours") == content("by-theirs"), "to what theirs makes of it")
else:
    tap.skip("the same as uml-utilities makes", "uml-utilities is not installed")
with cowfile.CowFile("odd.cow") as image:
    image.write(1000003 // 512, b"end of disk".ljust(512, b"!"))
    image.write(3, b"start".ljust(512, b"!"))
works("a disk that ends within a sector is merged", MOO, "odd.cow", "odd.new")
tail = 1000003 % 512
same("odd.new", backing[:1536] + b"start".ljust(512, b"!") + backing[2048:1000003 - tail]
     + b"end of disk".ljust(512, b"!")[:tail],
     "with its last bytes")
with cowfile.CowFile("huge.cow") as image:
    image.write((4 << 40) // 512, b"far away".ljust(512))
    image.write((5 << 40) // 512, b"at the end".ljust(512))
works("a sparse disk of 5 TiB is merged", MOO, "--verify", "huge.cow", "huge.new")
with open("huge.new", "rb") as source:
    source.seek(4 << 40)
    tap.ok(source.read(8) == b"far away" and blocks("huge.new") < 1 << 20
           and os.path.getsize("huge.new") == (5 << 40) + 777,
           "to an image that is sparse", f"{blocks('huge.new')} bytes")
for name in ("huge", "huge.new", "huge.cow"):
    os.unlink(name)
with open("holes", "wb") as out:
    out.truncate(SIZE)
run(MKCOW, "holes.cow", "holes")
with cowfile.CowFile("holes.cow") as image:
    for sector in range(0, SIZE // 512, 128):
        image.write(sector, b"x" * 512)
    image.write(1, bytes(512))
works("single sectors over a hole are merged", MOO, "--verify", "holes.cow", "holes.new")
tap.ok(blocks("holes.new") <= SIZE // 65536 * 4096 + 65536, "and the holes between them stay",
       f"{blocks('holes.new')} bytes")
works("a COW file stands on a COW file", MKCOW, "top.cow", "ours.cow")
want_top = scatter("top.cow", want, 60)
works("and is merged with all below it", MOO, "--verify", "top.cow", "top.new")
same("top.new", want_top, "to what the disk was")
stamp = os.stat("back").st_mtime
shutil.copy2("back", "moved")
os.rename("back", "gone")
tap.equal(run(MOO, "ours.cow", "x").returncode, 1, "a backing file that is not there is an error")
works("with -b it may be elsewhere", MOO, "-b", "moved", "ours.cow", "new2")
same("new2", want, "and the result is the same")
os.rename("gone", "back")
os.mkdir("folder")
shutil.copy2("back", "folder/base")
cowfile.convert("ours.cow", "folder/rel.cow", "3", "base")
works("a relative path in a header is looked up beside the COW file", MOO, "folder/rel.cow", "new3")
same("new3", want, "and the result is the same")

if os.path.isdir("/dev/shm") and os.stat("/dev/shm").st_dev != os.stat(".").st_dev:
    far = f"/dev/shm/{os.path.basename(os.getcwd())}"
    try:
        shutil.copy2("back", far)
        run(MKCOW, "far.cow", far)
        want_far = scatter("far.cow", backing, 60)
        works("a backing file on another file system is merged", MOO, "--verify", "far.cow",
              "far.new")
        same("far.new", want_far, "to what the disk was")
        works("in place too", MOO, "--verify", "-d", "far.cow")
        same(far, want_far, "to the same")
    finally:
        os.unlink(far)
else:
    tap.skip("a backing file on another file system is merged", "there is one file system only")
loop = run("losetup", "-f", "--show", "other",
           env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
if loop.returncode == 0:
    device = loop.stdout.strip()
    try:
        disk = content("other")
        works("a COW file stands on a block device", MKCOW, "device.cow", device)
        want_device = scatter("device.cow", disk, 60)
        works("and is merged with it", MOO, "--verify", "device.cow", "device.new")
        same("device.new", want_device, "to what the disk was")
        works("also into it", MOO, "--verify", "-d", "device.cow")
        same(device, want_device, "which holds the same then")
        works("an image is merged to a block device", MOO, "--verify", "ours.cow", device)
        same(device, want, "which is the disk then")
    finally:
        run("losetup", "-d", device,
            env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
else:
    tap.skip("a COW file stands on a block device", "no loop device to be had")

# ---- refusals

def refuses(sentence, words, *command, status=1):
    ended = run(*command)
    lines = ended.stderr.splitlines()
    return tap.ok(ended.returncode == status and len(lines) == 1 and re.search(words, lines[0])
                  and not ended.stdout, sentence,
                  f"status {ended.returncode}: {ended.stderr}")


refuses("no arguments are a usage error", "wanted", MOO, status=2)
refuses("so is an unknown option", "option", MOO, "--what", status=2)
refuses("so are too many names", "enough", MOO, "a", "b", "c", status=2)
refuses("so is a new image with -d", "-d", MOO, "-d", "a", "b", status=2)
refuses("uml_mkcow wants two names", "wanted", MKCOW, "a", status=2)
refuses("a COW file that is not there", "No such file", MOO, "nothing", "x")
refuses("a file that is no COW file", "not a COW file", MOO, "back", "x")
refuses("a backing file for uml_mkcow that is not there", "No such file", MKCOW, "x.cow", "nothing")
refuses("a folder", "neither a file", MOO, ".", "x")
refuses("the backing file as the new image", "part of what", MOO, "ours.cow", "back")
refuses("the COW file as the new image", "part of what", MOO, "ours.cow", "ours.cow")
refuses("the backing file as the new COW file", "its own backing", MKCOW, "-f", "back", "back")
same("back", backing, "after all of which the backing file is as it was")
os.utime("back", (stamp + 5, stamp + 5))
refuses("a backing file that was modified", r"was modified at .*touch -d", MOO, "ours.cow", "x")
os.utime("back", (stamp, stamp))
os.truncate("moved", SIZE - 512)
refuses("a backing file of another size", "size is", MOO, "-b", "moved", "ours.cow", "x")
header = content("ours.cow")[:8192]
for offset, length, value, words in ((4, 4, 9, "version"), (12, 8, 1 << 63, "size"),
                                     (20, 4, 3, "sector size"), (24, 4, 7, "alignment"),
                                     (28, 4, 5, "format"), (32, 1, 0, "no backing file")):
    with open("bad.cow", "wb") as out:
        out.write(header[:offset] + value.to_bytes(length, "big") + header[offset + length:])
    refuses(f"a header with an impossible {words}", words, MOO, "bad.cow", "x")
with open("bad.cow", "wb") as out:
    out.write(header[:1000])
refuses("a header that is cut off", "cut off", MOO, "bad.cow", "x")
shutil.copy("ours.cow", "short.cow")
os.truncate("short.cow", 2 * 1024 * 1024)
refuses("a COW file whose data are cut off", "cut off", MOO, "short.cow", "x")
refuses("and --verify says so", "cut off", MOO, "--verify", "short.cow")
tap.ok(not [n for n in os.listdir(".") if "partial" in n or n == "x"],
       "a merge that fails leaves nothing", os.listdir("."))
with cowfile.locked("ours.cow", write=True) as pid:
    refuses("a COW file that is in use", f"in use by process {pid}", MOO, "ours.cow", "x")
    refuses("it is not made anew either", f"in use by process {pid}", MKCOW, "-f", "ours.cow",
            "back")
    info = json.loads(run(MOO, "--info", "--json", "ours.cow").stdout)
    tap.ok(info["locked_by"] == pid, "--info names who uses it", str(info))
with cowfile.locked("back", write=False) as pid:
    works("a backing file that guests read is no obstacle", MOO, "ours.cow", "new")
    refuses("but is for merging in place", f"in use by process {pid}", MOO, "-d", "ours.cow")

# ---- information

text = run(MOO, "--info", "ours.cow").stdout
info = json.loads(run(MOO, "--info", "--json", "ours.cow").stdout)
with cowfile.CowFile("ours.cow") as image:
    present = image.present()
tap.ok(f"{present} sectors" in text and "state:         ok" in text,
       "--info tells what a COW file is", text)
tap.ok(info["sectors"] == present and info["size"] == SIZE
       and info["backing_file"] == os.path.abspath("back") and
       info["backing_state"] == "ok" and info["version"] == 3 and not info["padded_v3"],
       "so does --info --json", str(info))
cowfile.convert("ours.cow", "other.cow", "3padded")
text = run(MOO, "--info", "other.cow").stdout
info = json.loads(run(MOO, "--info", "--json", "other.cow").stdout)
tap.ok(re.search("^version: +3, padded$", text, re.M) and info["padded_v3"],
       "and both tell a padded header", text)
name = b"a \"b\" \xff\xc3\xa9"
shutil.copy2("back", name)
run(MKCOW, "name.cow", name)
# A stranger's header may have anything for a path.
evil = "x\x1b]0;owned\x07\x1b[2J\u202e"
with open(evil, "wb") as out:
    out.truncate(SIZE)
run(MKCOW, "evil.cow", evil)
os.unlink(evil)
for arguments in (["--info", "evil.cow"], ["--verify", "evil.cow"], ["evil.cow", "merged"],
                  ["-d", "evil.cow"]):
    shown = run(MOO, *arguments, check=False)
    tap.ok("x?]0;owned??[2J?" in shown.stdout + shown.stderr
           and not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", shown.stdout + shown.stderr),
           f"uml_moo {' '.join(arguments)}: nothing in a path is obeyed by the terminal",
           repr(shown.stdout + shown.stderr))
shutil.copy2("back", "control\x9b")
run(MKCOW, "control.cow", "control\x9b")
shown = run(MOO, "--info", "--json", "control.cow").stdout
tap.ok(shown.isascii() and json.loads(shown)["backing_file"].endswith("control\x9b"),
       "--json has control characters as numbers", repr(shown))
ended = [run(*words) for words in ((MOO, "--\x1b[2J"), (MOO, "-\x1b"), (MOO, "--info=\x1b", "x"),
                                   (MOO, "--info", "-b"), (MKCOW, "-\x1b", "a", "b"))]
tap.ok(all(e.returncode == 2 and "\x1b" not in e.stderr and e.stderr.count("\n") == 1
           and "--help" in e.stderr for e in ended),
       "a wrong option is one line that names --help, with nothing for the terminal to obey, and "
       "status 2", str(ended))
tap.ok(json.loads(run(MOO, "--info", "--json",
                      "name.cow").stdout)["backing_file"].endswith('a "b" \u00ff\u00e9'),
       "a path of any bytes gives good JSON")
tap.ok("is sound" in run(MOO, "--verify", "ours.cow").stdout, "--verify alone checks a COW file")
for tool in (MOO, MKCOW):
    ended = run(tool, "--help"), run(tool, "--version")
    tap.ok(all(e.returncode == 0 and e.stdout and not e.stderr for e in ended),
           f"{os.path.basename(tool)} has --help and --version")

if shutil.which("script"):
    # Slow enough to be seen: a disk of half a gigabyte.
    with open("large", "wb") as out:
        for _ in range(256):
            out.write(backing[:1 << 20] * 2)
    run(MKCOW, "large.cow", "large")
    started = time.monotonic()
    shown = run("script", "-qec", f"{MOO} large.cow large.new", "/dev/null",
                stdin=subprocess.DEVNULL)
    if time.monotonic() - started > 1:
        tap.ok(re.search(r"merging, +\d+% of 512.0 MiB", shown.stdout) and shown.returncode == 0,
               "on a terminal it says how far it is",
               shown.stdout)
    else:
        tap.skip("on a terminal it says how far it is",
                 "the host copies too fast, or shares blocks")
    for name in ("large", "large.cow", "large.new"):
        os.unlink(name)
else:
    tap.skip("on a terminal it says how far it is", "no script(1)")

# ---- merging in place

def fresh(name="m"):
    """A backing file, two COW files over it, and what the disk of the first reads as."""
    for path in (f"{name}.back", f"{name}.cow", f"{name}2.cow"):
        if os.path.exists(path):
            os.unlink(path)
    shutil.copy("back", f"{name}.back")
    run(MKCOW, f"{name}.cow", f"{name}.back")
    run(MKCOW, f"{name}2.cow", f"{name}.back")
    return scatter(f"{name}.cow", backing, 60)


wanted = fresh()
works("uml_moo -d merges in place", MOO, "--verify", "-d", "m.cow")
same("m.back", wanted, "the backing file is as the disk was")
info = json.loads(run(MOO, "--info", "--json", "m.cow").stdout)
tap.ok(info["sectors"] == 0 and info["backing_state"] == "ok" and not info["merge_interrupted"]
       and info["allocated"] <= 65536,
       "the COW file is empty and of use", str(info))
works("doing it again changes nothing", MOO, "-d", "m.cow")
same("m.back", wanted, "the backing file is the same")
refuses("another COW file over it is refused from now on", "modified", MOO, "m2.cow", "x")
shutil.copy2("ours.cow", "lower.cow")
run(MKCOW, "-f", "top.cow", "lower.cow")
want_top = scatter("top.cow", want, 60)
works("a COW file on a COW file is merged into that one", MOO, "--verify", "-d", "top.cow")
run(MOO, "lower.cow", "lower.new")
same("lower.new", want_top, "which holds both then")
same("back", backing, "and nothing below it changed")
shutil.copy2("odd", "odd.back")
run(MKCOW, "-f", "odd.cow", "odd.back")
with cowfile.CowFile("odd.cow") as image:
    image.write(1000003 // 512, b"end of disk".ljust(512, b"!"))
works("a disk that ends within a sector is merged in place", MOO, "--verify", "-d", "odd.cow")
same("odd.back", backing[:1000003 - tail] + b"end of disk".ljust(512, b"!")[:tail],
     "with its last bytes, and is no longer")
if OLD_MOO:
    wanted = fresh()
    run(OLD_MOO, "-d", "m.cow")
    same("m.back", wanted, "uml_moo -d of uml-utilities merges our COW file to the same")

# Killed at many moments.
wrong, killed, marked, delay = [], 0, 0, 0.0
for attempt in range(KILLS):
    wanted = fresh("k")
    with open("k.back", "rb") as source:
        before = os.fstat(source.fileno()).st_mtime
    while int(time.time()) == int(before):
        time.sleep(0.01)
    process = subprocess.Popen([MOO, "-d", "k.cow"], stderr=subprocess.DEVNULL)
    # At any moment, or some time after the mark was set.
    while attempt % 3 and process.poll() is None and not cowfile.merging("k.cow"):
        pass
    deadline = time.monotonic() + random.random() * (0.05 if attempt % 3 else 0.2)
    while time.monotonic() < deadline and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    killed += process.wait() == -signal.SIGKILL
    state = json.loads(run(MOO, "--info", "--json", "k.cow").stdout)
    marked += state["merge_interrupted"]
    if not state["merge_interrupted"] and content("k.back") not in (backing, wanted):
        wrong.append(f"{attempt}: changed without a mark")
    if state["merge_interrupted"] and run(MOO, "k.cow", "x").returncode == 0:
        wrong.append(f"{attempt}: a half merged file is used")
    again = run(MOO, "-d", "k.cow")
    if again.returncode or content("k.back") != wanted:
        wrong.append(f"{attempt}: status {again.returncode} {again.stderr}")
tap.ok(not wrong and killed,
       f"killed {killed} times ({marked} of them in the middle), -d again completes it",
       "\n".join(wrong))
# The same at every step: a program that dies before the n-th change it makes to a file.
if shutil.which("strace"):
    wrong, steps = [], 0
    while steps < 200:
        steps += 1
        wanted = fresh("k")
        calls = "pwrite64,fdatasync,fsync,fallocate,copy_file_range"
        ended = run("strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                    f"inject={calls}:signal=KILL:when={steps}", MOO, "-d", "k.cow")
        last = ended.returncode == 0
        again = run(MOO, "-d", "k.cow")
        if again.returncode or content("k.back") != wanted:
            wrong.append(f"step {steps}: status {again.returncode} {again.stderr}")
        if last:
            break
        steps += 0 if steps < 12 or KILLS > 100 else 11
    tap.ok(not wrong and last, "killed at one step after the other, -d again completes it",
           "\n".join(wrong))
else:
    tap.skip("killed at one step after the other, -d again completes it", "no strace")

# ---- fuzzing

program = fuzzer.build("cow_fuzz")
corpus = uml.scratch("corpus")
os.makedirs(corpus)
for path in sorted(glob.glob("*.cow")):
    with open(path, "rb") as source, open(os.path.join(corpus, path), "wb") as out:
        out.write(source.read(20000))
command = fuzzer.libfuzzer_command(program, FUZZ_SECONDS, corpus) \
    if fuzzer.is_libfuzzer(program) else [program, str(FUZZ_SECONDS)]
ended = run(*command, timeout=FUZZ_SECONDS + 300)
tap.ok(ended.returncode == 0, f"{FUZZ_SECONDS} seconds of changed headers and bitmaps do no harm",
       (ended.stdout + ended.stderr)[-3000:])
tap.diag(fuzzer.summary(ended.stdout + ended.stderr))
tap.done()
