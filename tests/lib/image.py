# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest images built without root: a newc cpio for initrd=, or an ext4 file for ubd0=.

An image holds Debian's static busybox, an init that runs /run-test, and the
files that the test adds. Device nodes go into the cpio directly, so nothing
here needs mknod; the ext4 image relies on devtmpfs.
"""
import os
import shutil
import stat
import subprocess
import tempfile

INIT = r"""#!/bin/busybox sh
# Runs /run-test and says how it ended; the lines that start with GUEST- are read by the harness.
/bin/busybox mkdir -p /bin /sbin /usr/bin /proc /sys /dev /tmp /root /mnt /run
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb GUEST=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	[ -e /dev/${link%%:*} ] || ln -s ${link#*:} /dev/${link%%:*}
done
ip link set lo up 2>/dev/null
dmesg -n 5
cd /
echo GUEST-READY
sh /run-test
status=$?
sync
echo
echo GUEST-LOG
dmesg
echo GUEST-STATUS $status
poweroff -f
"""


def busybox():
    """Path of the static busybox, or None."""
    path = shutil.which("busybox")
    if not path:
        return None
    kind = subprocess.run(["ldd", path], capture_output=True, text=True)
    return path if kind.returncode else None


def libraries(program):
    """The shared libraries and the interpreter that a program of the host needs: {where it looks
    for them: the file}."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return {word: os.path.realpath(word) for word in listing.split() if word.startswith("/")
            and os.path.exists(word)}


class Tree:
    """The files of a guest: name to (mode, content or host path), built up, then written out."""

    def __init__(self):
        self.entries = {}

    def directory(self, name):
        """Make @name and its parents."""
        parts = name.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            self.entries.setdefault("/".join(parts[:depth]), (stat.S_IFDIR | 0o755, b""))

    def add(self, name, content, mode=0o755):
        """Add a file; @content is bytes, or text."""
        name = name.strip("/")
        if "/" in name:
            self.directory(os.path.dirname(name))
        if isinstance(content, str):
            content = content.encode()
        self.entries[name] = (stat.S_IFREG | mode, content)

    def copy(self, host_path, name):
        """Add a copy of a host file, with its mode."""
        with open(host_path, "rb") as source:
            self.add(name, source.read(), stat.S_IMODE(os.stat(host_path).st_mode))

    def copy_program(self, host_path, name):
        """Add a program and the shared libraries it needs, at the same paths as on the host."""
        self.copy(host_path, name)
        for name, path in libraries(host_path).items():
            self.copy(path, name)

    def base(self, script):
        """The busybox, the init and @script as /run-test."""
        for folder in ("dev", "proc", "sys", "tmp", "root"):
            self.directory(folder)
        self.copy(busybox(), "bin/busybox")
        self.add("init", INIT)
        self.add("run-test", script)

    def write_cpio(self, path):
        """Write a newc archive to @path."""
        nodes = [("dev/console", stat.S_IFCHR | 0o600, 5, 1),
                 ("dev/null", stat.S_IFCHR | 0o666, 1, 3)]
        with open(path, "wb") as out:
            def record(number, name, mode, data=b"", major=0, minor=0):
                fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0)
                head = b"070701" + b"".join(b"%08X" % field
                                            for field in fields) + name.encode() + b"\0"
                for part in (head, data):
                    out.write(part + b"\0" * (-len(part) % 4))

            number = 1
            for name, (mode, data) in sorted(self.entries.items()):
                record(number, name, mode, data)
                number += 1
            for name, mode, major, minor in nodes:
                record(number, name, mode, b"", major, minor)
                number += 1
            record(number, "TRAILER!!!", 0)

    def write_directory(self, top):
        """Write the files to a directory of the host."""
        os.makedirs(top, exist_ok=True)
        for name, (mode, data) in sorted(self.entries.items()):
            here = os.path.join(top, name)
            if stat.S_ISDIR(mode):
                os.makedirs(here, exist_ok=True)
            else:
                with open(here, "wb") as out:
                    out.write(data)
                os.chmod(here, stat.S_IMODE(mode))

    def write_ext4(self, path, megabytes):
        """Write an ext4 file system of @megabytes to @path, files owned by root."""
        with tempfile.TemporaryDirectory() as top:
            self.write_directory(top)
            with open(path, "wb") as out:
                out.truncate(megabytes << 20)
            subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", top,
                            path],
                           check=True, env=dict(os.environ,
                                                PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
