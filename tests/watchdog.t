#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""/dev/watchdog, and uml_watchdog on the host, which ends or reports an instance that hangs.

Pings that stay out show in time: the sentences about them take seconds."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import uml

PROMPT = r"^.*[#$] $"
TOOL = os.path.join(uml.TOP, "build", "tools", "uml_watchdog")
uml.require()
if "CONFIG_UML_WATCHDOG=y" not in uml.configuration(uml.LINUX):
    tap.skip_all("this kernel has no CONFIG_UML_WATCHDOG")
if not os.path.exists(TOOL):
    tap.skip_all("build/tools/uml_watchdog is not built")
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)


def start(*arguments, path=None):
    """An instance at its prompt that finds the programs in @path."""
    environment = {**os.environ, "PATH": path or os.path.dirname(TOOL) + ":" + os.environ["PATH"]}
    guest = uml.Instance(["umid=dog", f"uml_dir={folder}", "mem=64M", *arguments], terminal=True,
                         env=environment)
    if not guest.expect(PROMPT, 30):
        tap.diag(guest.text[-2000:])
    return guest


def type_line(guest, line, pattern):
    begin = guest.type(line + "\r")
    return guest.expect(pattern, 30, begin)


def helpers(guest):
    """uml_watchdog programs that watch this guest."""
    found = []
    for pid in uml.descendants(guest.pid):
        try:
            with open(f"/proc/{pid}/comm") as source:
                if source.read().strip() == "uml_watchdog":
                    found.append(pid)
        except OSError:
            pass
    return found


def ping(guest, timeout=2):
    """Let busybox's watchdog ping four times a second."""
    return type_line(guest, f"watchdog -F -t 250ms -T {timeout} /dev/watchdog & sleep 1; "
                            "echo pin''ging", "^pinging")


def lives(guest):
    return guest.process.poll() is None and type_line(guest, "echo al''ive", "^alive")


def pings_and_hangs():
    guest = start()
    tap.ok(type_line(guest, "test -c /dev/watchdog0 && echo th''ere", "^there"),
           "there is /dev/watchdog, of the kernel's watchdog core")
    ping(guest)
    tap.equal(len(helpers(guest)), 1, "opening it starts uml_watchdog", guest.text[-500:])
    time.sleep(3)
    tap.ok(lives(guest), "pings keep the guest alive")
    guest.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    guest.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    tap.ok(lives(guest), "SIGSTOP for longer than the time-out is no hang")
    at = os.path.join(folder, "dog", "mconsole")
    mconsole.ask(at, "stop")
    time.sleep(4)
    mconsole.ask(at, "go")
    time.sleep(1)
    tap.ok(lives(guest), "nor is stop for longer")
    killed = time.monotonic()
    guest.type("killall -9 watchdog\r")
    status = guest.wait(10)
    took = time.monotonic() - killed
    tap.ok(status not in (None, 0), "a guest whose pings stay out is ended", status)
    tap.ok(1.5 < took < 3 + 2, "after its time-out, within a second", f"{took:.2f} s of 2 s")
    tap.ok("no ping for 2 seconds" in guest.text, "and a line says so", guest.text[-300:])
    guest.close()
    tap.equal(os.listdir(folder), [], "in order: its folder is gone")


def sigint_ignored():
    """SIGINT does not end a stopped process; SIGKILL does."""
    victim = subprocess.Popen(["sh", "-c", "trap '' INT; echo ready; exec sleep 60"],
                              stdout=subprocess.PIPE)
    victim.stdout.readline()
    watch = subprocess.Popen([TOOL, "-pid", str(victim.pid), "-timeout", "1"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    tap.equal(watch.stdout.read(1), b"\0", "uml_watchdog says with a byte that it is ready")
    tap.equal(victim.wait(20 * uml.PATIENCE), -signal.SIGKILL,
              "what SIGINT does not end, SIGKILL does")
    tap.equal(watch.wait(20 * uml.PATIENCE), 1, "its status is 1 then")
    watch = subprocess.Popen([TOOL, "-pid", str(os.getpid())], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    watch.stdout.read(1)
    watch.stdin.close()
    tap.equal(watch.wait(20 * uml.PATIENCE), 0, "and 0 after the end of its input")


def silent_readers():
    """The messages of uml_watchdog are not read, or not any more."""
    for sentence, is_full in (("whose reader has gone", False), ("that is full", True)):
        victim = subprocess.Popen(["sleep", "60"])
        reader, messages = os.pipe()
        if is_full:
            os.set_blocking(messages, False)
            try:
                while os.write(messages, b"x" * 65536):
                    pass
            except BlockingIOError:
                os.set_blocking(messages, True)
        else:
            os.close(reader)
        watch = subprocess.Popen([TOOL, "-pid", str(victim.pid), "-timeout", "1"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages)
        os.close(messages)
        try:
            status = victim.wait(5 * uml.PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
            victim.kill()
        tap.equal(status, -signal.SIGINT,
                  f"what hangs is ended, also with a pipe for messages {sentence}")
        watch.kill()
        watch.communicate()
        if is_full:
            os.close(reader)


def zombies(guest):
    """Children of ./linux that have ended and were not waited for."""
    facts = {name: uml.stat_of(name) for name in os.listdir("/proc") if name.isdigit()}
    return [name for name, fact in facts.items() if fact and fact[:2] == ("Z", guest.pid)]


def many_starts():
    """Each program is waited for."""
    guest = start()
    # It starts one for 60 seconds, and at once another one for 30.
    type_line(guest, "for i in $(seq 40); do watchdog -F -T 30 /dev/watchdog & sleep 0.05; "
                     "killall watchdog; wait; done; echo do''ne", "^done")
    tap.ok(len(zombies(guest)) <= 1, "uml_watchdogs that have ended do not pile up on the host",
           zombies(guest))
    guest.close()


def clean_stops():
    guest = start()
    ping(guest, 1)
    type_line(guest, "killall watchdog; sleep 0.5; echo do''ne", "^done")
    time.sleep(2.5)
    tap.ok(lives(guest) and not helpers(guest),
           "a clean stop ends uml_watchdog, and nothing happens", helpers(guest))
    ping(guest, 30)
    type_line(guest, "killall -9 watchdog; echo do''ne", "^done")
    tap.equal(len(helpers(guest)), 1, "a program that is killed is no clean stop")
    pids = helpers(guest)
    guest.type("poweroff -f\r")
    tap.equal(guest.wait(20), 0, "the end of the guest is one")
    guest.close()
    deadline = time.monotonic() + 5 * uml.PATIENCE
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(not any(os.path.exists(f"/proc/{pid}") for pid in pids), "no uml_watchdog is left")


def lost_helper():
    guest = start()
    ping(guest, 30)
    for pid in helpers(guest):
        os.kill(pid, signal.SIGKILL)
    tap.ok(type_line(guest, "sleep 1; dmesg | tail -n 3", "uml_watchdog is gone"),
           "when uml_watchdog is killed, the log says that no program watches",
           guest.text[-500:])
    guest.close()


def notifies():
    address = uml.scratch("hang.sock")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(address)
    server.settimeout(20 * uml.PATIENCE)
    guest = start(f"mconsole=notify:{address}")
    server.recv(65536)
    ping(guest, 1)
    guest.type("killall -9 watchdog\r")
    data = server.recv(65536)
    magic, version, kind, length = struct.unpack_from("=IIII", data)
    tap.equal((magic, version, kind), (0xcafebabe, 2, 2),
              "with mconsole=notify:, a hang is a notification of kind 2")
    tap.ok(b"no ping" in data[16:16 + length - 1] and data[16 + length - 1] == 0,
           "with a text", data)
    tap.ok(lives(guest), "and the guest goes on")
    guest.close()
    server.close()
    os.unlink(address)


def other_programs():
    empty = uml.scratch("empty")
    os.makedirs(empty, exist_ok=True)
    guest = start(path=empty)
    guest.type("exec 3>/dev/watchdog\r")
    tap.ok(guest.expect("No such file|nonexistent", 30)
           and type_line(guest, "dmesg | tail -n 2", "put it next to ./linux or in PATH"),
           "without uml_watchdog the device cannot be opened, and the log says why",
           guest.text[-500:])
    guest.close()
    theirs = "/usr/bin/uml_watchdog"
    if not os.path.exists(theirs):
        tap.skip("Debian's uml_watchdog serves, too", "uml-utilities is not installed")
        return
    os.symlink(theirs, os.path.join(empty, "uml_watchdog"))
    guest = start(path=empty)
    ping(guest)
    tap.ok(len(helpers(guest)) == 1
           and type_line(guest, "dmesg | tail -n 2", "waits for 60 seconds, not 2"),
           "Debian's uml_watchdog serves, too, and the log tells its time-out", guest.text[-500:])
    time.sleep(3)
    tap.ok(lives(guest), "which it keeps to")
    guest.close()
    shutil.rmtree(empty)


def wrong_arguments():
    for words in ([], ["-pid", "x"], ["-pid", "0"], ["-timeout", "0", "-pid", "1"], ["-pid"],
                  ["-nosuch"], ["-mconsole", "x" * 108], ["-pid", "1", "more"]):
        done = subprocess.run([TOOL, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20 * uml.PATIENCE)
        tap.ok(done.returncode == 2 and len(done.stderr.splitlines()) == 1,
               f"uml_watchdog {' '.join(words)[:40]}: a line and status 2", done.stderr)
    done = subprocess.run([TOOL, "--help"], capture_output=True, text=True)
    tap.ok(done.returncode == 0 and re.search("^usage: uml_watchdog", done.stdout),
           "--help prints its usage")


for test in (wrong_arguments, sigint_ignored, silent_readers, pings_and_hangs, many_starts,
             clean_stops, lost_helper, notifies, other_programs):
    if not sys.argv[1:] or test.__name__ in sys.argv[1:]:
        test()
tap.done()
