# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups with a limit, of either version, where this process may make them.

    with cgroup.limited("pids", {"pids.max": "40"}) as wrap:
        ...                 # wrap: words before a command that runs in it; None: there is none

A limit is a file's name in version 2; LEGACY has what it is called in version 1. A group is made
below this process's own, or below the nearest one above that where it may. Nothing is enabled for
that: in version 2, only a folder whose cgroup.subtree_control has the controller serves.
"""
import contextlib
import os
import re
import shlex
import subprocess
import time

LEGACY = {"memory.max": "memory.limit_in_bytes", "memory.swap.max": "memory.memsw.limit_in_bytes",
          "pids.max": "pids.max"}
SWAP = ("memory.swap.max", LEGACY["memory.swap.max"])


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as source:
        return source.read()


def own_groups():
    """The paths of this process's groups in their hierarchies, by controller; "": version 2."""
    return {name: path for line in read("/proc/self/cgroup").splitlines()
            for names, path in [line.split(":", 2)[1:]] for name in names.split(",")}


def mounts(controller):
    """Where hierarchies that may have @controller are mounted: (path there, folder, whether it is
    of version 2)."""
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        path, folder = (re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), field)
                        for field in before.split()[3:5])
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            yield path, folder, kind == "cgroup2"


def places(controller):
    """Folders in which a group with @controller may be made, and whether they are of version 2."""
    own = own_groups()
    for path, folder, second in mounts(controller):
        below = os.path.relpath(own.get("" if second else controller, "/"), path)
        # A part of a hierarchy may be mounted, in which this process's group is not.
        at = folder if below.startswith("..") else os.path.normpath(os.path.join(folder, below))
        while True:
            with contextlib.suppress(OSError):
                if not second or controller in read(at, "cgroup.subtree_control").split():
                    yield at, second
            if at == folder:
                break
            at = os.path.dirname(at)


def files(limits, second):
    """(file, value) for each of @limits, in the order in which they are written."""
    for name, value in sorted(limits.items()):
        if name == "memory.swap.max" and not second:
            # The file limits the sum, which may not be the smaller one.
            value = str(int(limits["memory.max"]) + int(value))
        yield name if second else LEGACY[name], value


def set_limits(group, limits, second):
    """Each limit is set, except one of swap where there is no swap to be limited."""
    has_swap = len(read("/proc/swaps").splitlines()) > 1
    for name, value in files(limits, second):
        if has_swap or name not in SWAP or os.path.exists(os.path.join(group, name)):
            with open(os.path.join(group, name), "w", encoding="utf-8") as out:
                out.write(value)


def wrapper(group):
    """The words before a command that runs in the group."""
    return ["sh", "-c", f'echo $$ >{shlex.quote(group)}/cgroup.procs && exec "$0" "$@"']


def make(controller, limits):
    """A group's folder, or None."""
    for folder, second in places(controller):
        group = os.path.join(folder, f"uml-test-{os.getpid()}-{time.monotonic_ns()}")
        try:
            os.mkdir(group)
        except OSError:
            continue
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            set_limits(group, limits, second)
            # Who may make a group may yet not be allowed to move there from another one.
            subprocess.run([*wrapper(group), "true"], check=True, stderr=subprocess.DEVNULL)
            return group
        remove(group)
    return None


def remove(group, patience=30):
    """Remove a group when all that ran in it has ended."""
    deadline = time.monotonic() + patience
    while True:
        try:
            os.rmdir(group)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def limited(controller, limits):
    """See the top of this file. The group goes when all that ran in it has ended."""
    group = make(controller, limits)
    try:
        yield group and wrapper(group)
    finally:
        if group:
            remove(group)
