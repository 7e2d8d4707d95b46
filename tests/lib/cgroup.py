# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups with a limit, of either version, where this process may make them.

    with cgroup.limited("pids", {"pids.max": "40"}) as wrap:
        ...                 # wrap: words before a command that runs in it; None: there is none

A limit is a file's name in version 2; LEGACY has what it is called in version 1.
"""
import contextlib
import os
import time

LEGACY = {"memory.max": "memory.limit_in_bytes", "memory.swap.max": None, "pids.max": "pids.max"}


def places(controller):
    """Folders in which a group with @controller may be made, and whether they are of version 2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as source:
        for line in source:
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            folder = before.split()[4]
            if kind == "cgroup" and controller in options.strip().split(","):
                yield folder, False
            elif kind == "cgroup2":
                with contextlib.suppress(OSError), \
                     open(os.path.join(folder, "cgroup.subtree_control"),
                          encoding="utf-8") as enabled:
                    if controller in enabled.read().split():
                        yield folder, True


def make(controller, limits):
    """A group's folder, or None."""
    for folder, second in places(controller):
        group = os.path.join(folder, f"uml-test-{os.getpid()}-{time.monotonic_ns()}")
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            for name, value in limits.items():
                name = name if second else LEGACY[name]
                if name and os.path.exists(os.path.join(group, name)):
                    with open(os.path.join(group, name), "w", encoding="utf-8") as out:
                        out.write(value)
            return group
        except OSError:
            os.rmdir(group)
    return None


@contextlib.contextmanager
def limited(controller, limits):
    """See the top of this file. The group goes when all that ran in it has ended."""
    group = make(controller, limits)
    if not group:
        yield None
        return
    try:
        yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$0" "$@"']
    finally:
        for _ in range(300):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.1)
