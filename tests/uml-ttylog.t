#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_ttylog: terminal logs are played back, followed, listed and written as asciicast, and what a
hostile guest put into them does not reach the terminal."""
import json
import os
import re
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import ttylog
import uml

TOOL = os.path.join(uml.TOP, "build", "tools", "uml_ttylog")
if not os.path.exists(TOOL):
    tap.skip_all("build/tools/uml_ttylog is not built")
START = 1_700_000_000_000_000           # microseconds
PTS3, TTY0 = (0x65535f00 << 32) + (136 << 20) + 3, (0x65535f01 << 32) + (4 << 20)
NONE = struct.pack("@L", 0)
LIMIT = 20 * uml.PATIENCE


def session(tty=PTS3, start=START, shown=b"hello\r\n", typed=b"pass\r"):
    """Records of a session of two seconds."""
    return [(ttylog.OPEN, tty, 0, start, NONE),
            (ttylog.EXEC, tty, 0, start + 1000, b"sh\0-c\0echo 'a  b'\0"),
            (ttylog.DATA, tty, ttylog.SHOWN, start + 500_000, shown),
            (ttylog.DATA, tty, ttylog.TYPED, start + 1_000_000, typed),
            (ttylog.DATA, tty, ttylog.SHOWN, start + 2_000_000, b"bye\r\n"),
            (ttylog.CLOSE, tty, 0, start + 2_000_000, b"")]


def log(name, *records):
    path = uml.scratch(name)
    with open(path, "wb") as target:
        target.write(ttylog.write([r for some in records for r in some]))
    return path


def run(*words, **how):
    return subprocess.run([TOOL, *words], capture_output=True, timeout=LIMIT,
                          env={**os.environ, "TZ": "UTC"}, **how)


def playing():
    path = log("one", session())
    done = run("-n", path)
    tap.equal((done.returncode, done.stdout, done.stderr), (0, b"hello\r\nbye\r\n", b""),
              "a session is shown")
    begin = time.monotonic()
    done = run("-n", "-a", path)
    tap.equal(done.stdout, b"hello\r\n\033[7mpass^M\033[27mbye\r\n",
              "-a shows what was typed, in reverse video")
    tap.ok(time.monotonic() - begin < 1.5, "-n shows all at once")
    begin = time.monotonic()
    run(path)
    took = time.monotonic() - begin
    tap.ok(1.9 < took < 1.9 + 2 * uml.PATIENCE, "without it the session takes its time",
           f"{took:.2f} s of 2")
    begin = time.monotonic()
    run("-i", "0.05", path)
    took = time.monotonic() - begin
    tap.ok(0.1 < took < 1.9, "-i shortens pauses", f"{took:.2f} s")
    with open(path, "rb") as source:
        tap.equal(run("-n", "-", stdin=source).stdout, b"hello\r\nbye\r\n",
                  "- is standard input")


def several():
    other = session(TTY0, START + 100, b"console\r\n")
    again = session(PTS3, START + 9_000_000, b"again\r\n")
    mixed = sorted(session() + other, key=lambda r: r[3])
    path = log("several", mixed, again)
    done = run("-n", path)
    tap.ok(done.returncode == 1 and b"several sessions" in done.stderr,
           "a log of several sessions wants the number of one", done.stderr)
    tap.equal([run("-n", path, n).stdout.split(b"\r\n")[0] for n in "123"],
              [b"hello", b"console", b"again"],
              "a session is the one of that number in the list, also where numbers return")
    tap.equal(run("-n", path, hex(TTY0)).stdout.split(b"\r\n")[0], b"console",
              "or has that number in the log")
    tap.ok(run("-n", path, "4").returncode == 1, "one that is not there is an error")
    lines = run("--list", path).stdout.decode().splitlines()
    tap.equal([line.split()[1:] for line in lines[1:]],
              [["1", "pts/3", "2023-11-14", "22:13:20", "2.0", "12", "5", "1", "0"],
               ["2", "tty0", "2023-11-14", "22:13:20", "2.0", "14", "5", "1", "0"],
               ["3", "pts/3", "2023-11-14", "22:13:29", "2.0", "12", "5", "1", "0"]],
              "--list shows them")
    folder = uml.scratch("folder")
    os.makedirs(folder)
    for i in range(3):
        os.link(path if i == 1 else log(f"single{i}", session()),
                os.path.join(folder, f"170000000{i}-000000"))
    open(os.path.join(folder, "notes"), "w").close()
    lines = run("--list", folder).stdout.decode().splitlines()
    tap.equal([line.split()[:2] for line in lines[1:]],
              [["1700000000-000000", "1"], ["1700000001-000000", "1"], ["1700000001-000000", "2"],
               ["1700000001-000000", "3"], ["1700000002-000000", "1"]],
              "also those of a folder of logs, and of no other files")
    done = run(folder)
    tap.ok(done.returncode == 1 and b"it is a folder" in done.stderr,
           "a folder is not played", done.stderr)


def following():
    path = uml.scratch("growing")
    records = session()
    with open(path, "wb") as target:
        target.write(ttylog.write(records[:3]))
    player = subprocess.Popen([TOOL, "-f", path], stdout=subprocess.PIPE)
    first = player.stdout.read(7)
    tap.equal(first, b"hello\r\n", "-f shows what there is at once")
    with open(path, "ab") as target:
        whole = ttylog.write(records[3:])
        target.write(whole[:50])
        target.flush()
        target.write(whole[50:])
    tap.equal(player.stdout.read(), b"bye\r\n", "and then what is added, until the session ends")
    tap.equal(player.wait(LIMIT), 0, "with status 0")


def hostile():
    text = b"a\033]0;title\ab\033[6nc\033[21td\033]52;c;eA==\ae\033[31mred\033[?2004h" \
        b"\xc2\x9b5nf\r\n"
    path = log("hostile", session(shown=text))
    tap.equal(run("-n", path).stdout, b"abcde\033[31mred?5nf\r\nbye\r\n",
              "titles, questions, the clipboard and modes are left out")
    tap.equal(run("-n", "--raw", path).stdout, text + b"bye\r\n", "but not with --raw")
    master, slave = os.openpty()
    ended = subprocess.run([TOOL, "-n", path], stdout=slave, timeout=LIMIT)
    shown = os.read(master, 65536)
    tap.ok(ended.returncode == 0 and b"\033[0m\033[4l" in shown and shown.endswith(b"\017"),
           "a terminal is reset at the end", shown)
    player = subprocess.Popen([TOOL, "-f", log("open", session(shown=text)[:3])], stdout=slave)
    while b"red" not in shown.rpartition(b"\017")[2]:
        shown += os.read(master, 65536)
    player.terminate()
    status = player.wait(LIMIT)
    shown += os.read(master, 65536)
    tap.ok(status == -15 and shown.endswith(b"\017"), "also when the player is ended", shown)
    os.close(master)
    os.close(slave)
    name = "x\033]0;evil\a"
    done = run(uml.scratch(name))
    tap.ok(done.returncode == 1 and b"\033" not in done.stderr, "nor do names reach it",
           done.stderr)
    words = run("--programs", log("arguments", [
        (ttylog.OPEN, PTS3, 0, START, NONE),
        (ttylog.EXEC, PTS3, 0, START, b"sh\0-c\0\033]0;x\a\necho $HOME\0")])).stdout
    tap.equal(words, b"2023-11-14 22:13:20  sh -c ?\\]0\\;x?\\necho\\ \\$HOME \n",
              "--programs prints arguments that a shell could read, and nothing that is obeyed")


def long_arguments():
    path = log("long", [(ttylog.OPEN, PTS3, 0, START, NONE),
                        (ttylog.EXEC, PTS3, 0, START, b"x" * 4096),
                        (ttylog.EXEC, PTS3, 0, START, b"y\0"),
                        (ttylog.EXEC, PTS3, 0, START, b"ls\0")])
    lines = run("--programs", path).stdout.decode().splitlines()
    tap.equal([line.split()[2][-2:] for line in lines], ["xy", "ls"],
              "arguments that continue in another record are one line")


def events(output):
    lines = output.decode().splitlines()
    return json.loads(lines[0]), [json.loads(line) for line in lines[1:]]


def asciicast():
    euro = "€".encode()
    records = session(shown=b"money " + euro[:2])
    records.insert(3, (ttylog.DATA, PTS3, ttylog.SHOWN, START + 600_000,
                       euro[2:] + b"\"\\\033[31m"))
    done = run("--asciicast", "-i", "2", "--size=100x30", log("cast", records))
    header, body = events(done.stdout)
    tap.equal(header, {"version": 2, "width": 100, "height": 30, "timestamp": START // 1000000,
                       "idle_time_limit": 2, "title": "pts/3"},
              "--asciicast writes the header that the format describes")
    tap.equal(body, [[0.5, "o", "money "], [0.6, "o", "€\"\\\033[31m"], [2.0, "o", "bye\r\n"]],
              "and the events, in UTF-8 though a character was cut")
    header, body = events(run("--asciicast", "-a", log("cast2", session())).stdout)
    tap.ok([1.0, "i", "pass\r"] in body, "with -a what was typed, too", body)
    back = session()
    back[4] = (*back[4][:3], START - 5_000_000, back[4][4])
    header, body = events(run("--asciicast", log("back", back)).stdout)
    tap.ok([t for t, _, _ in body] == sorted(t for t, _, _ in body) and len(body) == 2,
           "a clock that was set back does not put events out of order", body)


def old_logs():
    """Of the 2.4 port on a 32-bit host: addresses for numbers, four bytes for each."""
    def record(what, tty, length, direction, data):
        return struct.pack("=iIiiII", what, tty, length, direction, 1_100_000_000, 5) + data
    path = uml.scratch("old")
    with open(path, "wb") as target:
        target.write(record(1, 0xa0f01000, 4, 0, bytes(4)) + record(3, 0xa0f01000, 3, 2, b"old")
                     + record(3, 0xa0f01000, 2, 1, b"ls") + record(2, 0xa0f01000, 0, 0, b""))
    tap.equal(run("-n", path).stdout, b"old", "a log of the 2.4 port on a 32-bit host is played")
    tap.ok(b" a0f01000 " in run("--list", path).stdout, "and listed")


def mistakes():
    good = log("good", session())
    other = uml.scratch("other")
    with open(other, "w") as target:
        target.write("this is some text, and not a log of any terminal of any guest\n")
    cut = uml.scratch("cut")
    with open(cut, "wb") as target:
        target.write(ttylog.write(session())[:-50])
    for words, status, pattern in (
            ([], 2, "a log is wanted"), (["--nosuch", good], 2, "no such option"),
            (["-x", good], 2, "no such option"), (["-i", "x", good], 2, "not a number of seconds"),
            (["-i", "-1", good], 2, "not a number of seconds"),
            (["--size=80", good], 2, "not columns and rows"),
            (["--size=0x1", good], 2, "not columns and rows"),
            ([good, "x"], 2, "not the number of a session"), ([good, "1", "2"], 2, "at a time"),
            (["--list", "--asciicast", good], 2, "one of them at a time"),
            (["-f", "--list", good], 2, "playing only"),
            (["/nonexistent"], 1, "No such file"), ([other], 1, "no terminal log"),
            (["/dev/null"], 0, ""), (["-n", cut], 1, "ends within a record"),
            (["--list", cut], 1, "ends within a record")):
        done = run(*words)
        text = done.stderr.decode()
        tap.ok(done.returncode == status and len(text.splitlines()) == bool(status)
               and pattern in text, f"uml_ttylog {' '.join(words)[:40]}: status {status}",
               f"{done.returncode} {text}")
    done = run("--help")
    tap.ok(done.returncode == 0 and done.stdout.startswith(b"usage: uml_ttylog"),
           "--help prints its usage")
    tap.ok(re.match(rb"uml_ttylog \d", run("--version").stdout), "--version its version")
    lost = [(ttylog.OPEN, PTS3, 0, START, NONE),
            (ttylog.LOST, PTS3, 0, START, struct.pack("@L", 777))]
    done = run("-n", log("lost", lost))
    tap.ok(b"777 bytes are missing" in done.stderr, "bytes that are missing are said", done.stderr)


def completion():
    script = f"source {uml.TOP}/completion/uml_ttylog; COMP_WORDS=({TOOL} %s); " \
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _uml_ttylog " + TOOL + "; echo ${COMPREPLY[@]}"

    def completed(words):
        return subprocess.run(["bash", "-c", script % words], capture_output=True, text=True,
                              timeout=LIMIT).stdout.split()
    tap.equal(completed("--as"), ["--asciicast"], "options are completed")
    path = log("completed", session(), session(TTY0))
    tap.equal(completed(f"-n {path} ''"), ["1", "2"], "and the sessions of a log")


def of_a_guest():
    """The player reads a log of ./linux."""
    if not os.access(uml.LINUX, os.X_OK):
        tap.skip("the player reads what ./linux writes", "./linux is not built")
        return
    folder = uml.scratch("guest")
    os.makedirs(folder)
    result = uml.run("echo shown on the console", arguments=[f"tty_log_dir={folder}"])
    files = os.listdir(folder)
    done = run("-n", os.path.join(folder, files[0])) if files else None
    tap.ok(done and done.returncode == 0 and b"shown on the console\r\n" in done.stdout,
           "the player reads what ./linux writes", result.tail)
    lines = run("--list", folder).stdout.decode().splitlines()
    tap.ok(len(lines) == 2 and lines[1].split()[2] == "tty0", "and knows the console", lines)


for test in (playing, several, following, hostile, long_arguments, asciicast, old_logs, mistakes,
             completion, of_a_guest):
    if not sys.argv[1:] or test.__name__ in sys.argv[1:]:
        test()
tap.done()
