#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's clocks: read without a trap, in step with the host's, through a stop of ./linux, and
by the host's clock where asked.

Guest and host are compared by the TSC, which is the same inside and outside: both print it with
their clocks, and the host's clock at the guest's moment lies on the line between two moments of
the host. TIME_SECONDS sets for how long (default 4; more shows slower drifts).
"""
import base64
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
uml.build()
SECONDS = int(os.environ.get("TIME_SECONDS", "4"))
LIMIT = 1e6     # ns
CALLS = 1000000
MOMENT = re.compile(r"^moment (\d+) (\d+) (\d+)$", re.M)
PROGRAM = uml.built("guest/clocks")


def host_moment():
    """(TSC, CLOCK_MONOTONIC, CLOCK_REALTIME) of the host, now."""
    text = subprocess.run([PROGRAM, "moments"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, MOMENT.match(text).groups()))


class Comparison:
    """Moments of the host taken around those of the guest."""

    def __init__(self):
        self.host = [host_moment()]

    def ahead(self, text):
        """For each moment in @text: ns that the guest's CLOCK_REALTIME is ahead of the host's, and
        its monotonic clock likewise."""
        self.host.append(host_moment())
        result = []
        for tsc, monotonic, wall in (tuple(map(int, found)) for found in MOMENT.findall(text)):
            before = max((h for h in self.host if h[0] <= tsc), default=self.host[0])
            after = min((h for h in self.host if h[0] > tsc), default=self.host[-1])
            share = (tsc - before[0]) / (after[0] - before[0])
            at = [before[i] + (after[i] - before[i]) * share for i in (1, 2)]
            result.append((wall - at[1], monotonic - at[0]))
        return result


def microseconds(values):
    return ", ".join(f"{value / 1000:.1f}" for value in values) + " us"


def judge(ahead, sentence):
    walls = [wall for wall, _ in ahead]
    tap.ok(walls and all(abs(wall) < LIMIT for wall in walls), sentence,
           lambda: microseconds(walls) or "the guest said nothing")
    tap.diag(f"guest ahead by {microseconds(walls)}")


SCRIPT = f"""
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
syscalls() {{ sed -n 's/^syscalls //p' /proc/um/counters; }}
before=$(syscalls); /clocks calls {CALLS}; after=$(syscalls)
echo TRAPS $((after - before))
range=$(sed -n 's/-.*\\[vdso\\]$//p' /proc/$$/maps)
echo VDSO; dd if=/proc/$$/mem bs=4096 skip=$((0x$range / 4096)) count=2 2>/dev/null | base64; echo END
/clocks moments {2 * SECONDS}
echo FOLLOWED
sleep 2
/clocks moments
echo SLEPT
/clocks
echo CHECKED
/clocks moments 12
echo STOPPED
date -s '2001-02-03 04:05:06' >/dev/null
sleep 1
date +%Y-%m-%d
exit 0
"""

seen = {}


def drive(instance):
    comparison = Comparison()
    where = 0
    for mark, patience in (("FOLLOWED", 60 + 4 * SECONDS), ("SLEPT", 30)):
        while not (found := instance.expect(f"^{mark}$", 0.5, where)):
            comparison.host.append(host_moment())
            patience -= 0.5
            if patience < 0:
                return
        seen[mark] = comparison.ahead(instance.text[where:])
        where = found.end()
    found = instance.expect("^CHECKED$", 60, where)
    if not found:
        return
    where = found.end()
    instance.expect("^moment", 20, where)
    comparison.host.append(host_moment())
    os.kill(instance.pid, signal.SIGSTOP)
    time.sleep(3)
    comparison.host.append(host_moment())
    os.kill(instance.pid, signal.SIGCONT)
    if instance.expect("^STOPPED$", 60, where):
        seen["STOPPED"] = comparison.ahead(instance.text[where:])


result = uml.run(SCRIPT, mem="128M", files={"clocks": PROGRAM}, timeout=180 + 4 * SECONDS,
                 drive=drive)
source = result.output.partition("\n")[0]
said = re.search(r"tsc: .*", result.log)
said = said.group(0) if said else "no line about the TSC"
tap.diag(said)
tap.ok(source in ("tsc", "host") and (source == "tsc") == ("kHz" in said),
       "the clock source is the TSC or the host's clock, as one line says",
       f"{source}: {said}")
traps = re.search(r"^TRAPS (\d+)$", result.output, re.M)
if source == "tsc":
    took = re.search(r"^calls ([\d.]+)$", result.output, re.M)
    tap.diag(f"{took.group(1) if took else '?'} ns a call")
    tap.ok(traps and int(traps.group(1)) < CALLS / 1000,
           f"{CALLS} calls of clock_gettime make no trap",
           f"{traps.group(1) if traps else '?'} system calls\n" + result.tail())
else:
    tap.skip(f"{CALLS} calls of clock_gettime make no trap", said)

image = re.search(r"^VDSO\n(.*?)^END$", result.output, re.M | re.S)
path = uml.scratch("vdso.so")
with open(path, "wb") as out:
    out.write(base64.b64decode(image.group(1) if image else ""))
symbols = subprocess.run(["readelf", "-W", "--dyn-syms", path], capture_output=True,
                         text=True).stdout
wanted = [prefix + name for name in ("clock_gettime", "clock_getres", "gettimeofday", "time",
                                     "getcpu") for prefix in (" ", "__vdso_")]
missing = [name for name in wanted if name + "@@LINUX_2.6" not in symbols]
tap.ok(not missing, "the vDSO has the functions of x86-64 by their names",
       f"missing: {missing}\n{symbols}")
frames = subprocess.run(["readelf", "-W", "--debug-dump=frames", path], capture_output=True,
                        text=True).stdout
tap.ok(frames.count(" FDE ") >= 5, "and tells debuggers how to unwind them", frames[:500])

if "constant_tsc" in open("/proc/cpuinfo").read():
    judge(seen.get("FOLLOWED", []),
          "wall time is within 1 ms of the host's while the guest works and sleeps by turns "
          f"({SECONDS} s)")
    judge(seen.get("SLEPT", []), "so it is after the guest slept")
    judge(seen.get("STOPPED", []), "so it is after ./linux was stopped for three seconds")
    rates = [monotonic for mark in ("FOLLOWED", "SLEPT", "STOPPED")
             for _, monotonic in seen.get(mark, [])]
    tap.ok(rates and max(rates) - min(rates) < LIMIT,
           "the monotonic clock keeps step all the while",
           lambda: microseconds(rate - rates[0] for rate in rates))
else:
    tap.skip("the guest's clocks keep step with the host's",
             "the TSC of this machine is not constant, so that there is nothing to compare by")
clocks = uml.Program("clocks", "")
clocks.output = re.search(r"^SLEPT\n(.*?)^CHECKED$", result.output, re.M | re.S)
clocks.output = clocks.output.group(1) if clocks.output else ""
clocks.status = 0 if clocks.output else None
uml.report(clocks)
tap.ok(re.search(r"^2001-02-03$", result.output, re.M),
       "a guest that sets its clock keeps what it set", result.tail)
tap.equal(result.status, 0, "the guest's script ends with status 0", result.tail)
uml.clean(result)

SCRIPT = """
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
before=$(sed -n 's/^syscalls //p' /proc/um/counters); /clocks calls 20000; after=$(sed -n 's/^syscalls //p' /proc/um/counters)
echo TRAPS $((after - before))
/clocks moments 2
echo DONE
"""


def compare(instance):
    comparison = Comparison()
    if instance.expect("^DONE$", 60):
        seen["HOST"] = comparison.ahead(instance.text)


result = uml.run(SCRIPT, mem="128M", arguments=["clocksource=host"], files={"clocks": PROGRAM},
                 drive=compare)
tap.equal(result.output.partition("\n")[0], "host", "clocksource=host reads the host's clock",
          result.tail)
traps = re.search(r"^TRAPS (\d+)$", result.output, re.M)
tap.ok(traps and int(traps.group(1)) >= 20000, "the vDSO then makes system calls", result.tail)
judge(seen.get("HOST", []), "and wall time is within 1 ms of the host's")
uml.clean(result)
tap.done()
