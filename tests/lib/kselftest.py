# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds kselftests of the prepared kernel tree into build/tests/kselftest, static unless they
cannot be.

The kernel's own Makefiles build in the source tree, which stays pristine here, and link
dynamically; so a program is named in TESTS with what its Makefile would add. `reason` marks one
that cannot hold on this port or in a small guest, and says why: it is not run.
"""
import concurrent.futures
import os
import subprocess

import uml

TREE = os.path.join(uml.TOP, "build", "linux")
SELFTESTS = os.path.join(TREE, "tools", "testing", "selftests")
OUT = os.path.join(uml.OBJECTS, "kselftest")
HEADERS = os.path.join(uml.OBJECTS, "headers")


class Test:
    """One selftest program: folder, name, what its command line and build add."""

    def __init__(self, folder, name, arguments="", sources=(), flags=(), libs=(), dynamic=False,
                 seconds=60,
                 reason=None, before="", known=None):
        self.folder, self.name, self.arguments = folder, name, arguments
        self.sources = sources or (name + ".c",)
        self.flags, self.libs, self.dynamic = tuple(flags), tuple(libs), dynamic
        self.seconds, self.reason, self.before = seconds, reason, before
        # Subtests that fail for the reason that TESTS gives beside them: a regular expression of
        # their lines.
        self.known = known
        self.title = f"{folder}/{name}"
        self.path = os.path.join(OUT, folder.replace("/", "_"), name)
        self.error = None

    def guest_path(self):
        return f"kselftest/{self.folder.replace('/', '_')}/{self.name}"

    def command(self):
        folder, name = os.path.split(self.guest_path())
        return f"{self.before}cd /{folder} && ./{name} {self.arguments}"

    def build(self):
        """Compile it unless that is done; .error says what went wrong."""
        if self.reason:
            return
        where = os.path.join(SELFTESTS, self.folder)
        sources = [os.path.join(where, source) for source in self.sources]
        if os.path.exists(self.path) and os.path.getmtime(self.path) > max(map(os.path.getmtime,
                                                                               sources)):
            return
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        command = ["gcc", "-O2", "-w", "-D_GNU_SOURCE=", "-pthread", "-U_FORTIFY_SOURCE", "-I",
                   where, "-I", SELFTESTS,
                   "-I", os.path.join(SELFTESTS, "futex", "include"), "-I", OUT,
                   "-isystem", os.path.join(HEADERS, "usr", "include"), "-idirafter",
                   os.path.join(TREE, "tools", "include"),
                   *([] if self.dynamic else ["-static"]),
                   *(flag.format(tree=TREE) for flag in self.flags),
                   *sources, "-o", self.path, *self.libs]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            self.error = made.stderr[-1500:]


def group(folder, names, **common):
    """A Test for each word of @names."""
    return [Test(folder, name, **common) for name in names.split()]


def build_all(tests):
    """The exported kernel headers once, then every program."""
    if not os.path.exists(os.path.join(HEADERS, "usr", "include", "linux", "version.h")):
        subprocess.run(["make", "-s", "-C", TREE, "ARCH=x86", "O=" + HEADERS, "headers"],
                       check=True,
                       stdout=subprocess.DEVNULL, env=uml.clean_environment())
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "local_config.h"), "w"):
        pass    # mm/: no liburing
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(Test.build, tests))
