#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian with systemd in a directory of an ordinary user of the host, with map=xattr:
unpacked by a guest, booted, changed by apt-get.

Of build/debian.img everything but documents, locales and compilers is unpacked; HOSTFS_DEBIAN=all
takes all of it. Its fstab names a disk as the root, so it is emptied. Run by root, the test makes
./linux an ordinary user's process.
"""
import os
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
USER = 1000 if os.getuid() == 0 else os.getuid()
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}",
           "--clear-groups"] if os.getuid() == 0 else []
IMAGE = os.environ.get("DEBIAN_IMAGE", os.path.join(uml.TOP, "build", "debian.img"))
LEFT_OUT = "" if os.environ.get("HOSTFS_DEBIAN") == "all" else " ".join(
    f"--exclude=./usr/{name}"
    for name in ("share/doc", "share/locale", "share/man", "share/zoneinfo", "share/gdb",
                 "share/python3", "include",
                                           "lib/gcc", "lib/python3", "lib/python3.11",
                 "lib/x86_64-linux-gnu/perl-base", "libexec/gcc"))
if not os.path.exists(IMAGE):
    tap.skip_all("no build/debian.img (make debian.img)")
top = uml.scratch("debian")
os.makedirs(os.path.join(top, "root"))
os.chmod(os.path.dirname(top), 0o711)
for path in (top, os.path.join(top, "root")):
    os.chown(path, USER, -1)
kernel = shutil.copy(uml.LINUX, os.path.join(top, "linux"))
try:
    os.setxattr(kernel, "user.test", b"1")
except OSError as error:
    tap.skip_all(f"no user extended attributes in {top}: {error.strerror}")
if subprocess.run([*AS_USER, "test", "-r", IMAGE], capture_output=True).returncode:
    tap.skip_all(f"user {USER} cannot read {IMAGE}")

result = uml.run(f"""
    mkdir /src; mount -o ro,noload -t ext4 /dev/ubda /src
    mount -t hostfs none /src/mnt -o {top}/root,map=xattr || exit 1
    chroot /src sh -c 'tar --one-file-system {LEFT_OUT} -cf - . | tar -C /mnt -xpf -' && umount /src/mnt
    """, mem="512M", timeout=300, wrap=AS_USER, linux=kernel, arguments=[f"ubd0r={IMAGE}"])
tap.ok(result.status == 0,
       "tar unpacks a Debian, with owners, devices and links, in an ordinary user's guest",
       result.tail)
uml.clean(result)
with open(os.path.join(top, "root", "etc", "fstab"), "w"):
    pass
foreign = {path for path, _, names in os.walk(os.path.join(top, "root")) for name in names
           for status in [os.lstat(os.path.join(path, name))]
           if status.st_uid != USER
           or not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode))}
tap.equal(foreign, set(), "on the host all of it are ordinary files of that user")


def test(instance):
    number = 0

    def run(command, timeout=60):
        nonlocal number
        number += 1
        start = instance.type(f"{command}; echo DONE-{number}-$?-\n")
        instance.expect(rf"DONE-{number}-\d+-", timeout, start)
        return instance.text[start:]

    if not tap.ok(instance.expect(r"login: $", 120), "it boots to a login prompt",
                  lambda: instance.text[-3000:]):
        return
    instance.type("root\n")
    instance.expect(r"# $", 30)
    said = run("systemctl --failed --no-legend --plain; timeout 60 systemctl is-system-running "
               "--wait", 90)
    tap.ok("DONE-1-0-" in said, "systemd says that all its units run", said)
    said = run("stat -c '%n %U:%G %a %F' /etc/shadow /dev/null /usr/bin/passwd /usr/bin/awk")
    tap.ok(all(line in said for line in ("/etc/shadow root:shadow 640 regular",
                                         "/dev/null root:root 666 character",
                                         "/usr/bin/passwd root:root 4755 regular",
                                         "/usr/bin/awk root:root 777 symbolic")),
           "files, devices and links are whose they should be", said)
    said = run("apt-get -q update >/dev/null && apt-get -q -y install hello </dev/null && hello",
               120)
    tap.ok("Hello, world!" in said, "apt-get installs a package", said)
    start = instance.type("systemctl poweroff\n")
    tap.equal(instance.wait(120), 0, "it shuts down with status 0",
              lambda: instance.text[start:][-2000:])


machine = uml.Instance(["mem=1G", f"ubd0={top}/root", "rootflags=map=xattr", "rw"], terminal=True,
                       wrap=AS_USER, linux=kernel)
try:
    test(machine)
finally:
    left = machine.close()
tap.ok(not left, "no process is left", f"left: {left}")
tap.done()
