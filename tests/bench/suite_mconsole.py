# SPDX-License-Identifier: GPL-2.0-or-later
"""The management console: how long a request for the version takes while the guest is idle, and
while its CPU is busy in guest code. Commands that the host runs in the guest are compared with `sh
-c true` over ssh on the loopback. The last row is how often an idle guest wakes up that has all
consoles, a watchdog and notifications."""
import os
import statistics
import subprocess
import time

import execsocket
import mconsole
import ssh_loopback
import uml
from place import Row, Unmeasured

ROWS = [
    Row("version_idle", "version of an idle guest", "us", at_most=(1000, 1000), absolute=True),
    Row("version_busy", "version of a guest that computes", "us", at_most=(1000, 1000),
        absolute=True),
    Row("exec_client", "uml_mconsole exec true; ssh", "us", at_most=(1, 1)),
    Row("exec_socket", "exec true by its socket; ssh", "us", at_most=(1, 1)),
    Row("exec_datagram", "exec true by a datagram; ssh", "us", at_most=(1, 1)),
    Row("exec_shared", "the same; a shared connection of ssh", "us"),
    Row("idle_wakes", "wake-ups a minute with all consoles", "times", at_most=(60, 60),
        absolute=True),
]
TIMES = int(os.environ.get("BENCH_COMMANDS", "1000"))
IDLE_SECONDS = 60
SPIN = "while :; do :; done\n"
REST = "sleep 1000000\n"
WATCHDOG = "exec busybox watchdog -F -t 30 /dev/watchdog\n"


def median_us(action):
    """Median of how long @action takes, in microseconds."""
    took = []
    for _ in range(TIMES):
        start = time.perf_counter()
        action()
        took.append((time.perf_counter() - start) * 1e6)
    return statistics.median(took)


def mean_us(action):
    """Mean of how long it takes, as the time of all by their number."""
    start = time.perf_counter()
    for _ in range(TIMES):
        action()
    return (time.perf_counter() - start) * 1e6 / TIMES


def guest(place, script, measure, arguments=()):
    """The numbers that @measure returns for a running guest. It is given the folder."""
    folder, found = uml.scratch("uml"), {}
    os.makedirs(folder, exist_ok=True)
    at = os.path.join(folder, "bench")

    def drive(instance):
        if not mconsole.wait_for(os.path.join(at, "mconsole")):
            raise Unmeasured("its management console does not answer")
        found.update(measure(instance, at))
        mconsole.Client(os.path.join(at, "mconsole")).send(mconsole.packet("halt"))

    result = uml.run(script, mem="64M", linux=place.kernel, wrap=place.wrap, drive=drive,
                     arguments=["umid=bench", f"uml_dir={folder}/", *place.arguments, *arguments])
    if not found:
        raise Unmeasured("the guest did not start: " + " | ".join(result.tail(4).splitlines()))
    return found


def version(name):
    def measure(instance, at):
        client = mconsole.Client(os.path.join(at, "mconsole"))
        numbers = {name: median_us(lambda: client.ask("version"))}
        client.close()
        return numbers
    return measure


def must_be(status, wanted):
    if status != wanted:
        raise Unmeasured(f"a command ended with {status}")


def commands(place):
    def measure(instance, at):
        numbers = {}
        client = [*place.wrap, os.path.join(uml.TOP, "build", "tools", "uml_mconsole"), at +
                  "/mconsole", "exec", "true"]
        numbers["exec_client"] = mean_us(lambda: must_be(
            subprocess.run(client, stdout=subprocess.DEVNULL).returncode, 0))
        numbers["exec_socket"] = mean_us(lambda: must_be(
            execsocket.start(at + "/exec", "true").finish().status, 0))
        numbers["exec_datagram"] = numbers["exec_shared"] = mean_us(lambda: must_be(
            mconsole.ask(at + "/mconsole", "exec true")[0], 0))
        return numbers
    return measure


def over_ssh(place):
    server = ssh_loopback.Server(place.wrap)
    master = f"ControlPath={server.folder}/master"
    try:
        alone = server.command("sh -c true")
        shared = server.command("sh -c true", master, "ControlMaster=auto", "ControlPersist=yes")
        for words in (alone, shared):
            ran = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if ran.returncode:
                raise Unmeasured(f"ssh: {ran.stderr.strip()[-200:]}")
        took = [mean_us(lambda words=words: must_be(
            subprocess.run(words, stdin=subprocess.DEVNULL).returncode, 0))
            for words in (alone, shared)]
        subprocess.run([*server.command("", master), "-O", "exit"], capture_output=True)
    finally:
        server.close()
    return {"exec_client": took[0], "exec_socket": took[0], "exec_datagram": took[0],
            "exec_shared": took[1]}


def idle(instance, at):
    _, before = instance.scheduled()
    time.sleep(IDLE_SECONDS)
    _, after = instance.scheduled()
    return {"idle_wakes": (after - before) * 60 / IDLE_SECONDS}


def has_exec(place):
    return place.kernel == uml.LINUX


def measure(place):
    if place.is_native:
        return over_ssh(place)
    numbers = guest(place, REST, version("version_idle"))
    numbers.update(guest(place, SPIN, version("version_busy")))
    if has_exec(place):
        numbers.update(guest(place, REST, commands(place)))
        notify = uml.scratch("notify")
        numbers.update(guest(place, WATCHDOG, idle, ["con=pts", "con0=fd:0,fd:1", "ssl=pts",
                                                     f"mconsole=notify:{notify}"]))
    return numbers
