#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An idle guest uses less than 10 ms of CPU of the host a minute, from its prompt on, under either
engine, also with all consoles and serial lines, a watchdog and notifications.

IDLE_SECONDS (default 60) are watched, the costliest that there are: those just after the boot. How
often the host had to wake ./linux is a matter of what the guest does and is judged everywhere.
The cost of a wake-up is a matter of the machine too: where it is busy with other things, too many
milliseconds are no failure.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

PROMPT = r"^.*[#$] $"
LIMIT_MS = 10       # a minute
LIMIT_WAKES = 60    # a minute; each reason to wake up (about 15 in the first minute) is one or two
QUIET = 0.1         # of the machine's CPUs busy, at most

seconds = int(os.environ.get("IDLE_SECONDS", "60"))
uml.require()


def busy_share(before, after):
    """How much of the machine's CPUs was in use between two readings of machine()."""
    idle, total = (b - a for a, b in zip(before, after))
    return 1 - idle / max(total, 1)


def machine():
    """Idle and all time of the machine's CPUs, in ticks."""
    with open("/proc/stat") as source:
        ticks = [int(word) for word in source.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


EVERYTHING = "all lines and a watchdog"
guests = {f"seccomp={engine}": uml.Instance(["mem=256M", f"seccomp={engine}"], terminal=True)
          for engine in ("off", "on")}
guests[EVERYTHING] = uml.Instance(["mem=256M", "con=pts", "con0=fd:0,fd:1", "ssl=pts",
                                   f"mconsole=notify:{uml.scratch('nobody')}"], terminal=True)
for name, guest in list(guests.items()):
    if guest.expect(PROMPT, 30):
        continue
    lacking = [line for line in guest.text.splitlines() if name + ":" in line]
    if lacking:
        tap.skip(f"an idle guest with {name}", lacking[0])
    else:
        tap.ok(False, f"{name}: boots to a prompt", guest.text[-1000:])
    guest.close()
    del guests[name]
if EVERYTHING in guests:
    # Twice a minute: each ping wakes the program, the kernel and uml_watchdog.
    start = guests[EVERYTHING].type("watchdog -t 30 /dev/watchdog && echo watch''ed\r")
    tap.ok(guests[EVERYTHING].expect("^watched", 30, start), "a watchdog is pinged",
           lambda: guests[EVERYTHING].text[-500:])
before, ticks = {name: guest.scheduled() for name, guest in guests.items()}, machine()
time.sleep(seconds)
share = busy_share(ticks, machine())
for name, guest in guests.items():
    ms, turns = (60 / seconds * (b - a) for a, b in zip(before[name], guest.scheduled()))
    tap.ok(turns < LIMIT_WAKES,
           f"{name}: an idle guest wakes less than {LIMIT_WAKES} times a minute",
           f"{turns:.0f} times")
    sentence = f"{name}: an idle guest uses less than {LIMIT_MS} ms of CPU a minute"
    if ms >= LIMIT_MS and share > QUIET:
        tap.skip(sentence, f"the machine is busy ({100 * share:.0f} % of its CPUs): {ms:.1f} ms")
    else:
        tap.ok(ms < LIMIT_MS, sentence, f"{ms:.1f} ms")
    tap.diag(f"{name}: {ms:.1f} ms and {turns:.0f} wake-ups a minute")
    guest.type("poweroff\n")
    tap.equal(guest.wait(20), 0, f"{name}: and then powers off")
    tap.ok(not guest.close(), f"{name}: no host process is left")
tap.done()
