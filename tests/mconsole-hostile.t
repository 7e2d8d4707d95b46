#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that no client sends: the management console's two sides under the sanitizers, and the
sockets of a guest.

FUZZ_SECONDS=3600 fuzzes for an hour, from inputs of the fuzzer's choice; without it, the same ones
each time. HOSTILE_SECONDS (default 5) is how long each socket of the guest is attacked, with the
random numbers of HOSTILE_SEED.
"""
import contextlib
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import execsocket
import fuzzer
import mconsole
import tap
import uml

FUZZ_RUNS = 10000
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
SECONDS = float(os.environ.get("HOSTILE_SECONDS", "5"))
SEED = int(os.environ.get("HOSTILE_SEED", "4"))
SIZES = (0, 1, 4, 11, 12, 13, 523, 524, 525, 4096, 65536)

uml.require()
folder = uml.scratch("uml")
os.makedirs(folder, exist_ok=True)
console, socket_exec = (os.path.join(folder, "target", entry) for entry in ("mconsole", "exec"))
chance = random.Random(SEED)


# Under the sanitizers, without a guest

def fuzz():
    program = fuzzer.build("mconsole_fuzz", own_loop=not FUZZ_SECONDS)
    if fuzzer.is_libfuzzer(program):
        command = fuzzer.libfuzzer_command(program, FUZZ_SECONDS, uml.scratch("corpus"))
    elif FUZZ_SECONDS:
        command = [program, str(time.time_ns() % 10**9), "0", str(FUZZ_SECONDS)]
    else:
        command = [program, "1", str(FUZZ_RUNS)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace",
                           timeout=FUZZ_SECONDS + 120 * uml.PATIENCE)
    tap.ok(ended.returncode == 0,
           "damaged requests, frames and telnet commands do no harm under the sanitizers",
           " ".join(command) + "\n" + ended.stdout[-4000:])
    tap.diag(fuzzer.summary(ended.stdout))


# A guest

# Those after which there would be another guest, or none, are left out.
REQUESTS = ("version", "help", "sysrq h", "sysrq m", "log a line", "config con0", "config ubd0",
            "config ubd3=/nosuch", "config mem", "config mem=-1M", "config mem=+1M", "remove ubd7",
            "proc uptime", "proc /../1", "exec echo x", "exec -l5 true", "stack 1", "sync", "go",
            "config ssl5=pts", "remove ssl5", "config ssl63=null,null", "stop",
            "stop 1", "stop 0")


def damaged(data, changes):
    """@data with so many bytes changed, added or taken away."""
    data = bytearray(data)
    for _ in range(changes):
        at = chance.randrange(len(data) + 1)
        how = chance.randrange(3)
        if how == 0:
            data[at:at + 1] = bytes([chance.randrange(256)])
        elif how == 1:
            data[at:at] = chance.randbytes(chance.randrange(20))
        else:
            del data[at:at + chance.randrange(20)]
    return bytes(data)


def is_harmless(data):
    """No command of it ends the guest."""
    text = data[mconsole.HEAD.size:].lstrip(b" \t\n\v\f\r\xa0")
    return not re.match(rb"halt|reboot|cad|sysrq\s+[^hm]|sysrq[^ ]|remove con0|config con0=", text)


def packets():
    """Packets without an end."""
    while True:
        good = mconsole.packet(chance.choice(REQUESTS))
        kind = chance.randrange(6)
        if kind == 0:
            size = chance.choice(SIZES)
            yield good[:size].ljust(size, b"\0") if chance.randrange(2) else chance.randbytes(size)
        elif kind == 1:
            cut = chance.randrange(len(good) + 1)       # one request in two packets
            yield good[:cut]
            yield good[cut:]
        elif kind == 2:
            yield mconsole.packet(chance.choice(REQUESTS), magic=chance.getrandbits(32))
        elif kind == 3:
            yield mconsole.packet(chance.choice(REQUESTS), version=chance.getrandbits(3) - 4 &
                                  0xffffffff)
        elif kind == 4:
            yield mconsole.packet(chance.choice(REQUESTS), length=chance.choice(
                (0, 1, 3, 511, 512, 513, 0x7fffffff, 0x80000000, 0xffffffff)))
        else:
            yield damaged(good[:mconsole.HEAD.size + 40], 1 + chance.randrange(8))


def empty(client):
    """Take what there is, so that the console need not wait; how many answers came to their end."""
    ends = 0
    while select.select([client.socket], [], [], 0)[0]:
        data = client.socket.recv(65536)
        ends += not mconsole.HEAD.unpack_from(data)[1]
    return ends


# Too many requests at once, or more processes than the guest can have.
LATER = re.compile("try again|temporarily unavailable")


def when_it_may(client, request):
    """Ask until none of the requests that are under way is in its place."""
    deadline = time.monotonic() + 30 * uml.PATIENCE
    while LATER.search((answer := client.ask(request))[1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def attack_console():
    client, silent = mconsole.Client(console), mconsole.Client(console)
    client.socket.setblocking(False)
    silent.socket.setblocking(False)
    end, sent, ends = time.monotonic() + SECONDS, 0, 0
    source = (packet for packet in packets() if is_harmless(packet))
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            (client if chance.randrange(20) else silent).send(next(source))
            sent += 1
        ends += empty(client)
    # It may have been stopped by one, and the answers of others may be under way.
    final = mconsole.Client(console, 30)
    answers = final.ask("go")[0], final.ask("version")[0], when_it_may(final, "exec echo fine")
    tap.equal(answers, (0, 0, (0, "fine\n")), "after packets of every kind and size to its console "
              "the guest answers", f"seed {SEED}")
    tap.ok(sent > 100 and ends > 50, "which it has answered", (sent, ends))
    tap.diag(f"{sent} packets, {ends} answers")
    for one in (client, silent, final):
        one.close()


def frames():
    """The frames of one connection, good ones and others."""
    start = execsocket.start_frame(("sh", "-c", "read x; echo $x; exit 3"),
                                   size=chance.choice((None, (24, 80))))
    yield start if chance.randrange(3) else damaged(start, 1 + chance.randrange(4))
    for _ in range(chance.randrange(5)):
        good = struct.pack("=I", chance.randrange(1, 6)) + b"x\n\0\0" * chance.randrange(4)
        size = chance.choice(SIZES)
        yield chance.choice((good, damaged(good, 2), chance.randbytes(size), bytes(32769)))


def attack_exec():
    connections, taken = 0, []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        command = execsocket.Command(socket_exec)
        with contextlib.suppress(OSError):
            for frame in frames():
                command.socket.send(frame, socket.MSG_DONTWAIT)
        connections += 1
        taken.append(command)
        while len(taken) > chance.randrange(30):        # closed at once, or after a while
            taken.pop(0).close()
    for command in taken:
        command.close()
    result = execsocket.run(socket_exec, "sh", "-c", "read x; echo $x", data=b"fine\n")
    tap.equal((result.status, result.output), (0, b"fine\n"),
              "after frames of every kind to its socket exec it runs commands", f"seed {SEED}")
    tap.diag(f"{connections} connections")


def attack_telnet(port):
    connections = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.setblocking(False)
            with contextlib.suppress(OSError):
                for _ in range(chance.randrange(20)):
                    stream.send(bytes(chance.choice((255, 250, 240, 251, 253, 31,
                                                     chance.randrange(256)))
                                      for _ in range(chance.randrange(300))))
                    if chance.randrange(2):
                        stream.recv(4096)
        connections += 1
    with socket.create_connection(("127.0.0.1", port), timeout=30 * uml.PATIENCE) as stream:
        got = b""
        stream.sendall(b"\r\necho still-$((1+1))\r\n")
        with contextlib.suppress(OSError):
            while b"still-2" not in got and (data := stream.recv(4096)):
                got += data
    tap.ok(b"still-2" in got, "after bytes of every kind to its telnet port the next client works",
           f"seed {SEED}: {got[-500:]}")
    tap.diag(f"{connections} connections")


def many_clients():
    """A thousand wait for an answer at the same time, of a command that takes a process."""
    many = [mconsole.Client(console, 60) for _ in range(1000)]
    for one in many:
        one.send(mconsole.packet("exec echo $((6*7))"))
    answers = [one.answer()[:2] for one in many]
    served = answers.count((0, b"42\n"))
    refused = sum(error != 0 and bool(LATER.search(text.decode())) for error, text in answers)
    tap.ok(served >= 256 and served + refused == 1000,
           "of a thousand that run commands at once, those beyond the most are told to try again",
           (served, refused, set(answers)))
    tap.equal(mconsole.ask(console, "exec echo again"), (0, "again\n"), "and then may")
    for one in many:
        one.close()


def drive(instance):
    port = instance.expect(r"ssl0: port:\S*:(\d+)", 20)
    attack_console()
    attack_exec()
    many_clients()
    if tap.ok(port, "the serial line has a port", instance.text[-1000:]):
        attack_telnet(int(port[1]))
    mconsole.ask(console, "exec echo >/run/end")


def attack():
    result = uml.run("mkfifo /run/end\n"
                     "while :; do setsid sh -c 'sh -i <>/dev/ttyS0 >&0 2>&1'; done &\n"
                     "read line </run/end; kill $!\n",
                     mem="256M", drive=drive, timeout=60 + 4 * int(SECONDS),
                     arguments=["umid=target", f"uml_dir={folder}", "ssl0=port:0"])
    tap.equal(result.status, 0, "the guest has worked to its end", result.tail)
    # Call traces are what "stack" and "sysrq m" print.
    uml.clean(result, allowed="Call Trace")


fuzz()
attack()
tap.done()
