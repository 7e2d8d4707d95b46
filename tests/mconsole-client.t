#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_mconsole, built with sanitizers: against a stand-in for an instance that answers as told,
compared with Debian's; then both against ./linux."""
import contextlib
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import tap
import uml
from mconsole_server import Server, packets

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"     # readline keeps some memory
DEBIAN = "/usr/bin/uml_mconsole"
DEBIAN = DEBIAN if os.access(DEBIAN, os.X_OK) else None
NO_DEBIAN = "no uml_mconsole of Debian's on this machine (package uml-utilities)"
HOME = uml.scratch("home")
UML = os.path.join(HOME, ".uml")
os.makedirs(UML)
os.environ["HOME"] = HOME
os.environ.pop("XDG_RUNTIME_DIR", None)
WORK = uml.scratch("work")
os.mkdir(WORK)
os.chdir(WORK)


def build():
    """The path of uml_mconsole, built with sanitizers."""
    folder = os.path.join(uml.OBJECTS, "sanitized")
    cowfile.make(os.path.join(uml.TOP, "tools", "uml_mconsole"), f"OUT={folder}",
                 f"CFLAGS=-O1 {cowfile.SANITIZERS}")
    return os.path.join(folder, "uml_mconsole")


OURS = build()


def run(*words, program=OURS, timeout=60, **how):
    how.setdefault("stdin", subprocess.DEVNULL)
    if "input" in how:
        del how["stdin"]
    return subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, **how)


def says(sentence, words, status, output=None, error=None, **how):
    """Run ours: its status, all of its output, and a pattern of its one line of error."""
    ended = run(*words, **how)
    lines = ended.stderr.decode().splitlines()
    return tap.ok(ended.returncode == status and
                  (output is None or ended.stdout == output.encode()) and
                  (re.search(error, lines[0]) and len(lines) == 1 if error else not lines),
                  sentence, lambda: f"{words}: status {ended.returncode}\n{ended.stdout}\n"
                  + ended.stderr.decode(errors="replace"))


def as_debian(sentence, *words, same_status=False, **how):
    """Both print the same, and both succeed or fail. Debian's ends with the error's number, which
    may be any in an answer of a stand-in (not @same_status)."""
    if not DEBIAN:
        tap.skip(sentence, NO_DEBIAN)
        return
    ours, theirs = run(*words, **how), run(*words, program=DEBIAN, **how)
    tap.ok(ours.stdout == theirs.stdout and (not ours.returncode) == (not theirs.returncode)
           and (not same_status or ours.returncode == theirs.returncode), sentence,
           lambda: f"ours {ours.returncode} {ours.stdout}\n"
           f"theirs {theirs.returncode} {theirs.stdout}\n{ours.stderr.decode()}")


# ---- one shot ----

def one_shot(server):
    says("a command's answer is printed after OK, with status 0", ["alice", "version"], 0,
         f"OK {server.answers['version']}\n")
    tap.equal((server.requests[-1], server.sizes[-1]), (b"version", 524),
              "the request is a packet of 524 bytes")
    tap.ok(server.names[-1].startswith(b"\0"), "from an abstract name", server.names[-1])
    says("an error is printed after ERR, with status 1", ["alice", "nonsense"], 1,
         "ERR no such command; help lists them\n")
    as_debian("Debian's prints the same", "alice", "version")
    as_debian("also of an error", "alice", "nonsense")
    run("alice", "some", "words", "", "more")
    tap.equal(server.requests[-1], b"some words  more", "words become one request, with blanks")
    text = "".join(f"line {n} of a long file\n" for n in range(2000))
    server.answers["proc long"] = packets(text, 511)
    says("an answer of many packets is whole", ["alice", "proc", "long"], 0, f"OK {text}\n")
    as_debian("Debian's prints the same", "alice", "proc", "long")
    server.answers["proc split"] = packets(text[:3000], 7)
    says("also when the kernel sends it in small pieces", ["alice", "proc", "split"], 0,
         f"OK {text[:3000]}\n")
    server.answers["proc first"] = [(5, True, b"it went "), (0, False, b"wrong")]
    says("an error in the first packet counts", ["alice", "proc", "first"], 1,
         "ERR it went wrong\n")
    server.answers["proc last"] = [(0, True, b"half a file"), (5, False, b"/proc/last: I/O error")]
    says("an error in the last one as well, on a line by itself", ["alice", "proc", "last"], 1,
         "OK half a file\nERR /proc/last: I/O error\n")
    server.answers["proc bytes"] = [(0, False, b"a\0b\xff\x1b[2J\n\0")]
    tap.equal(run("alice", "proc", "bytes").stdout, b"OK a\0b\xff\x1b[2J\n\0\n",
              "a file gets the bytes as they are")
    server.answers["proc short"] = [b"tiny"]
    says("a packet that is too short for a reply is an error", ["alice", "proc", "short"], 1, "",
         error="not of the protocol")


def limits(server):
    server.answers["silence"] = None
    start = time.monotonic()
    says("without an answer it ends after --timeout, with status 4",
         ["--timeout=0.5", "alice", "silence"], 4, "", error=r"no answer in time: 0\.5 s")
    tap.ok(0.5 <= time.monotonic() - start, "and not before", time.monotonic() - start)
    server.answers["slow"] = [packet for n in range(8) for packet in (0.3, (0, n < 7, b"%d " % n))]
    says("a long answer may take longer, as long as packets come",
         ["--timeout=2", "alice", "slow"], 0, "OK 0 1 2 3 4 5 6 7 \n")
    longest = "log " + "x" * 507
    says("a request may have 511 bytes", ["alice", longest], 0, "OK \n")
    tap.equal(server.requests[-1], longest.encode(), "which come whole")
    before = len(server.requests)
    says("a longer one is refused, with status 2", ["alice", longest + "x"], 2, "",
         error="at most 511 bytes")
    tap.equal(len(server.requests), before, "and not sent")
    for words, what in ((["--timeout=x", "alice", "version"], "a time limit that is no number"),
                        (["--timeout=-1", "alice", "version"], "a negative one"),
                        (["--timeout=nan", "alice", "version"], "one that is not a number"),
                        (["--wait=", "alice"], "an empty time to wait"),
                        (["--frobnicate"], "an unknown option"),
                        (["--wait"], "waiting for no instance"),
                        (["--json", "alice"], "JSON at a prompt"),
                        (["--list", "alice"], "a list with a name")):
        says(f"{what} is refused, with status 2", words, 2, "", error="uml_mconsole: .+")
    says("--version says the version", ["--version"], 0, "uml_mconsole 1.0\n")
    shown = run("--help")
    tap.ok(shown.returncode == 0 and b"usage:" in shown.stdout, "--help shows the usage", shown)


# ---- finding instances ----

def finding():
    says("an instance that is not there is one line, with status 3", ["nobody", "version"], 3, "",
         error="nobody: there is no such instance; uml_mconsole --list")
    says("so is an empty name", ["", "version"], 3, "", error="no such instance")
    with Server(UML, "bob") as server:
        answer = f"OK {server.answers['version']}\n"
        says("the name may be the path of the socket", [server.path, "version"], 0, answer)
        says("or of its folder", [server.folder, "version"], 0, answer)
        says("or a relative path", ["bob", "version"], 0, answer, cwd=UML, env=dict(os.environ,
                                                                                    HOME="/none"))
        server.stop()
        says("an instance that was killed is one line, with status 3", ["bob", "version"], 3, "",
             error="does not run any more")
        runtime = uml.scratch("runtime")
        with Server(os.path.join(runtime, "uml"), "bob") as other:
            says("a live instance goes before a dead one's folder", ["bob", "version"], 0,
                 f"OK {other.answers['version']}\n", env=dict(os.environ, XDG_RUNTIME_DIR=runtime))
    given = uml.scratch("given")
    with Server(given, "carol") as server:
        answer = f"OK {server.answers['version']}\n"
        says("--uml-dir names the folder of the instances' folders",
             [f"--uml-dir={given}", "carol", "version"], 0, answer)
        says("which is not looked into otherwise", ["carol", "version"], 3, "", error="no such")
        with Server(UML, "emil"):
            says("and no other folder is, then", [f"--uml-dir={given}", "emil", "version"], 3, "",
                 error="no such instance")
    deep = os.path.join(uml.scratch("deep"), "x" * 100, "y" * 100)
    with Server(deep, "dora") as server:
        says("a socket's path may be longer than an address", [server.path, "version"], 0,
             f"OK {server.answers['version']}\n")
    other_users()
    in_shared_tmp()


def as_user(uid):
    """How to run a program as another user."""
    def become():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    return dict(preexec_fn=become, cwd="/", env=dict(os.environ, HOME="/nonexistent"))


@contextlib.contextmanager
def open_folder():
    """A folder that other users reach, unlike the scratch folder, with a copy of uml_mconsole."""
    folder = f"/tmp/uml-test-{os.getpid()}"
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    copy = os.path.join(folder, "copy")
    try:
        shutil.copy(OURS, copy)
        yield folder, copy
    finally:
        os.unlink(copy)
        os.rmdir(folder)


def other_users():
    """Root can be any user: one that has no folders yet."""
    if os.geteuid():
        for sentence in ("another user's instance is one line, with status 3",
                         "/tmp/uml-<uid> is looked into"):
            tap.skip(sentence, "only root can be another user")
        return
    uid = 100000 + os.getpid()
    with open_folder() as (folder, copy), Server(folder, "fay") as server:
        os.chmod(server.folder, 0o755)
        how = dict(as_user(uid), program=copy)
        says("another user's instance is one line, with status 3", [server.path, "version"], 3, "",
             error="belongs to another user", **how)
        os.chmod(server.path, 0o666)
        says("where the socket's mode was opened, it answers", [server.path, "version"], 0,
             f"OK {server.answers['version']}\n", **how)
        in_tmp(uid, how)


def in_tmp(uid, how):
    """/tmp/uml-<uid>, which any user may make."""
    place = f"/tmp/uml-{uid}"
    os.mkdir(place, 0o700)
    try:
        with Server(place, "erna") as server:
            for path in (place, server.folder, server.path):
                os.chown(path, uid, uid)
            answer = f"OK {server.answers['version']}\n"
            says("/tmp/uml-<uid> is looked into", ["erna", "version"], 0, answer, **how)
            os.chmod(place, 0o777)
            says("but not when other users may write there", ["erna", "version"], 3, "",
                 error="no such instance", **how)
            listed = json.loads(run("--list", "--json", **how).stdout)
            tap.ok("erna" not in [entry["umid"] for entry in listed], "nor is it listed", listed)
            os.chown(place, 65534, 65534)
            os.chmod(place, 0o755)
            says("nor when it is another user's", ["erna", "version"], 3, "",
                 error="no such instance", **how)
    finally:
        os.rmdir(place)


def in_shared_tmp():
    """/tmp/uml, which all users share: in a mount namespace with another /tmp."""
    tmp = uml.scratch("tmp")
    place = os.path.join(tmp, "uml")
    os.makedirs(place)
    behind = ["unshare", "-m", "--propagation", "private", "sh", "-c",
              'mount --bind "$0" /tmp && exec "$@"', tmp]
    if os.geteuid() or subprocess.run([*behind, "true"], capture_output=True).returncode:
        tap.skip("/tmp/uml is looked into", "needs root, to mount another /tmp")
        return
    # Below /tmp, the program and the usual folders are hidden.
    program = os.path.join("/dev/shm", f"uml_mconsole-{os.getpid()}")
    shutil.copy(OURS, program)
    try:
        with Server(place, "gerd") as server:
            for sentence, owner, mode, is_found in (
                    ("/tmp/uml is looked into", 0, 0o755, True),
                    ("also if all may make folders there", 0, 0o1777, True),
                    ("not if all may replace them", 0, 0o777, False),
                    ("nor if another user may, who owns it", 65534, 0o1777, False)):
                os.chown(place, owner, owner)
                os.chmod(place, mode)
                done = subprocess.run([*behind, program, "gerd", "version"], capture_output=True,
                                      text=True, cwd="/", stdin=subprocess.DEVNULL, timeout=60)
                answer = f"OK {server.answers['version']}\n" if is_found else ""
                tap.equal((done.returncode, done.stdout), (0 if is_found else 3, answer), sentence,
                          done.stderr)
    finally:
        os.unlink(program)


def listing_while_they_end():
    """Folders that come and go while they are listed."""
    ends = threading.Event()
    place = uml.scratch("restless")
    os.makedirs(place)

    def come_and_go():
        while not ends.is_set():
            for i in range(20):
                os.mkdir(os.path.join(place, f"guest{i}"))
            for i in range(20):
                os.rmdir(os.path.join(place, f"guest{i}"))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    failed = [done.stderr for done in (run(f"--uml-dir={place}", "--list") for _ in range(60))
              if done.returncode]
    ends.set()
    thread.join()
    os.rmdir(place)
    tap.equal(failed, [], "an instance that ends while it is looked at does not spoil the list")


def listing(server):
    with Server(UML, "dead", pid=2 ** 22 - 1) as other, Server(UML, "old", lock=False) as old:
        other.stop()
        server.answers["config mem"] = str(96 << 20)
        old.answers["config mem"] = None
        os.mkdir(os.path.join(UML, "empty"))
        listed = {entry["umid"]: entry for entry in json.loads(run("--list", "--json").stdout)}
        text = run("--list").stdout.decode()
        os.rmdir(os.path.join(UML, "empty"))
    tap.equal(sorted(listed), ["alice", "dead", "old"], "--list --json lists the instances")
    entry = listed["alice"]
    tap.ok(entry["pid"] == os.getpid() and entry["state"] == "running" and
           entry["folder"] == server.folder, "with pid, state and folder", entry)
    tap.ok(0 < entry["uptime"] < 3600 and entry["cpu_seconds"] > 0 and
           entry["memory_used"] > 1 << 20, "and what it uses, by the host's /proc", entry)
    tap.equal((entry["memory_given"], listed["old"]["memory_given"]), (96 << 20, None),
              "and the memory that it was given, if it answers")
    tap.equal((listed["dead"]["state"], listed["dead"]["cpu_seconds"]), ("dead", None),
              "a folder that a killed instance left is told apart")
    tap.equal(listed["old"]["state"], "running", "an instance without a lock lives if it answers")
    tap.ok(re.search(rf"^alice +{os.getpid()} running +0:\d\d:\d\d +\d+ MiB", text, re.M) and
           re.search(r"^dead +\d+ dead", text, re.M), "--list shows the same as a table", text)


def waiting():
    def later():
        time.sleep(0.7)
        servers.append(Server(UML, "gina"))
    servers = []
    thread = threading.Thread(target=later)
    thread.start()
    answer = "OK Linux gina 6.12.0 #1 Sat Nov 28 2026 x86_64\n"
    says("--wait waits until an instance answers, then sends the command",
         ["--wait", "gina", "version"], 0, answer)
    thread.join()
    with servers[0] as server:
        says("without a command it only waits", ["--wait=20", "gina"], 0, "")
        server.answers["version"] = None
        says("one that does not answer in time is status 4", ["--wait=0.3", "gina"], 4, "",
             error=r"no answer in time: 0\.3 s")
    says("one that does not come in time is status 3", ["--wait=0.3", "gina", "version"], 3, "",
         error="no such instance")


def gone(server):
    server.answers["silence"] = None
    with Server(UML, "hugo") as other:
        other.answers["silence"] = None
        client = subprocess.Popen([OURS, "--timeout=0", "hugo", "silence"], stderr=subprocess.PIPE)
        other.wait_for(b"silence")
        other.stop()
        _, error = client.communicate(timeout=30)
    tap.ok(client.returncode == 3 and b"ended before it had answered" in error,
           "an instance that ends before it has answered is noticed, with status 3",
           f"{client.returncode} {error}")


# ---- commands that uml_mconsole carries out itself ----

def files(server):
    server.answers["config"] = ""
    here = os.getcwd()
    for given, wanted in (("ubd0=rel.img", f"ubd0={here}/rel.img"),
                          ("ubd0=a.cow,b.img", f"ubd0={here}/a.cow,{here}/b.img"),
                          ("ubd0r=x", f"ubd0r={here}/x"), ("ubda=x", f"ubda={here}/x"),
                          ("ubd12rs=a,/b,serial", f"ubd12rs={here}/a,/b,serial"),
                          ("ubd0=a:b:c", f"ubd0={here}/a:{here}/b:c"),
                          ("ubd0=a,,s", f"ubd0={here}/a,,s"),
                          ("ubd0=/abs", "ubd0=/abs"), ("ubd0", "ubd0"), ("ubd0=", "ubd0="),
                          ("virtio_uml1=a.sock:2", f"virtio_uml1={here}/a.sock:2"),
                          ("virtio_uml1=/abs:2", "virtio_uml1=/abs:2"),
                          ("eth0=tuntap,x", "eth0=tuntap,x"), ("con1=pts", "con1=pts"),
                          ("mem=+64M", "mem=+64M")):
        run("alice", "config", given)
        tap.equal(server.requests[-1].decode(), f"config {wanted}", f"config {given}: the request")
        # It has bugs in some, and does not know virtio_uml.
        if DEBIAN and given not in ("ubd0=a:b:c", "ubd0=a,,s", "ubd0=", "virtio_uml1=a.sock:2"):
            run("alice", "config", given, program=DEBIAN)
            tap.equal(server.requests[-1].decode(), f"config {wanted}", "as Debian's sends it")
    os.mkdir("a,b")
    says("a working directory with a comma in its path is an error", ["alice", "config", "ubd0=x"],
         1, "", error="comma", cwd="a,b")
    says("but none for a socket's name", ["alice", "config", "virtio_uml1=s:2"], 0, "OK \n",
         cwd="a,b")
    tap.equal(server.requests[-1].decode(), f"config virtio_uml1={here}/a,b/s:2",
              "which is made absolute")


def logging(server):
    before = len(server.requests)
    says("log sends a text", ["alice", "log", "a  text", "of words"], 0, "OK \n")
    tap.equal(server.requests[before:], [b"log a  text of words"], "as one request")
    lines = [f"line {n} " + "x" * (n % 90) + "\n" for n in range(300)] + ["y" * 2000 + "\n"]
    with open("log", "w") as out:
        out.writelines(lines)
    before = len(server.requests)
    says("log -f sends a file", ["alice", "log", "-f", "log"], 0, "OK \n")
    parts = server.requests[before:]
    tap.ok(all(part.startswith(b"log ") and len(part) <= 511 for part in parts) and
           b"".join(part[4:] for part in parts).decode() == "".join(lines),
           "all of it, in requests of at most 511 bytes", parts)
    tap.ok(len(parts) < 60 and all(part.endswith(b"\n") for part in parts[:-6]),
           "of whole lines, as many as go into one", [len(parts), parts[-8:]])
    before = len(server.requests)
    run("alice", "log", "-f", "-", input=b"from standard input\0\n")
    tap.equal(server.requests[before:], [b"log from standard input?\n"],
              "log -f - sends standard input; a NUL is sent as a question mark")
    says("a file that is not there is one line, with status 1", ["alice", "log", "-f", "none"], 1,
         "", error="none: No such file")
    server.answers["log"] = packets("the log is full", error=28)
    says("an error ends it, with status 1", ["alice", "log", "-f", "log"], 1,
         "ERR the log is full\n")
    server.answers["log"] = ""


def local(server):
    as_debian("help is the kernel's text and the local commands, as Debian's", "alice", "help")
    says("mconsole-version needs no instance that answers", ["nobody", "mconsole-version"], 0,
         "uml_mconsole client version 2\n")
    as_debian("it prints what Debian's prints", "alice", "mconsole-version")
    def sleeper():
        # A shell in the background ignores SIGINT, and so do its children.
        return subprocess.Popen(["sleep", "1000"], preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL))
    child = sleeper()
    try:
        with Server(UML, "ida", pid=child.pid) as other:
            says("int sends SIGINT to the instance", ["ida", "int"], 0, "")
            tap.equal(child.wait(30), -signal.SIGINT, "to the process of the file pid")
            child = sleeper()
            other.pid_file.seek(0)
            other.pid_file.write(f"{child.pid}\n")
            other.pid_file.flush()
            other.stop()
            says("not to a process that got a dead instance's number", ["ida", "int"], 3, "",
                 error="does not run")
            tap.equal(child.poll(), None, "which lives on")
    finally:
        child.kill()
        child.wait()


def execution(server):
    server.answers["exec"] = [(0, True, b"out\n"), 0.2, (0, True, b"err\n"), (7, False, b"")]
    says("exec prints a command's output as it is, and ends with its status",
         ["alice", "exec", "x"], 7, "out\nerr\n")
    server.answers["exec"] = [(0, False, b"")]
    says("also of a command without output", ["alice", "exec", "true"], 0, "")
    server.answers["exec"] = [(1, False, b"")]
    says("that fails", ["alice", "exec", "false"], 1, "")
    server.answers["exec"] = [(0, True, b"x"), (137, False, b"")]
    says("or is killed by a signal", ["alice", "exec", "kill -9 $$"], 137, "x")
    server.answers["exec"] = [(11, False, b"100 commands run already")]
    says("a command that could not be run is the kernel's error", ["alice", "exec", "x"], 1,
         "ERR 100 commands run already\n")
    run("alice", "exec", "echo", "a  b", ">", "/tmp/x")
    tap.equal(server.requests[-1], b"exec echo a  b > /tmp/x", "the command is sent as it is")
    server.answers["exec"] = [(0, True, b"first\n"), 1000]
    client = subprocess.Popen([OURS, "alice", "exec", "x"], stdout=subprocess.PIPE)
    tap.ok(select.select([client.stdout], [], [], 30)[0] and
           os.read(client.stdout.fileno(), 100) == b"first\n", "output is shown as it comes")
    client.kill()
    client.communicate()
    server.answers["exec"] = [1.2, (0, False, b"")]
    says("exec has no time limit", ["alice", "exec", "sleep 1"], 0, "")
    server.answers["exec"] = None
    says("but the one that is given", ["--timeout=0.3", "alice", "exec", "sleep 1"], 4, "",
         error="no answer in time")


# ---- JSON ----

def as_json(server):
    def answer(*words, status=0):
        ended = run("--json", "alice", *words)
        if ended.returncode != status:
            return f"status {ended.returncode}: {ended.stdout}{ended.stderr}"
        return json.loads(ended.stdout)
    tap.equal(answer("version"), {"instance": "alice", "sysname": "Linux", "nodename": "alice",
                                  "release": "6.12.0", "version": "#1 Sat Nov 28 2026",
                                  "machine": "x86_64"}, "--json version has its parts")
    server.answers["config ubd0"] = '/a "b"\\c.img'
    tap.equal(answer("config", "ubd0"), {"instance": "alice", "device": "ubd0",
                                         "value": '/a "b"\\c.img'}, "--json config has the value")
    server.answers["config"] = ""
    tap.equal(answer("config", "con1=pts"), {"instance": "alice", "device": "con1", "value": None},
              "and null after one was set")
    text = "MemTotal:  128 kB\nHuge:\t7\nName: x y\n"
    server.answers["proc meminfo"] = packets(text, 5)
    tap.equal(answer("proc", "meminfo"), {"instance": "alice", "file": "meminfo", "text": text,
                                          "values": {"MemTotal": 131072, "Huge": 7, "Name": "x y"}},
              "--json proc has the text and the values in it")
    server.answers["proc raw"] = [(0, False, b"a\0b\x1b\xff\n")]
    tap.equal(answer("proc", "raw"), {"instance": "alice", "file": "raw", "text": "a\0b\x1b\xff\n"},
              "bytes that are no text come as characters")
    tap.equal(answer("proc", "none", status=1),
              {"instance": "alice", "error": 22, "text": "no such command; help lists them"},
              "an error has its number and text, with status 1")
    for words in (["halt"], ["int"], ["exec", "ls"]):
        before = len(server.requests)
        says(f"--json {words[0]} is refused, with status 2", ["--json", "alice", *words], 2, "",
             error="--json")
        tap.equal(len(server.requests), before, "and nothing is sent")


# ---- the prompt ----

class Terminal:
    """uml_mconsole on a new terminal."""

    def __init__(self, *words):
        pid, self.fd = pty.fork()
        if not pid:
            os.environ["TERM"] = "dumb"
            os.execv(OURS, [OURS, *words])
        self.pid, self.text = pid, b""

    def expect(self, pattern, seconds=30):
        """Wait for a pattern; what was shown before it and with it is dropped."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                return None
            try:
                self.text += os.read(self.fd, 4096)
            except OSError:
                return None

    def type(self, keys):
        os.write(self.fd, keys)

    def close(self):
        """Its exit status."""
        while self.expect(b"(?s)^.+"):
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def prompt(server):
    script = (b"version\n\n   \nmconsole-version\nswitch nobody\nswitch alice\nnonsense\nquit\n"
              b"halt\n")
    before = len(server.requests)
    ended = run("alice", input=script)
    # readline shows what it reads from a pipe, too
    wanted = (f"(alice) version\nOK {server.answers['version']}\n(alice) \n(alice)    \n"
              "(alice) mconsole-version\numl_mconsole client version 2\n(alice) switch nobody\n"
              "(alice) switch alice\n(alice) nonsense\nERR no such command; help lists them\n"
              "(alice) quit\n")
    tap.equal(ended.stdout.decode(), wanted, "without a command it reads commands from a prompt")
    tap.equal((ended.returncode, server.requests[before:]), (0, [b"version", b"nonsense"]),
              "until quit; empty lines are not sent")
    ended = run(input=b"version\nswitch alice\nversion\n")
    tap.ok(ended.returncode == 0 and b"no instance" in ended.stderr and
           ended.stdout.startswith(b"([None]) version\n([None]) switch alice\n(alice) version\nOK"),
           "without an instance switch chooses one; the end of input ends it", ended)
    if DEBIAN:
        ours, theirs = (run("alice", input=b"version\nhelp\nnonsense\nquit\n", program=program)
                        for program in (OURS, DEBIAN))
        tap.equal(ours.stdout, theirs.stdout, "a script sees what it sees of Debian's")
    else:
        tap.skip("a script sees what it sees of Debian's", NO_DEBIAN)
    interactive(server)


def interactive(server):
    history = os.path.join(HOME, ".uml_mconsole_history")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(history)
    with Server(UML, "alfons"):
        terminal = Terminal("alice")
        terminal.expect(rb"\(alice\) ")
        terminal.type(b"vers\t\n")
        tap.ok(terminal.expect(rb"version +\r\nOK Linux alice"), "Tab completes a kernel's command",
               lambda: terminal.text)
        terminal.type(b"mc\t\n")
        tap.ok(terminal.expect(rb"client version 2"), "and one of its own", lambda: terminal.text)
        terminal.type(b"switch alf\t\n")
        tap.ok(terminal.expect(rb"\(alfons\) "), "and a running instance after switch",
               lambda: terminal.text)
        terminal.type(b"switch alice\n")
        terminal.expect(rb"\(alice\) ")
        open("some-image", "w").close()
        terminal.type(b"config ubd1\t=some-im\t\n")
        server.wait_for(f"config ubd1={os.getcwd()}/some-image".encode(), 5)
        tap.ok(f"config ubd1={os.getcwd()}/some-image".encode() in server.requests,
               "and the file of a disk", lambda: server.requests[-3:])
        server.answers["proc evil"] = [(0, True, b"\x1b]0;owned\x07caf\xc3"), (0, False, b"\xa9\r")]
        terminal.type(b"proc evil\n")
        tap.ok(terminal.expect(b"OK \\?\\]0;owned\\?caf\xc3\xa9\\?\r\n"),
               "an answer cannot control the terminal", lambda: terminal.text)
        # Before the prompt is there, the terminal itself would take a Ctrl-D.
        terminal.expect(rb"\(alice\) ")
        terminal.type(b"\x04")
        tap.equal(terminal.close(), 0, "Ctrl-D ends it with status 0")
    with open(history) as file:
        tap.ok("config ubd1=some-image" in file.read(), "commands are kept in a history file")
    tap.equal(os.stat(history).st_mode & 0o777, 0o600, "of mode 0600")
    terminal = Terminal("alice")
    terminal.expect(rb"\(alice\) ")
    terminal.type(b"\x1b[A\x1b[A\n")
    tap.ok(terminal.expect(rb"config ubd1=some-image"), "and come back with the arrow keys",
           lambda: terminal.text)
    terminal.type(b"quit\n")
    tap.equal(terminal.close(), 0, "quit ends it with status 0")


# ---- completion ----

def completed(*words):
    """The words that bash offers for the last of these."""
    script = f"""
        source {uml.TOP}/completion/uml_mconsole
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _uml_mconsole
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    ended = subprocess.run(["bash", "-c", script, "bash", OURS, *words], capture_output=True,
                           text=True, timeout=60, stdin=subprocess.DEVNULL)
    return sorted(set(ended.stdout.split())) if not ended.stderr else ended.stderr


def completion():
    with Server(UML, "albert"), Server(UML, "dead", pid=2 ** 22 - 1) as other:
        other.stop()
        tap.equal(completed("al"), ["albert", "alice"], "bash completes a running instance")
    tap.equal(completed("--l"), ["--list"], "an option")
    tap.equal(completed("--timeout", "=", "3", "alice", "ver"), ["version"],
              "a command of the kernel, also after an option")
    tap.equal(completed("alice", "mcon"), ["mconsole-version"], "and one of uml_mconsole")
    tap.equal(completed("alice", "config", "ubd1"),
              sorted(["ubd1"] + [f"ubd1{n}" for n in range(6)]), "a device")
    tap.equal(completed("alice", "config", "ubd1", "=", "some-im"), ["some-image"],
              "and its file")


# ---- a real kernel ----

def real_exec(name):
    if b" exec " not in run(name, "help").stdout:
        tap.skip("exec runs a command in the guest", "the kernel has no exec")
        return
    says("exec runs a command in the guest, and ends with its status",
         [name, "exec", "echo out; echo err >&2; exit 7"], 7, "out\nerr\n")
    numbers = "".join(f"{n}\n" for n in range(1, 20001))
    says("long output is whole", [name, "exec", "seq", "20000"], 0, numbers)
    says("a command that is killed has the status of its signal", [name, "exec", "kill -9 $$"], 137,
         "")
    says("a command that is not there has the shell's status", [name, "exec", "no-such 2>&1"], 127,
         None)
    if DEBIAN:
        ended = run(name, "exec", "echo hello; exit 3", program=DEBIAN)
        # It takes a status for an error.
        tap.equal((ended.stdout, ended.returncode), (b"ERR hello\n\n", 3),
                  "Debian's shows the output and has the status, too")
    else:
        tap.skip("Debian's shows the output and has the status, too", NO_DEBIAN)


def backing_up(server):
    """Whatever happens to a backup, its guest does not stay stopped."""
    with open("disk.img", "wb") as disk:
        disk.write(b"x" * 65536)
    server.answers.update({"config ubd0": os.path.join(WORK, "disk.img"), "sync": "", "go": ""})

    def goes_on(sentence, action):
        server.requests.clear()
        action()
        tap.ok(server.wait_for(b"go", 10), sentence, server.requests)
        if os.path.exists("copy.img"):
            os.unlink("copy.img")

    def with_limit():
        says("a copy that is larger than ulimit -f allows: one line",
             ["alice", "backup", "ubd0", "copy.img"], 1, "", error="File too large",
             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))

    def with_signal(number):
        client = subprocess.Popen(
            [OURS, "alice", "backup", "ubd0", "copy.img"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        server.wait_for(b"stop 20")
        client.send_signal(number)
        server.wait_for(b"go", 10)
        client.send_signal(signal.SIGCONT)
        client.wait(60)

    def without_answer():
        says("an instance that does not answer stop: one line, with status 4",
             ["--timeout=0.3", "alice", "backup", "ubd0", "copy.img"], 4, "",
             error="no answer in time")

    server.answers["stop"] = "stopped"
    goes_on("and the guest goes on", with_limit)
    server.answers["stop"] = [0.5, (0, False, b"stopped")]
    for number in (signal.SIGQUIT, signal.SIGTSTP, signal.SIGTERM):
        goes_on(f"{number.name} waits until the guest goes on", lambda: with_signal(number))
    server.answers["stop"] = None
    goes_on("and if it stops later, it goes on", without_answer)


def real():
    """Ours and Debian's against ./linux."""
    uml.require()
    name = "mcreal"

    def drive(instance):
        says("./linux answers", ["--wait=60", name, "version"], 0, None)
        for words in (["version"], ["help"], ["nonsense"], ["config", "ubd0"], ["proc", "version"],
                      ["proc", "none"], ["proc", "filesystems"], ["sysrq"], ["go"],
                      ["stack", "x"], ["remove", "nothing"]):
            as_debian(f"{' '.join(words)}: as Debian's against ./linux, with the same status", name,
                      *words, same_status=True)
        shown = json.loads(run("--json", name, "proc", "meminfo").stdout)
        total = shown["values"]["MemTotal"]
        tap.ok(64 << 20 < total <= 128 << 20, "--json proc meminfo has the guest's memory", total)
        entry = {e["umid"]: e for e in json.loads(run("--list", "--json").stdout)}[name]
        tap.ok(entry["pid"] == instance.pid and entry["state"] == "running" and
               entry["memory_given"] == 128 << 20 and
               1 << 20 < entry["memory_used"] <= 128 << 20 and entry["cpu_seconds"] > 0,
               "--list knows ./linux", entry)
        real_exec(name)
        says("stop", [name, "stop"], 0, "OK stopped\n")
        says("a stopped instance refuses what needs a process", [name, "proc", "version"], 1, None)
        says("go", [name, "go"], 0, "OK \n")
        says("halt ends it, and is answered", [name, "halt"], 0, "OK \n")
    result = uml.run("while :; do sleep 1; done", mem="128M", arguments=[f"umid={name}"],
                     drive=drive)
    uml.clean(result, allowed=None)
    says("then there is no such instance", [name, "version"], 3, "", error="no such instance")


with Server(UML, "alice") as alice:
    one_shot(alice)
    limits(alice)
    listing(alice)
    listing_while_they_end()
    gone(alice)
    files(alice)
    logging(alice)
    local(alice)
    execution(alice)
    backing_up(alice)
    as_json(alice)
    prompt(alice)
    completion()
finding()
waiting()
real()
tap.done()
