#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory as guest programs expect it, in small and large pages, under each engine; more scattered
pages than the host has areas for one process; huge pages from the host for guest RAM, and freed
memory on its way back; and a host that cannot give guest RAM, whoever asks for it.

MEMORY_PAGES=1048576 touches a million scattered pages; it is a power of two, and more than the
areas in any case.
"""
import contextlib
import fcntl
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cgroup
import ext4check
import tap
import uml

MIB = 1 << 20


def guest_ram(instance):
    """Path of guest RAM's file, as the host shows it."""
    folder = f"/proc/{instance.pid}/fd"
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if "guest-ram" in os.readlink(path):
            return path
    return None


def huge_on_host(instance):
    """How much of guest RAM the kernel process has mapped as huge pages of the host; None: this
    host makes none."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled") as source:
            denied = "[deny]" in source.read()
    except OSError:
        denied = True
    if denied or tuple(map(int, platform.release().split(".")[:2])) < (6, 1):
        return None
    with open(f"/proc/{instance.pid}/smaps") as source:
        return 1024 * sum(map(int,
                              re.findall(r"^ShmemPmdMapped: +(\d+) kB", source.read(),
                                         re.MULTILINE)))


def gives_back():
    """A guest uses 192 MiB and frees them: what its RAM file is made of, and how it shrinks."""
    sizes = {}

    def drive(instance):
        if not instance.expect("^USED$", 60):
            return
        path = guest_ram(instance)
        if not path:
            return
        sizes["used"] = os.stat(path).st_blocks * 512
        sizes["huge"] = huge_on_host(instance)
        instance.expect("^FREED$", 30)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            sizes["left"] = os.stat(path).st_blocks * 512
            if sizes["used"] - sizes["left"] > 128 * MIB:
                break
            instance.read(0.2)
        instance.kill()

    result = uml.run("mkdir /big; mount -t tmpfs -o size=200M none /big; dd if=/dev/zero of=/big/x "
                     "bs=1M count=192 2>/dev/null\n"
                     "grep huge_blocks /proc/um/counters; echo USED; sleep 1; rm /big/x; echo "
                     "FREED; sleep 100", mem="512M", drive=drive, timeout=120)
    if "used" not in sizes:
        tap.ok(False, "guest RAM can be looked at", result.tail())
        return
    tap.diag(f"guest RAM on the host: {sizes['used'] // MIB} MiB used, "
             f"{sizes.get('left', 0) // MIB} MiB after the guest freed 192 MiB")
    if sizes["huge"] is None:
        tap.skip("guest RAM that is used is huge pages of the host",
                 "this host's kernel makes none on demand (Linux 6.1 does, unless shmem_enabled is "
                 "deny)")
    else:
        asked = int(re.search(r"huge_blocks (\d+)", result.console).group(1))
        tap.ok(sizes["huge"] > 160 * MIB and asked > 80,
               "guest RAM that is used is huge pages of the host",
               f"{sizes['huge'] // MIB} MiB of {sizes['used'] // MIB} are, {asked} blocks were "
               "asked for")
    tap.ok(sizes["used"] - sizes.get("left", sizes["used"]) > 128 * MIB,
           "memory that the guest frees goes back to the host")
    tap.ok(not result.problems, "the kernel log has no warning", "\n".join(result.problems))


LOST = 128 + 7      # the exit status


@contextlib.contextmanager
def small_folder(size, kind="tmpfs"):
    """A folder on a tmpfs of so many bytes, or an ext4 in an image; None without mounting."""
    folder = tempfile.mkdtemp(prefix=f"{kind}-", dir=uml.scratch(""))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if kind == "ext4":
        disk = folder + ".disk"
        with open(disk, "wb") as out:
            out.truncate(size)
        if ext4check.missing():
            yield None
            return
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", disk], check=True,
                       env=ext4check.ENVIRONMENT)
        mount = ["mount", "-o", "loop", disk, folder]
    if subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        # Lazily: what the host does after the last process has ended may still hold its file.
        subprocess.run(["umount", "--lazy", folder], check=False)


def is_lost(result, about, sentence):
    """One line that says what is wrong, the documented status, and nothing that keeps running."""
    lines = [line for line in result.console.splitlines() if "guest RAM is lost" in line]
    tap.ok(result.exit == LOST and len(lines) == 1 and about in lines[0] and not result.problems
           and "Bus error" not in result.console,
           sentence, result.tail)
    tap.ok(not result.leaked, "and leaves nothing", f"left: {result.leaked}")


def full_host():
    """Guest RAM is a file on a file system that becomes full; each of those who may be the first
    to find out does."""
    refused = [uml.built("host/deny"), "memfd_create", "--"]
    sparse, plain = uml.scratch("sparse"), uml.scratch("files")
    os.makedirs(plain, exist_ok=True)
    for path in (sparse, os.path.join(plain, "file")):
        with open(path, "wb") as out:
            out.truncate(256 * MIB)
    finders = [
        ("guest code, under seccomp", "/test/scatter write 65536 1", ["seccomp=on"], refused),
        ("guest code, under ptrace", "/test/scatter write 65536 1", ["seccomp=off"], refused),
        ("the kernel", "dd if=/dev/zero of=/tmp/x bs=1M count=200", ["panic=1"], refused),
        ("a disk's transfer by io_uring", "dd if=/dev/ubda of=/dev/null bs=1M", [f"ubd0={sparse}"],
         refused),
        ("a disk's transfer by a thread", "dd if=/dev/ubda of=/dev/null bs=1M", [f"ubd0={sparse}"],
         [uml.built("host/deny"), "memfd_create", "io_uring_setup", "--"]),
        ("hostfs", f"mount -t hostfs none /mnt -o {plain}; cat /mnt/file /mnt/file >/dev/null", [],
         refused),
    ]
    for kind, (who, script, arguments,
               wrap) in [("tmpfs", finder) for finder in finders] + [("ext4", finders[0]),
                                                                     ("ext4", finders[2])]:
        sentence = f"where the file of guest RAM finds no more room on {kind}, one line names its folder: found by {who}"
        with small_folder(64 * MIB, kind) as folder:
            if not folder:
                tap.skip(sentence, f"may not mount a {kind} here")
                continue
            result = uml.run(script, mem="256M", arguments=arguments, wrap=wrap,
                             files={"test/scatter": uml.built("guest/scatter")},
                             env=dict(os.environ, TMPDIR=folder), timeout=30)
            if any("seccomp=on:" in line for line in result.console.splitlines()):
                tap.skip(sentence, "this host has no seccomp engine")
            else:
                is_lost(result, f"no room in {folder}", sentence)


def limited_memory():
    """A control group that gives less memory than mem= says."""
    for option in ("seccomp=auto", "seccomp=off"):
        sentence = f"{option}: a memory limit of the container ends ./linux, not processes of the guest one by one"
        with cgroup.limited("memory",
                            {"memory.max": str(96 * MIB), "memory.swap.max": "0"}) as wrap:
            if not wrap:
                tap.skip(sentence, "may not make a control group with a memory limit here")
                continue
            result = uml.run("dd if=/dev/zero of=/tmp/x bs=1M count=300 2>/dev/null; echo went-on; "
                             "exit 0", mem="512M",
                             wrap=wrap, arguments=[option], timeout=30)
        # The host ends what has most memory with SIGKILL, after which nobody can say a line.
        if result.exit == LOST:
            is_lost(result, "guest RAM", sentence)
        else:
            tap.ok(result.exit == -signal.SIGKILL and "went-on" not in result.output
                   and not result.problems and
                   not re.search(r"\]: killed|stub process was killed", result.console), sentence,
                   result.tail)
            tap.ok(not result.leaked, "and leaves nothing", f"left: {result.leaked}")


def no_room_to_boot():
    """All places are too small."""
    sentence = "where no folder has the room that it takes to boot, one line says so at once"
    # The programs may lie in one of the folders that are covered.
    namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 f'exec 3<{uml.LINUX} 4<{uml.built("host/deny")}; for d in /tmp /dev/shm; do mount '
                 '-t tmpfs -o size=6M none $d || exit 99; done; cd /; exec "$0" "$@"']
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        tap.skip(sentence, "may not mount a tmpfs here")
        return
    result = uml.boot_and_judge(["mem=64M"], 20, linux="/proc/self/fd/3",
                                wrap=[*namespace, "/proc/self/fd/4", "memfd_create", "--"])
    lines = [line for line in result.console.splitlines() if line.strip()]
    tap.ok(result.exit == 1 and len(lines) == 1 and "/dev/shm: No space left on device" in lines[0]
           and "TMPDIR" in lines[0],
           sentence, result.tail)


def shrunken():
    """Somebody makes the file of guest RAM smaller while it is in use."""
    def shrink(instance):
        if instance.expect("^BUSY$", 30):
            folder = f"/proc/{instance.pid}/fd"
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if os.stat(path).st_size == 128 * MIB:
                    os.truncate(path, MIB)
                    return

    for option in ("seccomp=auto", "seccomp=off"):
        result = uml.run("echo BUSY; while :; do :; done", mem="128M", arguments=[option],
                         drive=shrink, timeout=20,
                         wrap=[uml.built("host/deny"), "memfd_create", "--"],
                         env=dict(os.environ, TMPDIR="/tmp"))
        is_lost(result, "made its file smaller",
                f"{option}: a file of guest RAM that is made smaller is one line")


def seals():
    """What may be done with the descriptor of guest RAM, which others share."""
    found = {}

    def look(instance):
        path = guest_ram(instance)
        if path:
            with open(path, "rb+") as ram:
                found["seals"] = fcntl.fcntl(ram, fcntl.F_GET_SEALS)
                with contextlib.suppress(PermissionError):
                    ram.truncate(MIB)
                    found["shrank"] = True
        instance.kill()

    result = uml.run("sleep 100", mem="64M", drive=look)
    tap.ok(found.get("seals", 0) & fcntl.F_SEAL_SHRINK and found["seals"] & fcntl.F_SEAL_SEAL
           and "shrank" not in found,
           "guest RAM cannot be made smaller by who has its descriptor, nor be sealed further",
           lambda: f"{found}\n{result.tail()}")
    tap.ok(not found.get("seals", 0) & fcntl.F_SEAL_GROW, "and could be made larger", str(found))


def memfd_noexec():
    """vm.memfd_noexec is of a pid namespace."""
    for level in (1, 2):
        sentence = f"boots where vm.memfd_noexec is {level}"
        namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                     f'echo {level} >/proc/sys/vm/memfd_noexec || exit 99; exec "$0" "$@"']
        if subprocess.run([*namespace, "true"], capture_output=True).returncode:
            tap.skip(sentence, "this host has no such setting, or gives no namespace with one")
            continue
        result = uml.run("echo 5 >/tmp/x; exit $(cat /tmp/x)", mem="64M", wrap=namespace)
        tap.ok(result.status == 5 and "guest RAM is a file" not in result.console,
               sentence + ", with guest RAM in a memfd", result.tail)


uml.require()
uml.build()
with open("/proc/sys/vm/max_map_count") as source:
    areas = int(source.read())
tap.diag(f"the host allows {areas} areas a process")
files = {f"test/{name}": uml.built(f"guest/{name}") for name in ("memory", "scatter", "hugepage")}
pages = int(os.environ.get("MEMORY_PAGES", 1 << 17))
programs = [
    uml.Program("memory", "/test/memory", 120),
    uml.Program("large pages", "/test/hugepage", 120),
    uml.Program(f"{pages} scattered pages read", f"/test/scatter read {pages} 16", 240),
    uml.Program("131072 scattered pages written", "/test/scatter write 131072 2", 240),
]
results = uml.run_programs(programs, files=files, mem="1G")
traced = [
    uml.Program("memory, seccomp=off", "/test/memory", 120),
    uml.Program("large pages, seccomp=off", "/test/hugepage", 120),
    uml.Program("131072 scattered pages read, seccomp=off", "/test/scatter read 131072 16", 240),
]
results += uml.run_programs(traced, files=files, mem="1G", arguments=["seccomp=off"])
for program in programs + traced:
    uml.report(program)
uml.clean(results)
gives_back()
seals()
memfd_noexec()
full_host()
limited_memory()
no_room_to_boot()
shrunken()
tap.done()
