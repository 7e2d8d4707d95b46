#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's uml_switch 20070815.4-1 writes two lines to standard error for every frame that a client
# has no room for: one client that does not read makes the log grow as fast as the others send. 500
# frames give 978 lines. A service whose standard error is kept fills its disk. The frames are
# dropped, and other clients are served, as one expects.
#
# Needs apt-get, dpkg-deb, python3 and the Debian archive; touches a temporary folder only.
set -eu

version=20070815.4-1
folder=$(mktemp -d)
switch=
trap '[ -z "$switch" ] || kill "$switch" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -q -q -o APT::Sandbox::User=root download "uml-utilities=$version" >/dev/null
dpkg-deb -x uml-utilities_*.deb .
echo "uml-utilities $(dpkg-deb -f uml-utilities_*.deb Version)"
./usr/bin/uml_switch -unix ctl </dev/null >out 2>log &
switch=$!

python3 - <<'END'
import os, socket, struct, time

def join(name):
    data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    data.bind(name)
    control = socket.socket(socket.AF_UNIX)
    for _ in range(500):
        try:
            control.connect("ctl")
            break
        except OSError:
            time.sleep(0.01)
    control.sendall(struct.pack("=IIIH108s", 0xfeedface, 3, 0, socket.AF_UNIX, name.encode()))
    return data, control, control.recv(110)[2:]

sender, one, to = join("sender")
reader, two, _ = join("reader")
silent, three, _ = join("silent")
got = 0
for _ in range(500):
    sender.sendto(b"\xff" * 6 + b"\2\0\0\0\0\1\x88\xb5" + bytes(46), to)
    reader.recv(2000)
    got += 1
print(f"frames sent: 500; a client that reads got {got}")
END
kill "$switch"
wait "$switch" 2>/dev/null || :
switch=
lines=$(grep -c 'Resource temporarily unavailable' log || :)
echo "lines on standard error: $lines, the first: $(head -n 1 log)"
[ "$lines" -gt 900 ]
