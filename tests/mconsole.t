#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The instance's folder, and the management console in the kernel.

Clients are in mconsole-client.t; module.t has a guest that serves no process any more."""
import fcntl
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import uml

PROMPT = r"^.*[#$] $"
uml.require()
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)


def path(umid, entry="mconsole"):
    return os.path.join(folder, umid, entry)


def start(umid, *arguments, prompt=True, **how):
    """An instance on a terminal, at its prompt."""
    instance = uml.Instance([f"umid={umid}", f"uml_dir={folder}", "mem=64M", *arguments],
                            terminal=True, **how)
    if prompt and not instance.expect(PROMPT, 30):
        tap.diag(instance.text[-2000:])
    return instance


def run(*arguments, **how):
    """(status, output) of ./linux that is to end by itself."""
    done = subprocess.run([uml.LINUX, *uml.EXTRA, "mem=64M", "con0=null", *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120 * uml.PATIENCE, **how)
    return done.returncode, done.stdout.decode(errors="replace")


def type_line(instance, line, pattern):
    """Type @line at the prompt and wait for @pattern in what follows."""
    begin = instance.type(line + "\r")
    return instance.expect(pattern, 30, begin)


# The folder

def folder_of_an_instance():
    guest = start("one")
    mode = os.stat(path("one", "")).st_mode
    tap.equal(stat.S_IMODE(os.stat(path("one", "mconsole")).st_mode), 0o600,
              "the socket is its user's alone")
    tap.ok(stat.S_ISSOCK(os.stat(path("one", "mconsole")).st_mode) and stat.S_IMODE(mode) == 0o700,
           "the folder has the socket mconsole")
    with open(path("one", "pid")) as source:
        tap.equal(source.read(), f"{guest.pid}\n", "and the file pid")
    status, text = run("umid=one", f"uml_dir={folder}")
    tap.ok(status == 1 and len(text.splitlines()) == 1 and str(guest.pid) in text,
           "a live instance's name is refused in one line, with its pid", text)
    guest.process.send_signal(signal.SIGTERM)
    guest.wait(10)
    guest.close()
    tap.ok(not os.path.exists(path("one", "")), "the folder is gone after SIGTERM")

    for how, ending in (("poweroff", "poweroff"), ("a panic", "echo c >/proc/sysrq-trigger")):
        guest = start("two")
        guest.type(ending + "\r")
        guest.wait(20)
        guest.close()
        tap.ok(not os.path.exists(path("two", "")), f"and after {how}")


def after_sigkill():
    guest = start("killed")
    guest.process.kill()
    guest.process.wait()
    guest.close()
    tap.ok(os.path.exists(path("killed", "pid")), "SIGKILL leaves the folder")
    # As if another program had the pid now.
    with open(path("killed", "pid"), "w") as out:
        out.write(f"{os.getpid()}\n")
    guest = start("killed")
    tap.equal(mconsole.ask(path("killed"), "version")[0], 0,
              "which the next one of the name takes over, whoever has the pid now")
    guest.close()
    guest = start("killed")
    guest.process.kill()
    guest.process.wait()
    guest.close()
    guest = start("other")
    tap.ok(not os.path.exists(path("killed", "")), "and any next one removes it")
    guest.close()


def another_implementation():
    """A folder whose owner holds no lock, but serves its socket."""
    os.mkdir(path("foreign", ""))
    with open(path("foreign", "pid"), "w") as out:
        out.write(f"{os.getpid()}\n")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path("foreign"))
    status, text = run("umid=foreign", f"uml_dir={folder}")
    tap.ok(status == 1 and str(os.getpid()) in text and os.path.exists(path("foreign")),
           "the name of an instance that answers, but holds no lock, is refused, too", text)
    server.close()
    os.unlink(path("foreign"))
    os.unlink(path("foreign", "pid"))
    os.rmdir(path("foreign", ""))


def taken_over_at_once():
    """While another ./linux holds the lock of a folder whose owner was killed."""
    os.mkdir(path("dying", ""))
    with open(path("dying", "pid"), "w") as out:
        out.write(f"{2 ** 22 - 1}\n")
        out.flush()
        fcntl.fcntl(out, fcntl.F_OFD_SETLK,
                    struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        guest = start("dying", prompt=False)
        time.sleep(0.3)
        os.unlink(path("dying", "pid"))
        os.rmdir(path("dying", ""))
    tap.ok(guest.expect(PROMPT, 30), "a name whose killed owner's folder another one removes at "
           "this moment is free", guest.text[-300:])
    guest.close()


def others_folder():
    if os.geteuid():
        tap.skip("a folder of another user is refused", "needs root to make one")
        return
    for sentence, owner, mode in (("of another user", 65534, 0o755),
                                  ("that others may write to", os.geteuid(), 0o777)):
        os.mkdir(path("theirs", ""))
        os.chmod(path("theirs", ""), mode)
        os.chown(path("theirs", ""), owner, owner)
        status, text = run("umid=theirs", f"uml_dir={folder}", "rdinit=/nosuch", "root=none")
        tap.ok(status == 1 and len(text.splitlines()) == 1 and "choose another name" in text
               and not os.listdir(path("theirs", "")), f"a folder {sentence} is refused in a line",
               text)
        shutil.rmtree(path("theirs", ""), ignore_errors=True)


def many_at_once():
    guests = [start("same", prompt=False) for _ in range(20)]
    living = []
    for guest in guests:
        if guest.expect(PROMPT + r"|an instance has this name", 60):
            living.append(guest)
    winners = [guest for guest in guests if "has this name" not in guest.text]
    tap.equal((len(living), len(winners)), (20, 1),
              "of twenty that start at once with one name, one lives and nineteen say why not")
    tap.equal(mconsole.ask(path("same"), "version")[0], 0, "and the one answers")
    for guest in guests:
        guest.close()
    guests = [uml.Instance([f"uml_dir={folder}", "mem=64M"], terminal=True) for _ in range(20)]
    tap.ok(all(guest.expect(PROMPT, 60) for guest in guests)
           and len(os.listdir(folder)) == 20
           and all(re.fullmatch("[a-z]{6}", name) for name in os.listdir(folder)),
           "twenty without a name have names of six letters", os.listdir(folder))
    for guest in guests:
        guest.close()
    tap.equal(os.listdir(folder), [], "which are gone with them")


def places():
    home = uml.scratch("home")
    runtime = uml.scratch("run")
    os.makedirs(home, exist_ok=True)
    os.makedirs(runtime, exist_ok=True)
    deep = os.path.join(home, "x" * 100)
    os.makedirs(deep, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_RUNTIME_DIR")}
    cases = (
        ("in ~/.uml by default", {"HOME": home}, os.path.join(home, ".uml"), False),
        ("in $XDG_RUNTIME_DIR/uml where HOME is unset, with a line",
         {"XDG_RUNTIME_DIR": runtime}, os.path.join(runtime, "uml"), True),
        ("and where HOME is not there", {"HOME": home + "/nosuch", "XDG_RUNTIME_DIR": runtime},
         os.path.join(runtime, "uml"), True),
        ("and where the socket's path would be too long",
         {"HOME": deep, "XDG_RUNTIME_DIR": runtime}, os.path.join(runtime, "uml"), True),
        ("then in /tmp/uml-<uid>", {}, f"/tmp/uml-{os.geteuid()}", True),
    )
    for sentence, extra, place, has_line in cases:
        guest = uml.Instance(["umid=place", "mem=64M"], terminal=True, env={**environment, **extra})
        guest.expect(PROMPT, 30)
        lines = [line for line in guest.text.splitlines() if line.startswith("linux: ")]
        tap.ok(os.path.exists(os.path.join(place, "place", "mconsole"))
               and len(lines) == has_line, f"the folder is {sentence}", guest.text[:500])
        guest.close()


def bad_names():
    for words, pattern in ((["umid="], "value is missing"), (["umid=" + "x" * 64], "63 characters"),
                           (["umid=a/b"], "not a name"), (["umid=.."], "not a name"),
                           (["umid=x", "uml_dir=/proc/nosuch/dir"], "No such file"),
                           (["uml_dir=" + "/tmp/" + "x" * 100], "107 bytes"),
                           (["mconsole=x"], "notify:"), (["mconsole=notify:" + "x" * 108], "107")):
        status, text = run(*words)
        tap.ok(status == 1 and len(text.splitlines()) == 1 and re.search(pattern, text),
               f"{words[-1][:30]} is one line and status 1", text)
    if os.path.isdir("/tmp/" + "x" * 100):
        os.rmdir("/tmp/" + "x" * 100)


# Requests

def commands():
    guest = start("cmd")
    at = path("cmd")
    error, text = mconsole.ask(at, "version")
    name = re.search(r"Linux version (\S+)", guest.text)
    tap.ok(error == 0 and text.startswith("Linux ") and (not name or name[1] in text)
           and text.endswith("x86_64"), "version is uname's", text)
    error, text = mconsole.ask(at, "help")
    words = ("version halt reboot cad sysrq stop go log config remove proc stack").split()
    tap.ok(error == 0 and all(re.search(rf"^ +{word} ", text, re.M) for word in words),
           "help lists the commands", text)
    for bad in ("nonsense", "versions", "", "sysrq", "stack x", "stack 99999", "proc none",
                "config nothing", "config nothing=1", "config ubd99", "remove ubd3", "remove mem",
                "config con1=nosuch:x", "exec", "exec -l0 true", "stop 0"):
        error, text = mconsole.ask(at, bad)
        tap.ok(error == 1 and len(text.splitlines()) == 1, f"'{bad}' has the error 1, and a line",
               (error, text))

    tap.ok(mconsole.ask(at, "log a line from the host")[0] == 0
           and type_line(guest, "dmesg | tail -n 1", r"\] a line from the host$"),
           "log writes to the kernel's log", guest.text[-500:])
    mconsole.ask(at, "log \n")
    tap.ok(type_line(guest, "dmesg | tail -n 1", r"\] a line from the host$"),
           "and a line feed alone, which Debian's client sends after each text, is no line of it")

    error, text = mconsole.ask(at, "sysrq h")
    tap.ok(error == 0 and "HELP" in text, "what sysrq prints is its answer", text)
    error, text = mconsole.ask(at, "sysrq m")
    tap.ok(error == 0 and "Mem-Info" in text and "pages RAM" in text,
           "all of it, in several packets", text)
    tap.ok(mconsole.ask(at, "sysrq")[0] and mconsole.ask(at, "sysrq xy")[0],
           "sysrq without a letter, or with two, is an error")
    type_line(guest, "echo 0 >/proc/sys/kernel/sysrq; echo do''ne", "^done")
    tap.ok("Mem-Info" in mconsole.ask(at, "sysrq m")[1],
           "the guest's setting does not bind the host")

    error, text = mconsole.ask(at, "stack 1")
    tap.ok(error == 0 and "pid:1" in text and "Call Trace" in text, "stack shows a process", text)
    tap.ok(mconsole.ask(at, "stack 99999")[0] and mconsole.ask(at, "stack x")[0],
           "stack of no process is an error")
    reads_proc(guest, at)
    hotplug(guest, at)
    guest.close()


def reads_proc(guest, at):
    error, text = mconsole.ask(at, "proc uptime")
    tap.ok(error == 0 and re.fullmatch(r"[\d.]+ [\d.]+\n", text), "proc shows a file below /proc",
           text)
    tap.ok(mconsole.ask(at, "proc 1/status")[1].startswith("Name:\tinit\n"), "also in its folders")
    shown = type_line(guest, "wc -c </proc/1/environ", r"^(\d+)$")
    tap.equal(len(mconsole.ask(at, "proc 1/environ")[1]), int(shown[1]) if shown else -1,
              "also one that only a program's memory can take")
    type_line(guest, "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; echo do''ne",
              "^done")
    shown = type_line(guest, "wc -c </proc/kallsyms", r"^(\d+)$")
    client = mconsole.Client(at)
    client.send(mconsole.packet("proc kallsyms"))
    error, text, count = client.answer()
    client.close()
    size = int(shown[1]) if shown else -1
    tap.ok(error == 0 and len(text) == size and count > size // 512,
           "a large one comes whole, in many packets", (len(text), size, count))
    type_line(guest, "kill %1 2>/dev/null; umount /proc; echo do''ne", "^done")
    tap.equal(mconsole.ask(at, "proc uptime")[0], 0, "also where the guest has no /proc mounted")
    type_line(guest, "mount -t proc proc /proc; echo do''ne", "^done")
    for bad in ("nosuch", "", "self", "1/root/etc/passwd/x"):
        error, text = mconsole.ask(at, f"proc {bad}")
        tap.ok(error and text, f"proc {bad or 'alone'} is an error", text)


def hotplug(guest, at):
    image = uml.scratch("disk.img")
    subprocess.run(["truncate", "-s", "8M", image], check=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    tap.equal(mconsole.ask(at, "config ubd3"), (0, ""), "a disk that is not there has no file")
    tap.equal(mconsole.ask(at, f"config ubd3={image}")[0], 0, "config adds a disk")
    tap.equal(mconsole.ask(at, "config ubd3"), (0, image), "whose file it tells")
    tap.ok(type_line(guest, "mkdir -p /m; mount -t ext4 /dev/ubdd /m && echo mou''nted",
                     "^mounted"), "and which is mounted")
    error, text = mconsole.ask(at, "remove ubd3")
    tap.ok(error and text == "Device is currently open", "in use, it is not removed", text)
    other = uml.scratch("other.img")
    subprocess.run(["truncate", "-s", "64M", other], check=True)
    error, text = mconsole.ask(at, f"config ubd3={other}")
    tap.ok(error and text == "Device is currently open", "nor given another file", text)
    subprocess.run(["truncate", "-s", "16M", image], check=True)
    mconsole.ask(at, f"config ubd3={image}")
    tap.ok(type_line(guest, "cat /sys/block/ubdd/size", "^32768$"),
           "config with its file, grown, grows it at once")
    type_line(guest, "umount /m; echo do''ne", "^done")
    tap.equal(mconsole.ask(at, "remove ubd3")[0], 0, "unmounted, it is removed")
    tap.ok(type_line(guest, "test -e /sys/block/ubdd || echo go''ne", "^gone"), "and gone")
    cow = uml.scratch("disk.cow")
    tap.equal(mconsole.ask(at, f"config ubd3={cow},{image}")[0], 0, "a COW file can be added")
    tap.equal(mconsole.ask(at, "config ubd3"), (0, f"{cow},{image}"), "and says on what it stands")
    tap.equal(mconsole.ask(at, "remove ubd3")[0], 0, "and removed")
    tap.ok(os.path.exists(cow), "its file stays")
    for bad in ("config ubd3=/nosuch/file", "config ubd99=x", "config ubd3z=x", "config ubd3=",
                "config nosuch", "config", "remove ubd3", "remove", "remove nosuch0"):
        error, text = mconsole.ask(at, bad)
        tap.ok(error and text and "\n" not in text, f"{bad}: one line", text)


def lost_writes():
    """A host that cannot write what the guest has not flushed."""
    uml.build("../build/tests/host/deny")
    deny = uml.built("host/deny")
    guest = start("lost", wrap=[deny, "io_uring_setup", "--", deny, "-e", "EIO", "fdatasync", "--"])
    at, image = path("lost"), uml.scratch("lost.img")
    subprocess.run(["truncate", "-s", "8M", image], check=True)
    mconsole.ask(at, f"config ubd3={image}")
    type_line(guest, "dd if=/dev/zero of=/dev/ubdd bs=4k count=1; echo do''ne", "^done")
    error, text = mconsole.ask(at, "remove ubd3")
    tap.ok(error and "cannot write all of it" in text and "\n" not in text,
           "a disk whose last writes are not durable is not removed, and a line says why", text)
    tap.ok(type_line(guest, "dd if=/dev/ubdd of=/dev/null bs=4k count=1 && echo re''ad", "^read"),
           "it can be read", guest.text[-300:])
    tap.equal(mconsole.ask(at, "remove ubd3"), (0, ""), "and is removed at the second time")
    guest.close()


def endings():
    guest = start("end")
    tap.equal(mconsole.ask(path("end"), "halt")[0], 0, "halt answers")
    tap.equal(guest.wait(10), 0, "and ends the instance")
    guest.close()

    guest = start("end")
    begin = len(guest.text)
    os.stat(path("end"))
    tap.equal(mconsole.ask(path("end"), "reboot")[0], 0, "reboot answers")
    tap.ok(guest.expect(PROMPT, 30, begin + 1) and mconsole.ask(path("end"), "version")[0] == 0,
           "and starts it again, in the same folder")
    begin = len(guest.text)
    tap.equal(mconsole.ask(path("end"), "cad")[0], 0, "cad answers")
    tap.ok(guest.expect(r"reboot: |going down|Restarting|Power down", 30, begin),
           "and tells the guest's init", guest.text[-500:])
    guest.close()
    guest = uml.Instance([f"uml_dir={folder}", "mem=64M"], terminal=True)
    guest.expect(PROMPT, 30)
    (name,) = os.listdir(folder)
    mconsole.ask(path(name), "reboot")
    tap.ok(mconsole.wait_for(path(name)) and os.listdir(folder) == [name],
           "a name of six letters outlives a reboot")
    guest.close()
    tap.equal(os.listdir(folder), [], "and the folder goes at the end")


def monotonic(at):
    """The guest's CLOCK_MONOTONIC, in seconds."""
    return int(re.search(r"now at (\d+) nsecs", mconsole.ask(at, "proc timer_list")[1])[1]) / 1e9


def stopped():
    guest = start("stop")
    at = path("stop")
    type_line(guest, "while :; do grep 'now at' /proc/timer_list; done >/tmp/log & echo do''ne",
              "^done")
    before = monotonic(at)
    host_before = time.time()
    tap.equal(mconsole.ask(at, "stop")[0], 0, "stop answers")
    ticks = guest.cpu_ticks()
    time.sleep(3)       # what a stop does shows in time
    used = guest.cpu_ticks() - ticks
    tap.ok(used <= 5, "a stopped instance uses no CPU", f"{used} ticks in 3 s")
    tap.equal(mconsole.ask(at, "version")[0], 0, "but answers version")
    tap.ok(mconsole.ask(at, "proc uptime")[0] != 0, "and says why it does not answer proc")
    tap.equal(mconsole.ask(at, "proc uptime"), (1, "the instance is stopped: send go first"),
              "in the words that clients look for")
    tap.equal(mconsole.ask(at, "stop")[0], 0, "a second stop changes nothing")
    mconsole.ask(at, "go")
    after = monotonic(at)
    host = time.time() - host_before
    tap.ok(host > 3 and after - before < host - 2.5,
           "go continues; the monotonic clock stood still",
           f"guest {after - before} s, host {host} s")
    type_line(guest, "kill %1; echo do''ne", "^done")
    shown = type_line(guest, "date +%s; echo", r"^(\d{9,})$")
    tap.ok(shown and abs(int(shown[1]) - time.time()) < 3, "while its wall clock is right again",
           shown and shown[1])
    shown = type_line(guest, "awk '{ now = $3 / 1e9 } now < last { print \"back\" } "
                             "now - last > 2 && NR > 1 { print \"jump\" } { last = now } "
                             "END { print \"checked\" }' /tmp/log", "^(back|jump|checked)$")
    tap.equal(shown and shown[1], "checked", "programs see no jump")
    shown = type_line(guest, "dmesg | grep -ciE 'stall|lockup|hung'", r"^(\d+)$")
    tap.equal(shown and shown[1], "0", "and no watchdog of the kernel barks")
    guest.close()


def is_stopped(at):
    return mconsole.ask(at, "proc uptime")[1].startswith("the instance is stopped")


def stopped_for_a_while():
    guest = start("while")
    at = path("while")
    before = monotonic(at)
    began = time.monotonic()
    tap.equal(mconsole.ask(at, "stop 2"), (0, "stopped for 2 seconds"), "stop takes a time")
    while is_stopped(at) and time.monotonic() - began < 30 * uml.PATIENCE:
        time.sleep(0.01)
    took = time.monotonic() - began
    inside = monotonic(at) - before
    tap.ok(2 <= took and inside < took - 1.5,
           "after which the instance continues by itself; its clock stood still", (took, inside))
    tap.ok(type_line(guest, "dmesg | tail -n 1", r"the time of stop is over"),
           "and its log says so")
    mconsole.ask(at, "stop 1")
    mconsole.ask(at, "stop")
    time.sleep(2)       # nothing is to happen
    tap.ok(is_stopped(at), "a later stop without a time has none")
    mconsole.ask(at, "stop 1000")
    tap.ok(mconsole.ask(at, "go")[0] == 0 and not is_stopped(at), "go ends one that has")
    for bad in ("0", "-1", "x", "1 2", "86401", "99999999999"):
        error, text = mconsole.ask(at, f"stop {bad}")
        tap.ok(error == 1 and "seconds from 1 to 86400" in text and not is_stopped(at),
               f"stop {bad} is refused in a line, and nothing stops", (error, text))
    guest.close()


# Hostile clients

def hostile():
    guest = start("host")
    at = path("host")
    client = mconsole.Client(at)
    for sentence, data in (("a wrong version", mconsole.packet("halt", version=1)),
                           ("a wrong magic", mconsole.packet("halt", magic=0xfeedface)),
                           ("an empty packet", b""), ("half a header", b"\xbe\xba\xfe\xca\x02"),
                           ("text alone", b"halt")):
        client.send(data)
        tap.equal(client.answer()[0], 1, f"{sentence} is an error")
    tap.equal(client.ask("version")[0], 0, "and was not carried out")
    client.send(mconsole.packet("version", size=8))
    tap.equal(client.answer()[0], 0, "a packet may end after its text")
    client.send(mconsole.packet("version", length=0xffffffff))
    tap.equal(client.answer()[0], 0, "a length beyond the packet is the packet's")
    client.send(mconsole.packet(b"log " + b"x" * 60000, size=65536))
    tap.equal(client.answer()[0], 0, "a huge packet is cut to 511 bytes")
    client.send(mconsole.packet(bytes(range(1, 256)) * 2))
    tap.ok(client.answer()[0] != 0, "bytes that are no text are no command")
    nameless = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    nameless.sendto(mconsole.packet("version"), at)
    nameless.close()
    tap.equal(client.ask("version")[0], 0, "a client without a name costs nothing")

    silent = [mconsole.Client(at) for _ in range(5)]
    for one in silent:
        one.send(mconsole.packet("proc kallsyms"))
    started = time.monotonic()
    tap.equal(client.ask("version")[0], 0, "others are answered while five read nothing")
    tap.ok(time.monotonic() - started < 5 * uml.PATIENCE, "without a wait")
    for one in silent:
        one.close()

    many = [mconsole.Client(at, 60) for _ in range(1000)]
    waiting = list(many)
    while waiting:
        one = waiting.pop()
        one.send(mconsole.packet("version"))
    tap.ok(all(one.answer()[0] == 0 for one in many), "a thousand clients are answered")
    for one in many:
        one.close()
    tap.ok(type_line(guest, "echo al''ive", "^alive"), "and the guest lives")
    if os.geteuid() == 0:
        other_user(at)
    else:
        tap.skip("another user may not use the socket", "needs root to become another user")
    client.close()
    guest.close()


def other_user(at):
    """In a child, as the user without rights."""
    def may():
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os._exit(0 if mconsole.ask(at, "version")[0] == 0 else 3)
        except PermissionError:
            os._exit(1)
        except BaseException:
            os._exit(2)
    tap.equal(may(), 1, "another user's client gets: permission denied")
    place = os.path.dirname(at)
    top = place
    opened = []
    while top != "/":
        mode = os.stat(top).st_mode
        opened.append((top, stat.S_IMODE(mode)))
        os.chmod(top, stat.S_IMODE(mode) | 0o011)
        top = os.path.dirname(top)
    os.chmod(at, 0o666)
    tap.equal(may(), 0, "where its owner opened the socket, it works")
    for name, mode in opened:
        os.chmod(name, mode)


# Notifications

def receive(server, timeout=30):
    server.settimeout(timeout * uml.PATIENCE)
    data = server.recv(65536)
    import struct
    magic, version, kind, length = struct.unpack_from("=IIII", data)
    return (magic, version, kind), data[16:16 + length - 1].decode()


def notifications():
    address = uml.scratch("notify.sock")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(address)
    guest = start("note", f"mconsole=notify:{address}")
    head = (mconsole.MAGIC, mconsole.VERSION)
    tap.equal(receive(server), ((*head, 0), path("note")), "the listener gets the socket's name")
    guest.type("echo some text >/proc/mconsole\r")
    tap.equal(receive(server), ((*head, 3), "some text\n"), "and text from /proc/mconsole")
    guest.type("echo c >/proc/sysrq-trigger\r")
    kind, text = receive(server)
    tap.ok(kind == (*head, 1) and "sysrq triggered crash" in text, "and a panic's message", text)
    guest.wait(20)
    guest.close()
    server.close()
    os.unlink(address)
    guest = start("note", f"mconsole=notify:{address}")
    tap.ok(type_line(guest, "echo x >/proc/mconsole; echo go''es on", "^goes on"),
           "a listener that is not there costs nothing")
    guest.close()
    guest = start("note")
    tap.ok(type_line(guest, "test -e /proc/mconsole || echo no''ne", "^none"),
           "without the option there is no /proc/mconsole")
    guest.close()


only = sys.argv[1:]
for test in (folder_of_an_instance, after_sigkill, another_implementation, taken_over_at_once,
             others_folder, many_at_once, places, bad_names, commands, lost_writes, endings,
             stopped, stopped_for_a_while, hostile, notifications):
    if not only or test.__name__ in only:
        test()
tap.done()
