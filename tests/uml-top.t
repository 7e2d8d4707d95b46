#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_top, built with sanitizers: against stand-ins for instances, then against ./linux."""
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cowfile
import mconsole
import tap
import uml
from mconsole_server import Server, packets
from screen import Screen

# ncurses keeps its memory
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
HOME = uml.scratch("home")
UML = os.path.join(HOME, ".uml")
os.makedirs(UML)
os.environ["HOME"] = HOME
os.environ.pop("XDG_RUNTIME_DIR", None)
FOLDER = uml.scratch("tools")

DISKS = """   7       0 loop0 9 0 99999 0 9 0 99999 0 0 0 0
  98       0 ubda 10 0 {read} 0 20 0 {written} 0 0 0 0 0 0 0 0
  98       1 ubda1 9 0 {read} 0 9 0 {written} 0 0 0 0 0 0 0 0
 253       0 vda 1 0 8 0 1 0 8 0 0 0 0
"""
NETWORKS = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:   5000      50    0    0    0     0          0         0     5000      50    0    0
  eth0: {received}      10    0    0    0     0          0         0    {sent}      10    0    0
"""


def build():
    """The path of uml_top, built with sanitizers; next to it is a script for uml_console."""
    folder = os.path.join(uml.OBJECTS, "sanitized")
    cowfile.make(os.path.join(uml.TOP, "tools", "uml_top"), f"OUT={folder}",
                 f"CFLAGS=-O1 {cowfile.SANITIZERS}")
    os.mkdir(FOLDER)
    shutil.copy(os.path.join(folder, "uml_top"), FOLDER)
    with open(os.path.join(FOLDER, "uml_console"), "w") as script:
        script.write("#!/bin/sh\necho \"the console of $1 $2\"\nread line\n")
    os.chmod(script.name, 0o755)
    return os.path.join(FOLDER, "uml_top")


TOP = build()


def run(*words, **how):
    return subprocess.run([TOP, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, **how)


def refuses(sentence, words, pattern, status=2):
    ended = run(*words)
    lines = ended.stderr.splitlines()
    tap.ok(ended.returncode == status and len(lines) == 1 and re.search(pattern, lines[0]) and
           not ended.stdout, sentence, f"status {ended.returncode}: {ended.stderr}")


def guest(name, **how):
    """A stand-in whose counters grow by 2 MiB, 1 MiB, 4000 and 2000 from one look to the next."""
    server = Server(UML, name, **how)
    looks, looks_at_networks = itertools.count(), itertools.count()

    def disks():
        n = next(looks)
        return DISKS.format(read=1000 + 4096 * n, written=2000 + 2048 * n)

    def networks():
        n = next(looks_at_networks)
        return packets(NETWORKS.format(received=10 ** 10 + 4000 * n, sent=7 + 2000 * n), 100)
    server.answers.update({"proc loadavg": "1.25 0.50 0.10 1/50 123\n", "proc diskstats": disks,
                           "proc net/dev": networks, "config mem": str(96 << 20),
                           "stop": "stopped", "go": "", "cad": "",
                           "halt": ""})
    return server


def busy():
    """A process that uses a CPU, and has used some of it."""
    process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    deadline = time.monotonic() + 30
    while uml.stat_of(process.pid)[2] < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def once():
    burner = busy()
    try:
        with guest("alice", pid=burner.pid), guest("bob") as bob, guest("mute") as mute, \
                guest("dead", pid=2 ** 22 - 1) as dead:
            refusal = "the instance is stopped: send go first"
            bob.answers.update({"default": packets(refusal, error=1)})
            for request in ("proc loadavg", "proc diskstats", "proc net/dev", "config mem"):
                del bob.answers[request]
            mute.answers.update({"config mem": None})
            dead.stop()
            ended = run("--once", "--json", "--interval=1")
    finally:
        burner.kill()
        burner.wait()
    tap.ok(ended.returncode == 0 and not ended.stderr, "--once --json is one sample",
           f"{ended.returncode} {ended.stderr}")
    shown = {entry["umid"]: entry for entry in json.loads(ended.stdout)}
    tap.equal({name: entry["state"] for name, entry in shown.items()},
              {"alice": "running", "bob": "stopped", "mute": "silent", "dead": "dead"},
              "with all instances and their states")
    alice = shown["alice"]
    tap.ok(alice["pid"] == burner.pid and 0 < alice["cpu_percent"] < 110 and
           alice["cpu_seconds"] > 0 and alice["memory_used"] > 100000 and alice["uptime"] < 60,
           "CPU and memory in use are the host's numbers", alice)
    tap.equal(alice["memory_given"], 96 << 20, "memory that is given is what the guest says")
    tap.equal(alice["load"], 1.25, "the load is the guest's")
    tap.equal((alice["disk_read"], alice["disk_written"]),
              ((1000 + 4096 + 8) * 512, (2000 + 2048 + 8) * 512),
              "bytes of disks are its disks', without partitions")
    tap.ok(0.3 * 2 ** 21 < alice["disk_read_rate"] <= 2 ** 21 and
           abs(alice["disk_read_rate"] / alice["disk_write_rate"] - 2) < 0.01,
           "their rates are those between two samples", alice)
    tap.equal((alice["network_received"], alice["network_sent"]), (10 ** 10 + 4000, 2007),
              "bytes of networks are counted without lo")
    tap.ok(1200 < alice["network_receive_rate"] <= 4000 and
           abs(alice["network_receive_rate"] / alice["network_send_rate"] - 2) < 0.01,
           "their rates, too", alice)
    tap.ok(shown["bob"]["load"] is None and shown["bob"]["cpu_seconds"] is not None and
           shown["mute"]["load"] is None and shown["dead"]["cpu_seconds"] is None,
           "a number that is not known is null", shown)
    tap.equal((run("--once", "--json").stdout, run("--once", "--json").returncode), ("[]\n", 0),
              "no instance is an empty list")


def metrics():
    with guest("alice"), guest('odd"\\name'), guest("dead", pid=2 ** 22 - 1) as dead:
        dead.stop()
        ended = run("--metrics")
    lines = ended.stdout.splitlines()
    labels = r'\{umid="(?:[^"\\]|\\["\\n])*",folder="(?:[^"\\]|\\["\\n])*"\}'
    strange = [line for line in lines if not re.fullmatch(
        rf"# HELP uml_\w+ [^\n]+|# TYPE uml_\w+ (gauge|counter)|uml_\w+{labels} [-+.\de]+", line)]
    tap.ok(ended.returncode == 0 and lines and not strange, "--metrics has Prometheus' format",
           strange)
    where = f'{{umid="alice",folder="{UML}/alice"}}'
    for name, value in (("uml_up", "1"), ("uml_stopped", "0"), ("uml_load1", "1.25"),
                        ("uml_disk_read_bytes_total", str(1008 * 512)),
                        ("uml_network_received_bytes_total", "10000000000")):
        tap.ok(f"{name}{where} {value}" in lines, f"{name} is there", ended.stdout)
    tap.ok(f'uml_up{{umid="odd\\"\\\\name",folder="{UML}/odd\\"\\\\name"}} 1' in lines,
           "names are escaped", ended.stdout)
    tap.ok(f'uml_up{{umid="dead",folder="{UML}/dead"}} 0' in lines and
           not [line for line in lines if 'uml_load1{umid="dead"' in line],
           "a dead instance is not up, and has no other numbers", ended.stdout)


def order(screen):
    """The names of the rows."""
    return re.findall(r"^(\w+) +\d+ (?:running|stopped|silent)", screen.text(), re.M)


def wait_for_order(screen, wanted, sentence):
    pattern = "[^\\0]*".join(rf"^{name} +\d+ " for name in wanted)
    tap.ok(screen.expect(pattern) and order(screen) == wanted, sentence, screen.text)


def screen():
    burner = busy()
    try:
        with guest("aa", pid=burner.pid) as first, guest("bb") as second, guest("cc") as third:
            third.answers["proc loadavg"] = "7.00 0 0 1/1 1\n"
            view = Screen(TOP, "--interval=0.3")
            look(view, first, second, third)
            tap.equal(view.close(), 0, "q ends it with status 0")
    finally:
        burner.kill()
        burner.wait()
    with guest("evil\x1b]0;name") as server:
        view = Screen(TOP)
        tap.ok(view.expect(r"^evil\?\]0;name +\d+ running") and b"\x1b]0" not in view.raw,
               "a name cannot control the terminal", view.text)
        view.resize(10, 60)
        view.type("N")
        tap.ok(view.expect(r"^evil") and view.pid, "it may be made smaller", view.text)
        view.type("\x03")
        tap.equal(view.close(), 0, "Ctrl-C ends it with status 0")


def look(view, first, second, third):
    tap.ok(view.expect(r"^aa +\d+ running +\d+\.\d .* 1\.25 ") and
           view.expect(r"^3 instances +CPU \d"), "it shows the instances", view.text)
    tap.ok(view.expect(r"^bb .* \d\.\dM +\d\.\dM +\d"), "with the rates of their disks", view.text)
    view.type("L")
    wait_for_order(view, ["cc", "aa", "bb"], "L sorts by load, the largest first")
    view.type("C")
    tap.ok(view.expect(r"^NAME.*\n^aa "), "C by CPU", view.text)
    view.type("N")
    wait_for_order(view, ["aa", "bb", "cc"], "N by name")
    view.type("r")
    wait_for_order(view, ["cc", "bb", "aa"], "r reverses")
    view.type("r")
    wait_for_order(view, ["aa", "bb", "cc"], "and again")
    view.type("kkj")
    view.type("s")
    tap.ok(second.wait_for(b"stop") and view.expect(r"^bb: stop OK stopped") and
           b"stop" not in first.requests + third.requests, "s stops the chosen instance", view.text)
    view.type("L")
    wait_for_order(view, ["cc", "aa", "bb"], "which stays chosen when rows change places")
    view.type("g")
    tap.ok(second.wait_for(b"go") and view.expect(r"^bb: go OK"), "g lets it continue", view.text)
    for key, command in (("c", b"cad"), ("h", b"halt")):
        view.type(key)
        tap.ok(view.expect(rf"^{command.decode()} bb: are you sure"), f"{key} asks", view.text)
        view.type("n")
        view.type("s")
        second.requests.remove(b"stop")
        second.wait_for(b"stop")
        tap.ok(command not in second.requests, "and does nothing without y", second.requests)
        view.type(key)
        view.expect(r"are you sure")
        view.type("y")
        tap.ok(second.wait_for(command) and view.expect(rf"^bb: {command.decode()} OK"),
               f"with y, {command.decode()} is sent", view.text)
    view.type("\r")
    tap.ok(view.expect(rf"the console of {UML}/bb con0"), "Enter starts uml_console", view.text)
    view.type("\n")
    tap.ok(view.expect(r"^NAME.*PID") and view.expect(r"^bb +\d+ running"),
           "after which the view is there again", view.text)
    second.answers["stop"] = packets("no\x1b[2J way", error=1)
    view.type("s")
    tap.ok(view.expect(r"^bb: stop ERR no\?\[2J way"), "a refusal is shown", view.text)
    view.type("q")


def arguments():
    refuses("without a terminal it says what to do", [], "--once --json", 1)
    for words, what in ((["--once"], "--once alone"), (["--json"], "--json alone"),
                        (["--once", "--json", "--metrics"], "two formats"),
                        (["alice"], "an argument"), (["--interval=0"], "an interval of 0"),
                        (["--interval=x"], "one that is no number"), (["-x"], "an unknown option")):
        refuses(f"{what} is refused, with status 2", words, "uml_top: .")
    tap.equal(run("--version").stdout, "uml_top 1.0\n", "--version says the version")
    tap.ok(run("--help").stdout.startswith("usage: uml_top"), "--help shows the usage")
    view = Screen("/usr/bin/env", "TERM=nonsense", TOP)
    tap.ok(view.close() == 1 and b"the terminal nonsense is not known" in view.raw,
           "an unknown terminal is one line, with status 1", view.raw)
    given = uml.scratch("given")
    with Server(given, "carol"):
        listed = json.loads(run("--once", "--json", f"--uml-dir={given}").stdout)
        tap.equal([entry["umid"] for entry in listed], ["carol"], "--uml-dir names the folder")


def real():
    uml.require()
    said = []

    def drive(instance):
        said.append((instance.pid, run("--once", "--json").stdout))
        mconsole.ask(os.path.join(UML, "topreal", "mconsole"), "halt")
    disk = uml.scratch("disk")
    with open(disk, "wb") as out:
        out.truncate(8 << 20)
    script = "dd if=/dev/ubda of=/dev/null bs=64k 2>/dev/null; while :; do sleep 1; done"
    result = uml.run(script, mem="128M", arguments=["umid=topreal", f"ubd0={disk}"], drive=drive)
    pid, shown = said[0] if said else (0, "[{}]")
    entry = json.loads(shown)[0]
    tap.ok(entry.get("umid") == "topreal" and entry["pid"] == pid and
           entry["state"] == "running" and entry["memory_given"] == 128 << 20 and
           entry["load"] is not None and entry["cpu_seconds"] > 0 and entry["disk_read"] >= 0,
           "it knows ./linux", entry)
    uml.clean(result)


once()
metrics()
screen()
arguments()
real()
tap.done()
