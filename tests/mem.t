#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory on demand: "config mem" of the management console takes RAM from a running guest, gives it
more, and says how far it got; seen from inside and on the host, under each engine.

MEM_ROUNDS=1000 takes and gives memory so many times under a program that checks its own.
"""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import mconsole
import tap
import uml

MIB = 1 << 20
ROUNDS = int(os.environ.get("MEM_ROUNDS", "100"))
ENGINES = ("seccomp=auto", "seccomp=off")
FOLDER = uml.scratch("instances")
# Prints MemTotal for each line that it reads.
SERVE = """
while read wish; do
    case "$wish" in
    total) sed -n 's/^MemTotal: *\\([0-9]*\\) kB/TOTAL \\1/p' /proc/meminfo;;
    end) break;;
    *) eval "$wish"; echo DONE;;
    esac
done </dev/console
"""


class Guest:
    """A guest that obeys lines on its console, and its management console."""

    def __init__(self, instance):
        self.instance = instance

    def total(self):
        """MemTotal in bytes."""
        start = self.instance.type("total\n")
        found = self.instance.expect(r"^TOTAL (\d+)$", 20, start)
        return int(found.group(1)) * 1024 if found else None

    def run(self, command, timeout=60):
        """Have a command run; whether it ended."""
        start = self.instance.type(command + "\n")
        return self.instance.expect("^DONE$", timeout, start) is not None

    def end(self):
        """Let it power off."""
        self.instance.type("end\n")

    def config(self, value=""):
        """(error, text) of "config mem@value"."""
        return self.ask("config mem" + value)

    def ask(self, request):
        """(error, text) of any request."""
        return mconsole.ask(os.path.join(FOLDER, "mem", "mconsole"), request, 30)

    def size(self):
        """The answer to "config mem"."""
        error, text = self.config()
        return int(text) if not error and text.isdigit() else None

    def on_host(self):
        """Bytes that the host has allocated for guest RAM."""
        folder = f"/proc/{self.instance.pid}/fd"
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if "guest-ram" in os.readlink(path):
                return os.stat(path).st_blocks * 512
        return None


def with_guest(work, mem, arguments=(), timeout=120, script="", **how):
    """Boot a guest, have @work(guest) done, let it end, and judge it."""
    def drive(instance):
        guest = Guest(instance)
        if guest.total() is not None:
            work(guest)
        guest.end()

    result = uml.run(script + SERVE + "exit 0", mem=mem, drive=drive, timeout=timeout,
                     terminal=True,
                     arguments=[f"uml_dir={FOLDER}", "umid=mem", "con0=fd:0,fd:1", *arguments],
                     **how)
    tap.ok(result.status == 0, "the guest ends as it should", result.tail)
    tap.ok("Out of memory: Killed" not in result.console and "oom-kill" not in result.console,
           "and no process of it was killed for want of memory", result.tail)
    uml.clean(result)
    return result


def seen(engine, disk):
    """From inside and on the host."""
    def work(guest):
        tap.equal(guest.size(), 256 * MIB, f"{engine}: config mem says what mem= said, in bytes")
        guest.run("cat /dev/ubdb >/dev/null")
        before, total = guest.on_host(), guest.total()
        tap.equal(guest.config("=-64M"), (0, ""), "memory full of cached files: 64M are taken away")
        after = guest.on_host()
        tap.ok(before - after >= 60 * MIB, "and the host has 64M more",
               f"guest RAM on the host: {before // MIB} MiB before, {after // MIB} MiB after")
        tap.equal(guest.size(), 192 * MIB, "config mem says so")
        tap.equal(total - guest.total(), 64 * MIB, "and MemTotal")
        guest.run("cat /dev/ubdb >/dev/null")
        tap.ok(guest.on_host() <= after + 4 * MIB, "the guest does not take it again by itself",
               lambda: f"{guest.on_host() // MIB} MiB")
        tap.equal(guest.config("=+64M"), (0, ""), "64M are given again")
        tap.equal(guest.total(), total, "MemTotal is what it was")
        guest.run("cat /dev/ubdb >/dev/null")
        tap.ok(guest.on_host() >= before - 4 * MIB, "and the guest uses them",
               lambda: f"{guest.on_host() // MIB} MiB of {before // MIB}")
        tap.equal((guest.config("=200M"), guest.size()), ((0, ""), 200 * MIB),
                  "a size without a sign is the new size")
        tap.equal((guest.config("=+1"), guest.size()), ((0, ""), 200 * MIB + 4096),
                  "a size is whole pages")
        tap.equal((guest.config("=256M"), guest.size()), ((0, ""), 256 * MIB), "up as well")

    # The cache of a disk is dropped when no program has it open any more.
    with_guest(work, "256M", [engine, f"ubd1={disk}"], script="exec 9</dev/ubdb\n")


def limits():
    """Requests that are refused, with one line, and change nothing."""
    def work(guest):
        for value, about in (("=", "not a size"), ("=64X", "not a size"),
                             ("=-", "not a size"), ("=+-1M", "not a size"),
                             ("=1M2", "not a size"), ("=-1KB", "not a size"),
                             ("=99999999999999999999", "not a size"),
                             ("=17179869184G", "not a size"), ("= 1M", "not a size"),
                             ("3=64M", "not a size"), ("=0", "nothing would be left"),
                             ("=-64M", "nothing would be left"), ("=-1G", "nothing would be left"),
                             ("=+4K", "at most 64M; start it with maxmem="),
                             ("=1T", "at most 64M"), ("3", "no such device")):
            error, text = guest.config(value)
            tap.ok(error and about in text and "\n" not in text and guest.size() == 64 * MIB,
                   f"config mem{value} is refused: {about}", f"{error}, {text!r}")
        error, text = guest.ask("remove mem")
        tap.ok(error and "no such operation" in text, "mem cannot be removed", f"{error}, {text!r}")
        tap.equal((guest.config("=+0"), guest.config("=64M")), ((0, ""), (0, "")),
                  "no change is one that succeeds")

    with_guest(work, "64M")
    for option, about in (("maxmem=", "value is missing"), ("maxmem=many", "not a size"),
                          ("maxmem=64M", "less than mem=128M"), ("maxmem=16M", "too little memory"),
                          ("maxmem=64G", "more than 256 times"), ("maxmem=17T", "not a size")):
        result = uml.boot_and_judge(["mem=128M", option], 20)
        lines = [line for line in result.console.splitlines() if line.strip()]
        tap.ok(result.exit == 1 and len(lines) == 1 and about in lines[0],
               f"{option} is refused with one line: {about}", result.tail)


def stops_short(engine, stress):
    """More is asked for than a busy guest can do without."""
    def work(guest):
        guest.instance.expect("^PATTERNS$", 60)
        error, text = guest.config("=-230M")
        size = guest.size()
        said = f"{size >> 20}M" if size % MIB == 0 else f"{size >> 10}K"
        tap.ok(error and f"the guest needs the rest: the guest has {said} now, of 256M" in text,
               f"{engine}: a busy guest keeps what it needs, and the answer says how far it got",
               f"{error}, {text!r}, now {size}")
        tap.ok(150 * MIB < size < 220 * MIB, "it kept what its program uses, and not much more",
               str(size // MIB))
        if stress:
            guest.run("stress-ng --vm 2 --vm-bytes 24M --vm-method zero-one --temp-path /tmp "
                      "-t 3 >/dev/null 2>&1 & stress=$!")
            for _ in range(50):
                guest.config("=-230M")
                guest.config("=-4M")
                guest.config("=+2M")
            guest.run("wait $stress; echo stress $?", 60)
        guest.config("=256M")
        tap.equal(guest.size(), 256 * MIB, "it gets all of it again")
        guest.run("kill $patterns; wait")

    def tree():
        made = image.Tree()
        if stress:
            made.copy_program(stress, "usr/bin/stress-ng")
        return made

    result = with_guest(work, "256M", [engine], tree=tree(),
                        script="/test/patterns 140 & patterns=$!\n",
                        files={"test/patterns": uml.built("guest/patterns")})
    tap.ok("not ok" not in result.output and "memory holds what was written" in result.output,
           "its program finds its memory as it was", result.tail)
    if stress:
        tap.ok("stress 0" in result.output, "as does stress-ng, which ran meanwhile", result.tail)
    else:
        tap.skip("as does stress-ng, which ran meanwhile", "no stress-ng on this machine")


def unharmed(engine):
    """Memory goes and comes many times under a program."""
    def work(guest):
        guest.instance.expect("^PATTERNS$", 60)
        failed = []
        for number in range(ROUNDS):
            size = (64, 96, 32, 100)[number % 4]
            for value in (f"=-{size}M", "=256M"):
                answer = guest.config(value)
                if answer[0]:
                    failed.append(f"{value}: {answer}")
        tap.equal(failed, [], f"{engine}: {ROUNDS} times memory goes and comes")
        guest.run("kill $patterns; wait")

    result = with_guest(work, "256M", [engine], timeout=120 + ROUNDS,
                        script="/test/patterns 96 & patterns=$!\n",
                        files={"test/patterns": uml.built("guest/patterns")})
    tap.ok(re.search(r"^ok 1 - memory holds what was written", result.output, re.M),
           "a program that checks its memory meanwhile finds it as it was", result.tail)
    rounds = re.search(r"# (\d+) rounds", result.output)
    tap.ok(rounds and int(rounds.group(1)) >= 2, "more than once", result.tail)


def grows(engine):
    """Beyond mem=, to maxmem=."""
    def work(guest):
        total, host = guest.total(), guest.on_host()
        tap.equal(guest.size(), 100 * MIB, f"{engine}: with maxmem= a guest starts with mem=")
        tap.equal((guest.config("=+64M"), guest.size()), ((0, ""), 164 * MIB),
                  "it gets more than that while it runs")
        tap.ok(58 * MIB < guest.total() - total <= 64 * MIB, "which MemTotal shows, less 1/64 for "
               "their descriptions", lambda: f"{guest.total() - total}")
        tap.ok(guest.on_host() - host < 16 * MIB, "and the host gives as it is touched",
               lambda: f"{(guest.on_host() - host) // MIB} MiB")
        tap.equal((guest.config("=512M"), guest.size()), ((0, ""), 512 * MIB), "up to maxmem=")
        error, text = guest.config("=+1M")
        tap.ok(error and "at most 512M" in text, "and no further", f"{error}, {text!r}")
        guest.run("/test/patterns 400 & patterns=$!", 60)
        tap.ok(guest.instance.expect("^PATTERNS$", 60), "programs use it")
        tap.ok(guest.on_host() > 400 * MIB, "and the host has it allocated",
               lambda: f"{guest.on_host() // MIB} MiB")
        guest.run("kill $patterns; wait")
        tap.equal((guest.config("=80M"), guest.size()), ((0, ""), 80 * MIB),
                  "down again, to less than mem=")
        tap.ok(guest.on_host() < 90 * MIB, "and the host has it back",
               lambda: f"{guest.on_host() // MIB} MiB")
        tap.equal((guest.config("=512M"), guest.size()), ((0, ""), 512 * MIB), "and up again")

    result = with_guest(work, "100M", ["maxmem=512M", engine],
                        files={"test/patterns": uml.built("guest/patterns")})
    tap.ok("memory holds what was written" in result.output and "not ok" not in result.output,
           "which keeps what is written to it", result.tail)


def grows_when_full():
    """Memory is given to a guest that has little left."""
    def work(guest):
        guest.run("/test/patterns 105 & patterns=$!", 60)
        guest.instance.expect("^PATTERNS$", 60)
        tap.equal(guest.config("=+128M"), (0, ""), "a guest that has little memory left gets some")
        guest.run("kill $patterns; wait")

    with_guest(work, "128M", ["maxmem=256M"],
               files={"test/patterns": uml.built("guest/patterns")})


def takes_back():
    """A guest that runs out of memory takes its own back, and not more."""
    def work(guest):
        guest.config("=192M")
        guest.config("=-100M")
        tap.equal(guest.size(), 92 * MIB, "a guest has only 92M")
        guest.run("/test/patterns 140 & patterns=$!", 60)
        end = guest.instance.expect("^PATTERNS$|Out of memory: Killed", 60)
        tap.ok(end and end.group() == "PATTERNS",
               "and a program that needs 140M: it is not killed, the guest takes its memory back",
               guest.instance.text[-500:])
        size = guest.size()
        tap.ok(140 * MIB < size <= 192 * MIB, "which config mem shows", str(size))
        guest.run("kill $patterns; wait")

    result = with_guest(work, "128M", ["maxmem=256M"],
                        files={"test/patterns": uml.built("guest/patterns")})
    tap.ok("mem: out of memory: takes" in result.log, "and the kernel's log", result.tail)

    def greedy(guest):
        guest.config("=160M")
        guest.config("=-64M")
        guest.run("echo 1 >/proc/sys/vm/overcommit_memory; /test/patterns 220", 60)
        tap.ok(guest.size() <= 160 * MIB,
               "it never takes more than the most that it was ever given, by maxmem= or not",
               str(guest.size()))
        guest.end()

    def drive(instance):
        greedy(Guest(instance))

    result = uml.run(SERVE + "exit 0", mem="128M", drive=drive, terminal=True,
                     arguments=[f"uml_dir={FOLDER}", "umid=mem", "con0=fd:0,fd:1", "maxmem=512M"],
                     files={"test/patterns": uml.built("guest/patterns")})
    tap.ok("Out of memory: Killed process" in result.log,
           "then Linux ends a process, as on any machine", result.tail)


uml.require()
uml.build()
cached = uml.scratch("cached")
with open(cached, "wb") as out:
    out.truncate(400 * MIB)
for engine in ENGINES:
    seen(engine, cached)
limits()
for engine in ENGINES:
    stops_short(engine, shutil.which("stress-ng"))
for engine in ENGINES:
    unharmed(engine)
if "CONFIG_MEMORY_HOTPLUG=y" in uml.configuration(uml.LINUX).splitlines():
    for engine in ENGINES:
        grows(engine)
    grows_when_full()
    takes_back()
else:
    tap.skip("a guest grows beyond mem=", "this kernel has no CONFIG_MEMORY_HOTPLUG")
tap.done()
