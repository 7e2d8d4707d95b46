#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory as guest programs expect it, in small and large pages, under each engine; more scattered pages than the host
has areas for one process; huge pages from the host for guest RAM, and freed memory on its way back.

MEMORY_PAGES=1048576 touches a million scattered pages; it is a power of two, and more than the areas in any case.
"""
import os
import platform
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
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
    """How much of guest RAM the kernel process has mapped as huge pages of the host; None: this host makes none."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled") as source:
            denied = "[deny]" in source.read()
    except OSError:
        denied = True
    if denied or tuple(map(int, platform.release().split(".")[:2])) < (6, 1):
        return None
    with open(f"/proc/{instance.pid}/smaps") as source:
        return 1024 * sum(map(int, re.findall(r"^ShmemPmdMapped: +(\d+) kB", source.read(), re.MULTILINE)))


def gives_back():
    """A guest that uses 192 MiB and frees them: what its RAM file is made of, and how much it shrinks."""
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

    result = uml.run("mkdir /big; mount -t tmpfs -o size=200M none /big; dd if=/dev/zero of=/big/x bs=1M count=192 2>/dev/null\n"
                     "grep huge_blocks /proc/um/counters; echo USED; sleep 1; rm /big/x; echo FREED; sleep 100", mem="512M", drive=drive, timeout=120)
    if "used" not in sizes:
        tap.ok(False, "guest RAM can be looked at", result.tail())
        return
    tap.diag(f"guest RAM on the host: {sizes['used'] // MIB} MiB used, {sizes.get('left', 0) // MIB} MiB after the guest freed 192 MiB")
    if sizes["huge"] is None:
        tap.skip("guest RAM that is used is huge pages of the host", "this host's kernel makes none on demand (Linux 6.1 does, unless shmem_enabled is deny)")
    else:
        asked = int(re.search(r"huge_blocks (\d+)", result.console).group(1))
        tap.ok(sizes["huge"] > 160 * MIB and asked > 80, "guest RAM that is used is huge pages of the host",
               f"{sizes['huge'] // MIB} MiB of {sizes['used'] // MIB} are, {asked} blocks were asked for")
    tap.ok(sizes["used"] - sizes.get("left", sizes["used"]) > 128 * MIB, "memory that the guest frees goes back to the host")
    tap.ok(not result.problems, "the kernel log has no warning", "\n".join(result.problems))


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
tap.done()
