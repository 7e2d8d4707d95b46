#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples run, and do what their pages say."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

TOOLS = os.path.join(uml.TOP, "build", "tools")


class Terminal:
    """uml_console on a line of the console server, as a user's telnet would be."""

    def __init__(self, folder, line):
        self.data = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execv(os.path.join(TOOLS, "uml_console"),
                     ["uml_console", f"--uml-dir={folder}/uml", "server", line])

    def expect(self, pattern, start=0, timeout=20):
        deadline = time.monotonic() + timeout * uml.PATIENCE
        while not re.search(pattern, self.data[start:]):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            try:
                # without busybox's question for the cursor's place
                self.data = (self.data + os.read(self.fd, 65536)).replace(b"\x1b[6n", b"")
            except OSError:
                return False
        return True

    def answers(self, text, pattern):
        """Whether @pattern comes after @text was typed."""
        start = len(self.data)
        os.write(self.fd, text.encode())
        return self.expect(pattern, start)

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def attaches(terminal, prompt):
    """Whether the command brings the user to the guest's shell. It drops what was typed before."""
    start = len(terminal.data)
    os.write(terminal.fd, b"console\r")
    for _ in range(200):
        if terminal.expect(prompt, start, timeout=0.1):
            return True
        os.write(terminal.fd, b"\r")
    return False


def user(folder, line, name, password, other):
    terminal = Terminal(folder, line)
    shell = rf"{name}@server \$ $".encode()
    tap.ok(terminal.expect(b"you write") and terminal.answers("\r", rb"login: $") and
           terminal.answers(f"{name}\r", b"Password: $") and
           terminal.answers("wrong\r", b"Login incorrect") and
           terminal.expect(rb"incorrect\r\n(?s:.*)login: $") and
           terminal.answers(f"{name}\r", b"Password: $") and
           terminal.answers(f"{password}\r", shell),
           f"console server: {name} gets in by the password alone", lambda: terminal.data)
    tap.ok(attaches(terminal, rf"@{name} # $".encode()) and
           terminal.answers("echo this is $(hostname)\r", rf"\nthis is {name}\r".encode()),
           f"console server: {name} reaches a shell of {name}'s guest", lambda: terminal.data)
    tap.ok(terminal.answers("\x18", shell) and
           terminal.answers(f"console {other}\r", rb"Permission denied(?s:.*)\$ $"),
           f"console server: {name} does not reach {other}'s guest", lambda: terminal.data)
    terminal.answers("exit\r", b"login: $")
    terminal.close()


def console_server():
    folder = uml.scratch("consoles")
    script = os.path.join(uml.TOP, "examples", "console-server", "run")
    process = subprocess.Popen([script, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True, start_new_session=True,
                               env={**os.environ, "PORT": "0", "LINUX": uml.LINUX})
    said = process.stdout.readline()
    if tap.ok("The console server is ready: telnet 127.0.0.1 " in said,
              "console server: three guests start, wired by ptys of the host", said):
        with open(os.path.join(folder, "passwords"), encoding="ascii") as file:
            passwords = dict(line.split() for line in file)
        user(folder, "con1", "alice", passwords["alice"], "bob")
        user(folder, "con2", "bob", passwords["bob"], "alice")
    process.terminate()
    status = process.wait(20 * uml.PATIENCE)
    tap.ok(status == 143 and not uml.orphans() and not os.listdir(os.path.join(folder, "uml")),
           "console server: its end is that of all guests", status)


uml.require()
console_server()
tap.done()
