#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Terminal logs: what is typed and shown on the guest's terminals is recorded on the host, whatever
root in the guest does, who does not see it. The log is read without our own player."""
import os
import re
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import ttylog
import uml

uml.require()
uml.build("../build/tests/guest/terminals")
PROGRAM = {"terminals": uml.built("guest/terminals")}
PROMPT = r"^.*[#$] $"
NAME = re.compile(r"^(\d{10})-(\d{6})$")
SECRET = "confidential-xylophone"       # part of the folder's name


def out_of_reach():
    """hostfs= of an empty folder, so that no line says that the log can be reached by hostfs."""
    if "CONFIG_HOSTFS=y" not in uml.configuration(uml.LINUX):
        return []
    path = uml.scratch("empty")
    os.makedirs(path, exist_ok=True)
    return [f"hostfs={path}"]


def folder(name):
    path = uml.scratch(name)
    os.makedirs(path)
    return path


def logged(script, option, **how):
    """Boot with a log, and TERMINALS in the guest."""
    result = uml.run(script, files=PROGRAM, arguments=[option, *out_of_reach()], **how)
    if not result.booted:
        tap.diag(result.tail())
    return result


def tty_id(major, minor):
    return major << 20 | minor


def device(records):
    return records[0].tty & 0xffffffff


def of_marks(sessions, mark):
    """The sessions that showed a mark."""
    return [s for s in sessions if mark.encode() in ttylog.shown(s)]


def console_and_ptys():
    path = folder("logs")
    result = logged("/terminals; status=$?; /terminals pass; echo last words; exit $status",
                    f"tty_log_dir={path}")
    tap.equal((result.status, result.exit), (0, 0), "a guest with a log does what it did without",
              result.tail)
    tap.ok(all(NAME.match(name) for name in os.listdir(path)),
           "the files of a log are called <seconds>-<microseconds>", os.listdir(path))
    tap.equal({os.stat(os.path.join(path, name)).st_mode & 0o777 for name in os.listdir(path)},
              {0o600}, "and are their user's alone")
    sessions = ttylog.sessions(path)
    console = [s for s in sessions if device(s) == tty_id(4, 0)]
    tap.ok(len(console) == 1 and b"last words\r\n" in ttylog.shown(console[0]),
           "what the console shows is in it, with the carriage returns", len(console))
    tap.ok(all(s[0].what == ttylog.OPEN and len({r.tty for r in s}) == 1 for s in sessions),
           "each file begins with an open, and is of one session")
    tap.equal(len({s[0].tty for s in sessions}), len(sessions), "no two sessions have one number")
    names = sorted(os.listdir(path))
    tap.ok(all(abs(float(n.replace("-", ".")) - s[0].time) < 0.01
               for n, s in zip(names, sessions)), "whose name is its time")
    ptys = [s for s in sessions if device(s) >> 20 == 136]
    tap.ok(ptys and all(s[-1].what == ttylog.CLOSE for s in ptys),
           "a pty's file ends with a close", [s[-1] for s in ptys])
    tap.ok(all(len(t) == 8 and struct.unpack("@L", t)[0] == 0
               for t in (s[0].data for s in sessions)),
           "who opened a terminal without having one is 0")
    program(sessions)
    every_byte(sessions)
    stops(sessions)
    uml.clean(result)


def program(sessions):
    found = of_marks(sessions, "mark program")
    tap.equal(len(found), 1, "what a program shows on a pty is in a file of its own")
    session = found[0] if found else []
    tap.equal(ttylog.typed(session), b"typed to it\n", "what is typed is, too")
    text = ttylog.shown(session)
    tap.ok(text.count(b"typed to it\r\n") == 2 and b"mark typed to it\r\n" in text,
           "and its echo", text)
    tap.ok([b"sh", b"-c", b'echo mark program; read line; echo "mark $line"', b"an argument"]
           in ttylog.programs(session), "and which program began, with its arguments",
           ttylog.programs(session))


def every_byte(sessions):
    every = bytes(range(256))
    found = [s for s in sessions if every in ttylog.shown(s)]
    tap.equal(len(found), 1, "all byte values that are shown in raw mode are in it")
    tap.ok(found and ttylog.typed(found[0]) == every, "and all that are typed")


def stops(sessions):
    for mark, sentence in (
            ("mark after disciplines", "another line discipline does not stop it"),
            ("mark after hangup", "vhangup does not"),
            ("mark packet", "packet mode, EXTPROC and TIOCEXCL do not"),
            ("mark hidden", "namespaces, another devpts and chroot do not")):
        tap.equal(len(of_marks(sessions, mark)), 1, sentence)
    found = of_marks(sessions, "mark after disciplines")
    tap.ok(found and b"typed after disciplines" in ttylog.typed(found[0]),
           "what is typed afterwards is in it")
    found = of_marks(sessions, "mark packet")
    tap.ok(found and b"typed without echo" in ttylog.typed(found[0]),
           "also what is not echoed, such as a password")
    tap.ok(any(b"mark inserted" in ttylog.typed(s) for s in sessions),
           "what TIOCSTI inserts counts as typed")


def not_to_be_seen():
    path = folder(SECRET)
    script = f"/terminals search {SECRET[::-1]}; /terminals search {'tty_log'[::-1]}; " \
        "echo ARGUMENTS $(cat /proc/1/cmdline | tr '\\0' ' '); cat /proc/tty/ldiscs"
    result = logged(script, f"tty_log_dir={path}")
    searched = [int(n) for n in re.findall(r"^searched (\d+)", result.output, re.M)]
    tap.ok(len(searched) == 2 and min(searched) > 1000,
           "a guest looks for its log in all of /proc and /sys and in the kernel's log", searched)
    tap.equal(re.findall(r"^found in .*", result.output, re.M), [],
              "and finds neither the option nor the folder")
    without = uml.run(script, files=PROGRAM, arguments=out_of_reach())
    lists = [r.output.partition("ARGUMENTS")[2].splitlines() for r in (result, without)]
    tap.equal(lists[0], lists[1], "init's arguments and the list of line disciplines are the same")
    tap.ok(ttylog.sessions(path), "though there is one")
    seen = uml.run(f"cat /proc/cmdline", arguments=["--", "tty_log_dir=init"])
    tap.ok("-- tty_log_dir=init" in seen.output, "words after -- are init's", seen.output[:300])


def stream():
    path = uml.scratch("stream")
    with open(path, "wb") as target:
        result = logged("/terminals many 20; exit $?", f"tty_log_fd={target.fileno()}",
                        pass_fds=[target.fileno()])
    records = ttylog.read(path)
    numbers = [r.tty for r in records if r.what == ttylog.OPEN]
    tap.ok(result.status == 0 and len(numbers) == len(set(numbers)) == 21,
           "tty_log_fd= gives one stream of all sessions, each with its number", len(numbers))
    marks = {r: ttylog.shown([x for x in records if x.tty == r]) for r in numbers[1:]}
    tap.ok(all(text == f"mark number {i}\r\nmark again\r\n".encode()
               for i, text in enumerate(marks.values())), "and each has its own bytes", marks)


def many():
    path = folder("many")
    counted = []

    def drive(instance):
        instance.expect("many terminals are open", 60)
        counted.append(len(os.listdir(f"/proc/{instance.pid}/fd")))
    # 300 terminals and fewer descriptors than that on the host
    result = logged("/terminals many 300", f"tty_log_dir={path}", drive=drive,
                    wrap=["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"])
    sessions = ttylog.sessions(path)
    tap.equal((result.exit, len(sessions)), (0, 301),
              "300 terminals at once have 300 files, on a host that lets ./linux open 128",
              result.tail)
    tap.ok(all(b"mark again" in ttylog.shown(s) for s in sessions[1:]),
           "and each is whole")


def restart():
    path = folder("restart")
    guest = uml.Instance(["mem=64M", f"tty_log_dir={path}", *out_of_reach()], terminal=True)
    guest.expect(PROMPT, 30)
    begin = guest.type("echo fi''rst; reboot -f\r")
    guest.expect(PROMPT, 30, begin + 30)
    begin = guest.type("cat /proc/cmdline; echo sec''ond\r")
    guest.expect("^second", 30, begin)
    tap.ok("tty_log" not in guest.text[begin:], "the option stays hidden after a restart")
    guest.type("poweroff -f\r")
    guest.wait(20)
    guest.close()
    sessions = ttylog.sessions(path)
    tap.ok(len(of_marks(sessions, "first\r\n")) == len(of_marks(sessions, "second\r\n")) == 1
           and of_marks(sessions, "first\r\n") != of_marks(sessions, "second\r\n"),
           "a restarted guest has a log again, in other files", guest.text[-500:])
    typed = b"".join(ttylog.typed(s) for s in sessions)
    tap.ok(b"echo fi''rst; reboot -f\r" in typed, "what is typed on a console is in it", typed)
    shown = b"".join(ttylog.shown(s) for s in sessions)
    tap.ok(b"echo fi''rst; reboot -f" in shown, "and its echo")


def children_and_exec():
    """A pty that a program of a session opens has the session as its parent."""
    path = folder("parents")
    instances = folder("uml")
    guest = uml.Instance(["umid=parents", f"uml_dir={instances}", "mem=64M",
                          f"tty_log_dir={path}", *out_of_reach()], terminal=True)
    guest.expect(PROMPT, 30)
    begin = guest.type("cat /dev/ptmx & sleep 0.1; kill $!; echo do''ne\r")
    guest.expect("^done", 30, begin)
    guest.type("poweroff -f\r")
    guest.wait(20)
    guest.close()
    sessions = ttylog.sessions(path)
    console = [s for s in sessions if device(s) == tty_id(4, 0)]
    ptys = [s for s in sessions if device(s) >> 20 == 136]
    tap.ok(console and ptys and struct.unpack("@L", ptys[0][0].data)[0] == console[0][0].tty,
           "the open of a pty names the terminal of the program that opened it", guest.text[-300:])
    begun = ttylog.programs(console[0]) if console else []
    tap.ok(any(p[:2] == [b"cat", b"/dev/ptmx"] for p in begun),
           "programs of a shell on the console are in its session", begun)


def full_disk():
    result = None
    with open("/dev/full", "wb") as full:
        result = logged("/terminals flood 300000; echo al''ive", f"tty_log_fd={full.fileno()}",
                        pass_fds=[full.fileno()])
    lines = re.findall(r"^linux: tty_log_fd.*", result.console, re.M)
    tap.ok(result.exit == 0 and "alive" in result.output, "with a full disk the guest runs on")
    tap.ok(len(lines) == 2 and "No space left" in lines[0], "and one line says so", lines)
    tap.ok(len(lines) == 2 and re.search(r": [1-9]\d{5,} bytes are missing", lines[1]),
           "and another one at the end how much is missing", lines)


def room_again():
    """A file system of 256 KiB, which the test fills and empties."""
    path = folder("small")
    wrap = ["unshare", *([] if os.getuid() == 0 else ["-r"]), "-m", "sh", "-c",
            f'mount -t tmpfs -o size=256k none {path} && dd if=/dev/zero of={path}/ballast '
            f'bs=1k count=240 2>/dev/null && exec "$@"', "sh"]
    if subprocess.run([*wrap[:-1], "sh", "true"], capture_output=True).returncode:
        tap.skip("a log continues when the disk has room again", "no tmpfs can be mounted here")
        return
    kept = {}
    reader, writer = os.pipe()

    def drive(instance):
        inside = f"/proc/{instance.pid}/root{path}"
        instance.expect("terminals are not recorded", 60)
        os.unlink(f"{inside}/ballast")
        for answer in ("terminals are recorded again", "^over"):
            begin = len(instance.text)
            os.write(writer, b"go\n")
            instance.expect(answer, 60, begin)
        deadline = time.monotonic() + 10 * uml.PATIENCE
        while time.monotonic() < deadline and not any(b"over\r\n" in log for log in kept.values()):
            for name in os.listdir(inside):
                with open(f"{inside}/{name}", "rb") as source:
                    kept[name] = source.read()
        os.write(writer, b"go\n")

    result = logged("for i in $(seq 2000); do echo line $i, which fills the disk; done; read x; "
                    "echo now there is room; read x; echo over; read x",
                    f"tty_log_dir={path}", wrap=wrap, stdin=reader, drive=drive)
    os.close(writer)
    os.close(reader)
    records = []
    try:
        records = ttylog.parse(next((d for d in kept.values() if b"over\r\n" in d), b""))
        whole = True
    except ValueError as error:
        whole = error
    text = ttylog.shown(records)
    tap.ok(records and whole is True, "a full disk leaves no half record", whole)
    tap.ok(ttylog.lost(records) and b"now there is room" in text,
           "a log continues when the disk has room again, and says how much is missing",
           result.tail())


def slow_reader():
    """The stream has no reader until the guest has flooded it."""
    reader, writer = os.pipe()
    total = 30_000_000
    log = []

    def read_all():
        with os.fdopen(reader, "rb") as source:
            log.append(source.read())

    thread = threading.Thread(target=read_all)

    def drive(instance):
        instance.expect("^flooded", 120)
        thread.start()
    result = logged(f"/terminals flood {total}; seq 3000; echo flooded; sleep 1; echo the end",
                    f"tty_log_fd={writer}", pass_fds=[writer], drive=drive)
    os.close(writer)
    if not thread.is_alive() and not log:
        thread.start()
    thread.join(60)
    records = ttylog.parse(log[0])
    pty = [r for r in records if r.tty & 0xffffffff == tty_id(136, 0)]
    got, lost = len(ttylog.shown(pty)), ttylog.lost(pty)
    tap.ok(result.exit == 0, "a reader of the stream that does not read does not hold up the guest",
           result.tail)
    tap.ok(0 < got < total and got + lost == total,
           "and every byte is in the log or counted as missing", f"{got} + {lost}, of {total}")
    console = [r for r in records if r.tty & 0xffffffff == tty_id(4, 0)]
    tap.ok(b"\r\n2999\r\n3000\r\nflooded\r\n" in ttylog.shown(console)
           and not ttylog.lost(console),
           "a terminal that floods makes no other one lose bytes", ttylog.lost(console))
    tap.ok(re.search(r"^linux: tty_log_fd=\d+: \d+ bytes are missing", result.console, re.M),
           "a line at the end says that bytes are missing")


def mistakes():
    file = uml.scratch("file")
    open(file, "w").close()
    with open(file) as readable:
        for words, pattern in (
                (["tty_log_dir="], "value is missing"),
                (["tty_log_dir=/nonexistent/x"], "No such file"),
                ([f"tty_log_dir={file}"], "Not a directory"),
                (["tty_log_fd=x"], "not the number of a descriptor"),
                (["tty_log_fd=-1"], "not the number of a descriptor"),
                (["tty_log_fd=77"], "not open"),
                ([f"tty_log_fd={readable.fileno()}"], "cannot be written"),
                (["tty_log_fd=1", "tty_log_dir=/tmp"], "leave one of them out")):
            done = subprocess.run([uml.LINUX, "mem=64M", *words], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=20 * uml.PATIENCE,
                                  pass_fds=[readable.fileno()])
            tap.ok(done.returncode == 1 and len(done.stderr.splitlines()) == 1
                   and pattern in done.stderr and not done.stdout,
                   f"{' '.join(words)[:40]}: a line and status 1", done.stderr)
    if os.getuid() == 0:
        tap.skip("a folder that cannot be written to is refused", "root can write anywhere")
    else:
        done = subprocess.run([uml.LINUX, "mem=64M", "tty_log_dir=/"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20 * uml.PATIENCE)
        tap.ok(done.returncode == 1 and "cannot be made" in done.stderr,
               "a folder that cannot be written to is refused", done.stderr)


def hostfs_warning():
    if "CONFIG_HOSTFS=y" not in uml.configuration(uml.LINUX):
        tap.skip("a log within reach of hostfs gets a line", "this kernel has no hostfs")
        return
    path = folder("reach")
    other = folder("other")
    for option, wanted in (([], True), ([f"hostfs={path}"], True),
                           ([f"hostfs={os.path.dirname(path)},append"], True),
                           ([f"hostfs={other}"], False)):
        result = uml.run("true", arguments=[f"tty_log_dir={path}", *option])
        tap.equal("root in the guest can reach it by hostfs" in result.console, wanted,
                  f"a log {'within' if wanted else 'out of'} reach of hostfs gets "
                  f"{'a' if wanted else 'no'} line")


for test in (mistakes, console_and_ptys, not_to_be_seen, stream, many, restart, children_and_exec,
             full_disk, room_again, slow_reader, hostfs_warning):
    if not sys.argv[1:] or test.__name__ in sys.argv[1:]:
        test()
tap.done()
