#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that the host runs in the guest: exec of the management console, and the socket exec."""
import contextlib
import fcntl
import hashlib
import os
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import execsocket
import image
import mconsole
import tap
import uml

MANY = 100
REPEATED = int(os.environ.get("EXEC_REPEATED", 1000))
# The test runs while this does.
WAIT = "mkfifo /run/end; read line </run/end\n"
TERMINAL = (24, 80)

uml.require()
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"     # readline keeps some memory
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)
console, socket_exec = (os.path.join(folder, "exec", entry) for entry in ("mconsole", "exec"))


def ask(command, **how):
    return mconsole.ask(console, "exec " + command, **how)


def end_with(command):
    """Run what ends the guest, which may do so before it has answered. Returns who waits for that.
    """
    waiting = mconsole.Client(console)
    waiting.send(mconsole.packet("exec " + command))
    return waiting


def run(*arguments, **how):
    return execsocket.run(socket_exec, *arguments, **how)


def shell(script, **how):
    return run("sh", "-c", script, **how)


def start(*arguments, **how):
    return execsocket.start(socket_exec, *arguments, **how)


def guest_says(command):
    """Output of a command in the guest, without its last line feed."""
    return ask(command)[1].rstrip("\n")


def becomes_true(command, seconds=20):
    """Whether @command soon has status 0 in the guest."""
    deadline = time.monotonic() + seconds * uml.PATIENCE
    while time.monotonic() < deadline:
        if ask(command)[0] == 0:
            return True
        time.sleep(0.05)
    return False


def none_left(mark):
    """Whether the guest soon has no process with @mark in its command line."""
    # The brackets keep the pattern from finding itself.
    return becomes_true(f"! ps | grep -q '[{mark[0]}]{mark[1:]}'")


# exec of the management console

def datagrams():
    tap.equal(ask("echo hello"), (0, "hello\n"), "exec sends a command's output")
    tap.equal(ask("echo a; echo b >&2; echo c; exit 3"), (3, "a\nb\nc\n"),
              "and its errors in between, and its status as the answer's error")
    tap.equal(ask("true"), (0, ""), "a command without output has an answer without text")
    tap.equal([ask(f"exit {status}")[0] for status in (1, 126, 255)], [1, 126, 255],
              "statuses up to 255 are the command's")
    tap.equal(ask("kill -9 $$"), (137, ""), "one that a signal killed has 128 and its number")
    tap.equal(ask("nothing-of-this-name 2>&1")[0], 127, "a program that is not there is 127")
    tap.equal(ask("cat; echo end"), (0, "end\n"), "its input is at its end")
    tap.equal(guest_says("pwd; echo $HOME; id -u; echo $TERM; umask"), "/\n/\n0\nlinux\n0022",
              "it runs as root in / and has HOME and TERM")
    tap.ok("/sbin:/bin" in guest_says("echo $PATH"), "and PATH")
    tap.equal(guest_says("read a b c d e f rest </proc/$$/stat; echo $((e - $$)) $((f - $$))"),
              "0 0", "it leads a session and a process group")
    tap.equal(guest_says("ls /proc/self/fd | wc -l"), "4", "it has no other descriptors")
    tap.equal(guest_says("readlink /proc/self/ns/mnt"), guest_says("readlink /proc/1/ns/mnt"),
              "it is in the mount namespace of init")
    tap.equal(ask("  printf 'a  b'"), (0, "a  b"), "blanks before the command are left out, "
              "those in it are not")


def arrives_as_it_comes():
    client = mconsole.Client(console)
    client.send(mconsole.packet("exec mkfifo /run/step; echo one; read x </run/step; echo two"))
    data = client.socket.recv(65536)
    error, more, length = mconsole.HEAD.unpack_from(data)
    first = data[mconsole.HEAD.size:mconsole.HEAD.size + length - 1]
    tap.equal((error, bool(more), first), (0, True, b"one\n"),
              "output comes while the command runs")
    ask("echo >/run/step")
    tap.equal(client.answer()[:2], (0, b"two\n"), "and the rest with the end")
    client.send(mconsole.packet("exec read x </run/step"))
    data = client.socket.recv(65536)
    error, more, length = mconsole.HEAD.unpack_from(data)
    tap.equal((error, bool(more), length), (0, True, 1),
              "a command that is silent has empty packets sent, so that clients wait")
    ask("echo >/run/step")
    tap.equal(client.answer()[:2], (0, b""), "until its end")
    client.close()


def large_output():
    error, text = ask("seq 100000; exit 9", timeout=60)
    tap.ok(error == 9 and text == "".join(f"{n}\n" for n in range(1, 100001)),
           "589 KB of output arrive whole and in order", f"error {error}, {len(text)} bytes")
    client = mconsole.Client(console)
    data = bytes(range(256)) * 16
    client.send(mconsole.packet(
        'exec i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done'))
    tap.equal(client.answer()[1], data[:256], "bytes of all values arrive as they are")
    client.close()


def background():
    began = time.monotonic()
    tap.equal(ask("sleep 54321 & echo started; exit 4"), (4, "started\n"),
              "what it leaves in the background, with its output open, does not hold the answer")
    tap.ok(time.monotonic() - began < 5 * uml.PATIENCE and ask("ps | grep -q '[s]leep 54321'")[0]
           == 0, "and goes on")
    ask("kill $(pidof sleep)")
    error, _ = ask("yes & exit 5", timeout=30)
    tap.equal(error, 5, "not even if it writes for ever")
    tap.ok(none_left("yes"), "which ends by SIGPIPE")


def limits_of_time():
    tap.equal(ask("-l30 echo quick; exit 2"), (2, "quick\n"), "-l<seconds> does not hold the quick")
    began = time.monotonic()
    error, text = ask("-l1 echo before; sleep 61234 & sleep 61235", timeout=30)
    took = time.monotonic() - began
    tap.ok(error == 124 and text == "before\n" and took >= 1,
           "a command that takes longer has status 124", (error, text, took))
    tap.ok(none_left("sleep 6123"), "and all of its session is killed")
    # 2^32 hundredths of a second, and four
    tap.equal(ask("-l42949673 sleep 1; echo whole"), (0, "whole\n"), "a year is a limit, too")
    error, _ = ask("-l1 trap '' HUP INT TERM; while :; do :; done", timeout=30)
    tap.equal(error, 124, "also one that spins and ignores signals")
    error, _ = ask("-l1 yes", timeout=60)
    tap.equal(error, 124, "and one that floods")
    for bad in ("-l echo x", "-l0 echo x", "-lx echo x", "-l1", "-x echo", "-l- echo",
                "-l99999999999999999999 echo", "- echo"):
        error, text = ask(bad)
        if not tap.ok(error and "-l<seconds>" in text, f"exec {bad} is refused in a line",
                      (error, text)):
            break
    tap.equal(mconsole.ask(console, "exec"), (1, "exec needs a command"),
              "exec alone is refused in a line")
    tap.equal(ask("   ")[0], 1, "so is one of blanks")


def clients_that_go():
    client = mconsole.Client(console)
    client.send(mconsole.packet("exec sleep 71234"))
    becomes_true("ps | grep -q '[s]leep 71234'")
    client.close()
    tap.ok(none_left("sleep 71234"), "a silent command whose client has gone is killed")
    client = mconsole.Client(console)
    client.send(mconsole.packet("exec yes flood"))
    client.answer_part = client.socket.recv(65536)
    client.close()
    tap.ok(none_left("yes flood"), "so is one that writes")
    client = mconsole.Client(console)
    client.send(mconsole.packet("exec yes unread"))
    tap.equal(ask("echo others"), (0, "others\n"), "a client that reads nothing holds no other one")
    tap.ok(none_left("yes unread"), "and its command is killed after a while")
    while client.socket.recv(65536) and select.select([client.socket], [], [], 0)[0]:
        pass
    tap.equal(client.ask("exec echo again"), (0, "again\n"), "when it asks again, it is served")
    client.close()


def at_once(sentence, action):
    """@action(number) MANY times at once; whether all of them returned True."""
    results = [None] * MANY

    def work(number):
        try:
            results[number] = action(number)
        except OSError as error:
            results[number] = error
    threads = [threading.Thread(target=work, args=(number,)) for number in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tap.ok(all(result is True for result in results), sentence,
           [result for result in results if result is not True][:3])


def many_at_once():
    """Each waits for all others: they run at the same time."""
    ask("mkdir /run/all")
    gather = (f"touch /run/all/%d; while [ $(ls /run/all | wc -l) -lt {MANY} ]; "
              "do sleep 0.1; done; echo %d; exit %d")
    at_once(f"{MANY} commands run at once",
            lambda n: ask(gather % (n, n, n), timeout=60) == (n, f"{n}\n"))
    ask("rm -r /run/all; mkdir /run/all")

    def by_socket(n):
        result = shell(gather % (n, n, n))
        return (result.status, result.output) == (n, b"%d\n" % n) or result
    at_once("also over the socket exec", by_socket)


# The socket exec

def frames():
    mode = os.stat(socket_exec).st_mode
    tap.ok(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600,
           "the socket exec is its user's alone", oct(mode))
    result = shell("echo out; echo err >&2; exit 7")
    tap.equal(result, (7, b"out\n", b"err\n", None),
              "over the socket exec, output, errors and status come apart")
    tap.equal(shell("kill -TERM $$").status, 143, "a signal that killed it is in the status")
    data = os.urandom(3_000_000)
    result = run("cat", data=data)
    tap.ok(result.status == 0 and result.output == data, "3 MB go in and out again unchanged",
           (result.status, len(result.output), result.failure))
    result = run("printf", "%s|", "a b", "", "*", "$HOME", "'")
    tap.equal(result.output, b"a b||*|$HOME|'|", "arguments reach the program as they are")
    result = run("env", environment=("PATH=/bin", "A=1", "B=two words"))
    tap.equal(result.output, b"PATH=/bin\nA=1\nB=two words\n", "the environment is the client's")
    tap.equal(run("env", environment=()).output, b"", "and may be empty")
    tap.equal(run("pwd", directory="/usr/bin").output, b"/usr/bin\n", "so is the directory")
    result = run("ls", "-l", "/proc/self/fd")
    tap.equal(len(set(re.findall(rb"pipe:\S+", result.output))), 3,
              "without a terminal it has three pipes")
    tap.equal(run("ls", "/proc/self/fd").output, b"0\n1\n2\n3\n", "and nothing else")


def users():
    script = "id -u; id -g; id -G; grep CapEff /proc/self/status; cat /proc/1/environ"
    result = shell(script, user=1234, group=99, groups=(7, 3))
    lines = result.output.decode().splitlines()
    tap.equal(lines[:2], ["1234", "99"], "it runs as another user and group")
    tap.equal(sorted(lines[2].split()), ["3", "7", "99"], "with the supplementary groups asked for")
    tap.ok(lines[3].split()[1] == "0" * 16 and b"denied" in result.errors,
           "and without any right of root", result)
    result = shell("grep CapEff /proc/self/status; id -G")
    tap.ok(b"000000000000" not in result.output.split()[1] and result.output.split()[2] == b"0",
           "root has all capabilities, and no group but its own", result)
    ask("mkdir -m 700 /run/private")
    result = run("true", directory="/run/private", user=1234, group=99)
    tap.ok(result.failure == (13, "/run/private: Permission denied"),
           "a directory that the user may not enter is refused", result)
    tap.ok(run("true", user=0xffffffff).failure, "an id that is none is refused")


def cannot_run():
    for what, name, wanted in (
            ("a program that is not there", "nothing-of-this-name", 2),
            ("a path to nothing", "/bin/nothing-of-this-name", 2),
            ("a file that is no program", "/etc/nothing-to-run", 13),
            ("a directory", "/etc", 13),
            ("an empty name", "", 2)):
        ask("mkdir -p /etc; : >/etc/nothing-to-run")
        result = run(name)
        tap.ok(result.status is None and result.failure and result.failure[0] == wanted
               and result.failure[1].startswith(name + ": "),
               f"{what} is a failure with the reason", result)
    result = run("true", directory="/nowhere")
    tap.equal(result.failure, (2, "/nowhere: No such file or directory"),
              "so is a directory that does not exist")
    ask("mkdir /run/a /run/b; : >/run/a/prog; printf '#!/bin/sh\\necho found' >/run/b/prog; "
        "chmod +x /run/b/prog")
    tap.equal(run("prog", environment=("PATH=/nowhere:/run/a:/run/b",)).output, b"found\n",
              "the search goes on behind a file that may not be executed")


def terminals():
    result = shell("tty; stty size; exit 4", size=(33, 99))
    tap.ok(result.status == 4 and re.fullmatch(rb"/dev/pts/\d+\r\n33 99\r\n", result.output),
           "with a terminal, it is a pty of the guest in the client's size", result)
    result = shell("ls -l $(tty) | tr -s ' ' | cut -d ' ' -f 3,4", user=1234, group=99,
                   size=TERMINAL)
    tap.equal(result.output, b"1234 99\r\n", "which belongs to the user")
    tap.equal(shell("echo a; echo b >&2", size=TERMINAL)[1:3], (b"a\r\nb\r\n", b""),
              "output and errors are one on it")
    command = start("sh", "-i", size=TERMINAL)
    command.input(b"stty size\n")
    tap.ok(command.expect(b"\n24 80\r"), "a shell on it answers", command.output)
    command.resize(50, 132)
    command.input(b"stty size\n")
    tap.ok(command.expect(b"\n50 132\r"), "a new size reaches it", command.output)
    # It is in the foreground when it says so.
    command.input(b"sh -c 'echo run''ning; exec sleep 81234'\n")
    command.expect(b"running")
    command.input(b"\x03")
    command.input(b"echo status-$?\n")
    tap.ok(command.expect(b"\nstatus-130"), "Ctrl-C interrupts its foreground", command.output)
    command.input(b"sh -c 'echo s''econd; exec sleep 81235'\n")
    command.expect(b"second")
    command.input(b"\x1a")
    tap.ok(command.expect(b"Stopped"), "Ctrl-Z stops it", command.output)
    command.input(b"jobs; kill %1; fg\n")
    command.input(b"echo after-$((1+1))\n")
    tap.ok(command.expect(b"after-2"), "job control works", command.output)
    # Its editor takes Ctrl-D for the end of input once it has asked for the cursor's place.
    command.expect(b"\x1b[6n", after=b"after-2\r\n")
    command.send(execsocket.INPUT_END)
    result = command.finish()
    tap.equal(result.failure, None, "and the end of input ends it")
    size = 300_000
    result = shell(f"head -c {size} /dev/zero | tr '\\0' x", size=TERMINAL)
    tap.ok(result.status == 0 and result.output == b"x" * size,
           "300 KB written right before the end all arrive", (result.status, len(result.output)))
    result = shell("sleep 91234 & echo done; exit 6", size=TERMINAL)
    tap.equal((result.status, result.output), (6, b"done\r\n"),
              "what is left in the background does not hold the terminal's answer")
    # The program in the background has the terminal open until its hangup has reached it.
    tap.ok(becomes_true("umount /dev/pts"), "and is hung up")
    result = shell("true", size=TERMINAL)
    tap.ok(result.failure and "mount devpts on /dev/pts" in result.failure[1],
           "without devpts a line says what to mount", result)
    ask("mount -t devpts devpts /dev/pts")


def signals():
    command = start("sh", "-c", "trap 'exec stty size' WINCH; echo ready; "
                    "while :; do sleep 0.1; done", size=TERMINAL)
    command.expect(b"ready")
    command.resize(51, 133)
    tap.equal(command.finish()[:2], (0, b"ready\r\n51 133\r\n"),
              "a new size is a SIGWINCH for what runs on the terminal")
    command = start("sh", "-c", "trap 'echo got; exit 3' USR1; echo ready; "
                    "while :; do sleep 0.1; done")
    command.expect(b"ready")
    command.signal(10)
    result = command.finish()
    tap.equal((result.status, result.output), (3, b"ready\ngot\n"), "a signal frame is a signal")
    command = start("sh", "-c", "echo ready; exec sleep 1000", size=TERMINAL)
    command.expect(b"ready")
    command.signal(15)
    tap.equal(command.finish().status, 143, "also with a terminal")
    command = start("sh", "-c", "echo ready; cat >/dev/null; echo eof")
    command.expect(b"ready")
    command.send(execsocket.INPUT_END)
    tap.equal(command.finish().output, b"ready\neof\n",
              "the end of input ends reading, nothing more")
    command = start("sh", "-c", "exec <&-; echo closed; read x </run/step; echo end")
    command.expect(b"closed")
    for _ in range(10):
        command.input(b"x" * 30000)
    ask("echo >/run/step")
    tap.equal(command.finish()[:2], (0, b"closed\nend\n"),
              "input for a command that has closed it is dropped")


def sessions_that_go():
    command = start("sh", "-c", "echo ready; sleep 72345")
    command.expect(b"ready")
    command.close()
    tap.ok(none_left("sleep 72345"), "a command whose client has gone is hung up")
    command = start("sh", "-c", "trap '' HUP; echo ready; while :; do sleep 72.346; done")
    command.expect(b"ready")
    command.close()
    tap.ok(none_left("sleep 72.346"), "one that ignores SIGHUP is killed, with its session")
    command = start("sh", "-c", "sleep 72347 & trap 'echo h''up >/run/hup' HUP; echo ready; wait",
                    size=TERMINAL)
    command.expect(b"ready")
    command.close()
    tap.ok(becomes_true("grep -q hup /run/hup"), "a terminal's command gets SIGHUP from it")
    tap.ok(none_left("72347"), "and ends")
    command = start("sh", "-c", "echo ready; sleep 72348")
    command.expect(b"ready")
    command.input(b"x" * 32000)
    with contextlib.suppress(OSError):
        command.socket.setblocking(False)
        while True:
            command.input(b"x" * 32000)
    command.close()
    tap.ok(none_left("sleep 72348"), "also if it has not read its input")
    command = start("yes", "not read")
    tap.ok(becomes_true("ps | grep -q '[n]ot read'") and ask("echo others") == (0, "others\n")
           and shell("echo more").output == b"more\n",
           "a client that does not read stops nothing but its own command")
    before = guest_says("read a b c rest </proc/$(pidof yes)/stat; echo $c")
    tap.equal(before, "S", "which sleeps")
    command.close()
    tap.ok(none_left("not read"), "and goes with it")


def malformed():
    good = execsocket.start_frame(("true",))
    head = struct.Struct("=10I")
    cases = [("another version", execsocket.start_frame(("true",), version=2)),
             ("unknown flags", execsocket.start_frame(("true",), flags=0x80)),
             ("no command", execsocket.start_frame(())),
             ("a kind that is no request", execsocket.start_frame(("true",), kind=2)),
             ("more arguments than there are", execsocket.start_frame(("true",), arguments=9)),
             ("huge counts of arguments",
              execsocket.start_frame(("true",), arguments=0xffffffff, variables=0xffffffff)),
             ("a huge count of groups",
              execsocket.start_frame(("true",), supplementary=0x40000001)),
             ("more groups than there are", execsocket.start_frame(("true",), supplementary=500)),
             ("a last string without its end", good[:-1]),
             ("something behind the end", good + b"x"),
             ("less than a head", good[:39]), ("one byte", b"x"),
             ("zeros", bytes(32768)), ("a frame that is too long", bytes(32769)),
             ("a head alone", head.pack(*head.unpack_from(good)))]
    for what, frame in cases:
        command = execsocket.Command(socket_exec)
        command.socket.send(frame)
        result = command.finish()
        tap.ok(result.failure and result.status is None and not result.output,
               f"{what} is a failure in one line", (frame[:60], result))
    for what, frame in (("an unknown kind", struct.pack("=I", 99)),
                        ("a second request", good), ("a frame of two bytes", b"ab"),
                        ("a size cut off", struct.pack("=II", 4, 1)),
                        ("signal 0", struct.pack("=II", 5, 0)),
                        ("a signal that is none", struct.pack("=II", 5, 4000)),
                        ("one that is too long", bytes(40000))):
        command = start("sleep", "73456")
        command.socket.send(frame)
        result = command.finish()
        tap.ok(result.failure and result.status is None, f"later, {what} is one, too", result)
    tap.ok(none_left("sleep 73456"), "and ends the command")
    command = start("sleep", "73457")
    command.socket.send(b"")
    command.finish()
    tap.ok(none_left("sleep 73457"), "an empty packet is a client that goes")
    for cut in range(len(good)):
        command = execsocket.Command(socket_exec)
        command.socket.send(good[:cut])
        command.finish()
    silent = [execsocket.Command(socket_exec) for _ in range(5)]
    tap.equal(shell("echo fine").output, b"fine\n", "requests cut off anywhere do no harm, nor do "
              "clients that say nothing")
    result = silent[0].finish()
    tap.equal(result.failure, (22, "no request came"), "who end with a line after a while")
    for command in silent:
        command.close()


def too_many():
    """All connections are taken: further ones are refused, the others stay."""
    taken = [execsocket.Command(socket_exec) for _ in range(256)]
    refused = execsocket.Command(socket_exec)
    result = refused.finish()
    tap.ok(result.failure and "too many" in result.failure[1],
           "a connection beyond 256 is refused in a line", result)
    for command in taken:
        command.close()
    tap.ok(becomes(lambda: shell("echo free").output == b"free\n"),
           "and when they have gone, commands run again")


def becomes(true, seconds=20):
    deadline = time.monotonic() + seconds * uml.PATIENCE
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


# uml_mconsole

def build_client():
    folder = os.path.join(uml.OBJECTS, "sanitized")
    cowfile.make(os.path.join(uml.TOP, "tools", "uml_mconsole"), f"OUT={folder}",
                 f"CFLAGS=-O1 {cowfile.SANITIZERS}")
    return os.path.join(folder, "uml_mconsole")


def words(*arguments):
    return [program, f"--uml-dir={folder}", "exec", "exec", *arguments]


def client(*arguments, **how):
    """(status, output, errors) of uml_mconsole ... exec."""
    how.setdefault("stdin", subprocess.DEVNULL)
    if "input" in how:
        del how["stdin"]
    ended = subprocess.run(words(*arguments), capture_output=True, timeout=60 * uml.PATIENCE, **how)
    return ended.returncode, ended.stdout, ended.stderr


def options_of_client():
    tap.equal(client("echo hello; exit 3"), (3, b"hello\n", b""),
              "uml_mconsole exec runs a shell's command and ends with its status")
    tap.equal(client("-i", "cat", input=b"some input"), (0, b"some input", b""),
              "exec -i passes standard input on")
    tap.equal(client("-i", "sh", "-c", "echo out; echo err >&2; exit 9"), (9, b"out\n", b"err\n"),
              "output and errors come apart")
    tap.equal(client("-l9", "cat", input=b"some input"), (0, b"", b""),
              "without -i the command has no input")
    tap.equal(client("-i", "printf", "%s|", "a b", "", "$HOME"), (0, b"a b||$HOME|", b""),
              "arguments reach the program as they are")
    tap.equal(client("-w", "/usr/bin", "pwd"), (0, b"/usr/bin\n", b""), "-w is the directory")
    status, output, errors = client("-e", "A=one two", "-e", "HERE", "-e", "MISSING", "env",
                                    env={**os.environ, "HERE": "from here"})
    tap.equal(sorted(output.decode().splitlines()),
              ["A=one two", "HERE=from here", "HOME=/root",
               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
              "-e gives variables, or those of the host; nothing else comes from there")
    ask("mkdir -p /etc; printf 'root:x:0:0::/root:/bin/sh\\nmia:x:1234:99::/home/mia:/bin/sh\\n' "
        ">/etc/passwd; printf 'staff:x:99:\\nwheel:x:7:mia\\n' >/etc/group")
    show = ("sh", "-c", "id -u; id -g; id -G; echo $HOME")
    tap.equal(client("-u", "mia", *show), (0, b"1234\n99\n99 7\n/home/mia\n", b""),
              "-u takes a name of the guest's, with its groups and home")
    tap.equal(client("-u", "77:88", *show), (0, b"77\n88\n88\n/\n", b""), "or ids")
    status, output, errors = client("-u", "nobody-of-this-name", "true")
    tap.ok(status == 1 and not output and b"the guest has no user nobody-of-this-name" in errors,
           "an unknown name is one line", errors)
    ask("mkdir -p /usr/local/sbin; printf '#!/bin/busybox yes\\n' >/usr/local/sbin/sh; "
        "chmod 755 /usr/local/sbin/sh")
    status, output, errors = client("-u", "mia", "true")
    tap.ok(status == 1 and re.fullmatch(b".*answer is too long\n", errors),
           "a guest that answers without end is one line", errors)
    ask("rm /usr/local/sbin/sh")
    began = time.monotonic()
    tap.ok(client("-l1", "sleep", "74321")[0] == 124 and time.monotonic() - began >= 1
           and none_left("sleep 74321"), "-l ends a command that takes longer, with status 124")
    status, output, errors = client("-i", "nothing-of-this-name")
    tap.ok(status == 1 and re.fullmatch(rb"uml_mconsole: exec: nothing-of-this-name: No such .*\n",
                                        errors), "a program that is not there is one line", errors)
    for bad in (["-x", "ls"], ["-i"], ["-l", "x", "ls"], ["-l0", "ls"], ["-u"], ["-e", "=x", "ls"],
                ["-u", "a b", "ls"], ["-u", "1:x", "ls"], ["-i", "echo", "x" * 40000]):
        status, output, errors = client(*bad)
        if not tap.ok(status in (1, 2) and len(errors.splitlines()) == 1,
                      f"exec {' '.join(bad)[:20]} is refused in one line", (status, errors)):
            break
    data = os.urandom(2_000_000)
    status, output, errors = client("-i", "cat", input=data)
    tap.ok(status == 0 and output == data, "2 MB go through unchanged", (status, errors))
    tap.equal(client("-i", "true", input=data)[0], 0,
              "a command that does not read its input ends all the same")
    process = subprocess.Popen(words("-l99", "sh", "-c", "trap 'exit 5' INT; echo ready; "
                                     "while :; do sleep 0.1; done"), stdout=subprocess.PIPE)
    process.stdout.read(6)
    process.send_signal(signal.SIGINT)
    tap.equal(process.wait(60), 5, "SIGINT is passed on")
    process = subprocess.Popen(words("-l99", "yes", "to be killed"), stdout=subprocess.PIPE)
    process.stdout.read(6)
    process.kill()
    process.communicate()
    tap.ok(none_left("to be killed"), "the command goes with a client that is killed")
    ended = subprocess.run([program, f"--uml-dir={folder}", "exec"], stdout=subprocess.PIPE,
                           input=b"exec -w /usr/bin pwd\n")
    tap.ok(b"/usr/bin\n" in ended.stdout, "the prompt knows the options, too", ended.stdout)


class OnTerminal:
    """uml_mconsole exec on a terminal of this host, with a parent that outlives it."""

    def __init__(self, *arguments, command=None):
        self.master, self.slave = os.openpty()
        self.resize(30, 90, tell=False)
        self.settings = termios.tcgetattr(self.slave)
        self.text = b""

        def prepare():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(command or words(*arguments), stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave,
                                        start_new_session=True, preexec_fn=prepare,
                                        env={**os.environ, "TERM": "vt100"})

    def resize(self, rows, columns, tell=True):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def type(self, text):
        os.write(self.master, text)

    def expect(self, text, seconds=30):
        deadline = time.monotonic() + seconds * uml.PATIENCE
        while text not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                return False
            self.text += os.read(self.master, 65536)
        return True

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_back(self):
        return becomes(lambda: termios.tcgetattr(self.slave) == self.settings)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def terminal_of_client():
    it = OnTerminal("-it", "sh")
    it.type(b"stty size; echo $TERM-$((40+2))\r")
    tap.ok(it.expect(b"vt100-42") and b"30 90" in it.text,
           "exec -it sh is a shell with the window's size and TERM", it.text)
    tap.ok(it.is_raw(), "the host's terminal is raw meanwhile")
    it.resize(31, 91)
    it.type(b"stty size\r")
    tap.ok(it.expect(b"31 91"), "a new size of the window reaches the guest", it.text)
    it.type(b"echo run''ning; sleep 75432\r")
    it.expect(b"running")
    becomes_true("pidof sleep")
    it.type(b"\x03")
    it.type(b"echo status=$?\r")
    tap.ok(it.expect(b"status=130"), "Ctrl-C is the guest's", it.text)
    it.type(b"echo a~.b ~~\r")
    tap.ok(it.expect(b"a~.b ~~\r\n"), "a ~ within a line is a ~", it.text)
    it.type(b"~~echo\r")
    tap.ok(it.expect(b"~echo: not found"), "so are two at its start", it.text)
    it.type(b"exit 7\r")
    tap.equal(it.process.wait(60), 7, "its status is the shell's")
    tap.ok(it.is_back(), "and the terminal is as it was")
    it.close()

    for name, end, wanted in (("SIGKILL", lambda it: it.process.kill(), -9),
                              ("SIGTERM", lambda it: it.process.terminate(), 143),
                              ("~.", lambda it: it.type(b"\r~."), 1)):
        it = OnTerminal("-it", "sh", "-c", "echo re''ady; sh; echo 76543")
        it.expect(b"ready")
        end(it)
        status = it.process.wait(60)
        tap.ok(status == wanted and it.is_back(), f"the terminal is as it was after {name}", status)
        tap.ok(none_left("echo 76543"), "and the command has gone")
        it.close()

    it = OnTerminal("-it", "sh", "-c", "stty raw -echo; echo re''ady; head -c 256 | md5sum; "
                    "i=0; while [ $i -lt 256 ]; do printf \\\\$(printf %o $i); i=$((i+1)); done; "
                    "echo end")
    it.expect(b"ready")
    before = len(it.text)
    every = bytes(range(256))
    it.type(every)
    it.expect(b"end\n")
    tap.ok(hashlib.md5(every).hexdigest().encode() in it.text and every in it.text[before:],
           "bytes of all values pass both ways", it.text[before:])
    it.close()
    status, output, errors = client("-t", "tty")
    tap.ok(status == 0 and output.startswith(b"/dev/pts/"), "-t works without a terminal here",
           (status, output, errors))


# What is left

def counts():
    """Open files, processes and pages of the kernel in the guest."""
    numbers = guest_says("read a rest </proc/sys/fs/file-nr; echo $a; ls -d /proc/[0-9]* | wc -l; "
                         "grep -E '^(SUnreclaim|KernelStack)' /proc/meminfo | tr -s ' ' | "
                         "cut -d ' ' -f 2").split()
    return [int(number) for number in numbers]


def nothing_is_left():
    """Counts after REPEATED commands of each kind are as after the first ones."""
    def some(count):
        for _ in range(count):
            ask("true")
            run("true")
        for _ in range(count // 4):
            run("true", size=TERMINAL)
            command = start("cat", size=TERMINAL if _ % 2 else None)
            command.close()
        becomes_true("! pidof cat", 60)
    some(max(40, REPEATED // 10))
    before = counts()
    some(REPEATED)
    # Files that the kernel closes a moment later, and threads of its work queues that sleep.
    near = becomes(lambda: all(now <= then + room for now, then, room in
                               zip(counts(), before, (20, 15, 2048, 1024))))
    tap.ok(near, f"{REPEATED} commands of each kind leave no file, process or memory in the guest",
           f"before {before}, after {counts()}")


def stopped():
    """With stop, commands wait, or are refused."""
    mconsole.ask(console, "stop")
    error, text = ask("echo x")
    tap.ok(error and "go" in text, "a stopped instance refuses exec in a line", text)
    command = start("echo", "after")
    tap.ok(not select.select([command.socket], [], [], 0.3)[0],
           "one over the socket waits")
    mconsole.ask(console, "go")
    tap.equal(command.finish().output, b"after\n", "until go")


TESTS = (datagrams, arrives_as_it_comes, large_output, background, limits_of_time, clients_that_go,
         many_at_once, frames, users, cannot_run, terminals, signals, sessions_that_go, malformed,
         too_many, stopped, options_of_client, terminal_of_client, nothing_is_left)


def drive(instance):
    only = sys.argv[1:]
    for test in TESTS:
        if not only or test.__name__ in only:
            test()
    instance.waiting = end_with("echo >/run/end")


def early_and_other_roots():
    """Before init there is nothing to run; afterwards, init's root counts."""
    tree = image.Tree()
    tree.base("")
    tree.add("first", "#!/bin/busybox sh\n/bin/busybox mkdir -p /new/bin /new/proc /new/dev\n"
             "/bin/busybox cp /bin/busybox /new/bin\n/bin/busybox ln -s busybox /new/bin/sh\n"
             "/bin/busybox touch /new/here\n"
             "exec /bin/busybox chroot /new /bin/sh -c "
             "'busybox mkfifo /wait; echo GUEST-READY; read x </wait; exec busybox poweroff -f'\n")
    archive = uml.scratch("root.cpio")
    tree.write_cpio(archive)
    answers = []

    def drive_root(instance):
        answers.append(ask("busybox ls / | busybox grep here"))
        answers.append(run("/bin/busybox", "test", "-e", "/here").status)
        answers.append(end_with("echo >/wait"))
    uml.boot_and_judge(["mem=64M", "umid=exec", f"uml_dir={folder}", f"initrd={archive}",
                        "rdinit=/first"], 60, drive_root)
    tap.equal(answers[:2], [(0, "here\n"), 0],
              "commands have init's root, also after it has changed it")
    # A root that never comes keeps the kernel from starting init.
    instance = uml.Instance(["mem=64M", "umid=exec", f"uml_dir={folder}", "root=/dev/ubda",
                             "rootwait", "noinitrd", "rdinit=/none"], terminal=True)
    tap.ok(mconsole.wait_for(console) and instance.expect("Waiting for root device", 30),
           "a guest without a root does not get to init", instance.text[-500:])
    error, text = ask("true")
    tap.ok(error and "init does not run yet" in text, "before init runs, a line says so", text)
    result = run("true")
    tap.ok(result.failure and "init does not run yet" in result.failure[1],
           "also over the socket", result)
    instance.close()
    tap.ok(not os.path.exists(socket_exec), "the socket goes with the instance")


program = build_client()
if not sys.argv[1:] or "early_and_other_roots" in sys.argv:
    early_and_other_roots()
result = uml.run(WAIT, arguments=["umid=exec", f"uml_dir={folder}"], drive=drive, timeout=600)
tap.equal(result.exit, 0, "the guest ends as it should", result.tail)
uml.clean(result)
tap.done()
