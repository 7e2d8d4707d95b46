# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal of the kind vt100, and what is on its screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ESCAPE = re.compile(r"\x1b(?:\[(\??)([\d;]*)([A-Za-z])|[()].|([=>DM78]))|[\x0e\x0f\0]")


class Screen:
    def __init__(self, *command, lines=24, columns=100, env=None):
        self.lines, self.columns = lines, columns
        self.rows = [[" "] * columns for _ in range(lines)]
        self.y = self.x = 0
        self.top, self.bottom = 0, lines - 1
        self.pending, self.raw = "", b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            time.sleep(0.05)    # until the window has its size
            os.environ.update(TERM="vt100", LC_ALL="C.UTF-8", **(env or {}))
            os.execv(command[0], command)
        self.resize(lines, columns)

    def resize(self, lines, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    # ---- what the program sends ----

    def scroll(self, down):
        blank = [" "] * self.columns
        if down:
            del self.rows[self.bottom]
            self.rows.insert(self.top, blank)
        else:
            del self.rows[self.top]
            self.rows.insert(self.bottom, blank)

    def control(self, numbers, letter):
        first = numbers[0] if numbers else 0
        if letter == "H":
            self.y = max(0, min((first or 1) - 1, self.lines - 1))
            self.x = max(0, min((numbers[1] if len(numbers) > 1 else 1) - 1, self.columns - 1))
        elif letter in "ABCD":
            move = first or 1
            self.y += {"A": -move, "B": move}.get(letter, 0)
            self.x += {"C": move, "D": -move}.get(letter, 0)
        elif letter == "K":
            begin, end = (0, self.x + 1) if first == 1 else (self.x, self.columns)
            self.rows[self.y][begin:end] = [" "] * (end - begin)
        elif letter == "J":
            self.rows[self.y][self.x:] = [" "] * (self.columns - self.x)
            for y in range(0 if first == 2 else self.y + 1, self.lines):
                self.rows[y] = [" "] * self.columns
        elif letter == "r":
            self.top, self.bottom = (first or 1) - 1, \
                (numbers[1] if len(numbers) > 1 else self.lines) - 1

    def write(self, character):
        if character == "\r":
            self.x = 0
        elif character == "\b":
            self.x = max(0, self.x - 1)
        elif character == "\n":
            if self.y == self.bottom:
                self.scroll(False)
            else:
                self.y = min(self.y + 1, self.lines - 1)
        elif character >= " ":
            if self.x >= self.columns:
                self.x = 0
                self.write("\n")
            self.rows[self.y][self.x] = character
            self.x += 1

    def take(self, text):
        text = self.pending + text
        self.pending = ""
        at = 0
        while at < len(text):
            match = ESCAPE.match(text, at)
            if match:
                at = match.end()
                if match[3] and not match[1]:
                    self.control([int(n or 0) for n in match[2].split(";") if n], match[3])
                elif match[4] == "M" and self.y == self.top:
                    self.scroll(True)
                elif match[4] == "M":
                    self.y -= 1
                elif match[4] == "D":
                    self.write("\n")
            elif text[at] == "\x1b" and len(text) - at < 12:
                self.pending = text[at:]
                return
            else:
                self.write(text[at])
                at += 1

    # ---- what a test does ----

    def read(self, seconds):
        """Whether the program still has the terminal."""
        if not select.select([self.fd], [], [], max(0, seconds))[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            return False
        self.raw += data
        self.take(data.decode(errors="replace"))
        return bool(data)

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.rows)

    def expect(self, pattern, seconds=30):
        """Wait until a pattern is on the screen; the match, or None."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text(), re.M)
            if match:
                return match
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                return re.search(pattern, self.text(), re.M)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def close(self, seconds=30):
        """Wait for the program's end; its exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read(end - time.monotonic()):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
