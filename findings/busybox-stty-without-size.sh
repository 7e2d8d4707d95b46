#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A terminal whose window size is not known has 0 rows and 0 columns: serial lines, and consoles of virtual machines. BusyBox's
# `stty -a` takes that for an error, though no call failed: in the middle of its output it prints a message with whatever
# errno was left, and its status stays 0.
#
# Seen with busybox-static 1:1.35.0-4+deb12u1+b1 on Debian 12: "stty: standard input: <text of an unrelated errno>" on standard
# error, status 0. With a size of 24 x 80 there is no message.
set -eu

version=1:1.35.0-4+deb12u1+b1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 .
apt-get -q -o APT::Sandbox::User=root download "busybox-static=$version" >/dev/null
dpkg -x busybox-static_*.deb root
echo "busybox-static $version"

cat >ask.py <<'END'
import fcntl, os, pty, struct, subprocess, termios
for size in ((24, 80), (0, 0)):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    ended = subprocess.run(["root/bin/busybox", "stty", "-a"], stdin=slave, capture_output=True, text=True)
    print(f"{size[0]} x {size[1]}: status {ended.returncode}, standard error: {ended.stderr.strip()!r}")
END
python3 ask.py | tee seen
grep -q "^24 x 80: status 0, standard error: ''$" seen
grep -q "^0 x 0: status 0, standard error: 'stty: " seen
echo "as described"
