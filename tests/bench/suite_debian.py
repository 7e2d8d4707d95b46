# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole programs of Debian 12: g++ -O2 on 5,000 lines, and a shell that runs 300 small dynamic
programs.

In the guest they come from build/debian.img, mounted read-only; natively from this machine, whose
g++ must be the same version. The first run of each is not counted: caches are warm.
"""
import os
import shlex
import shutil
import tempfile

import image
import uml
from place import Row, Unmeasured, numbers

ROWS = [
    Row("compile", "g++ -O2 of 5,000 lines", "ms", at_most=(1.15, 1.15)),
    Row("shell_loop", "a shell loop of 300 x /bin/true", "ms", at_most=(2, 2.5)),
]
TIMES = 5
LOOP = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done"

# A piece of the 5,000 lines: templates, containers, virtual calls, loops to optimize.
PIECE = """\
template <typename T> struct Table%(n)d : Base {
    std::vector<T> cells;
    std::map<std::string, T> names;
    explicit Table%(n)d(std::size_t size) : cells(size) {}
    long total() const override {
        long sum = %(n)d;
        for (const auto &cell : cells)
            sum += static_cast<long>(cell) * %(m)d;
        for (const auto &[name, value] : names)
            sum += static_cast<long>(name.size()) ^ static_cast<long>(value);
        return sum;
    }
    void fill(T from) {
        for (std::size_t i = 0; i < cells.size(); i++)
            cells[i] = from + static_cast<T>(i %% %(m)d) * cells[(i * 7 + %(n)d) %% cells.size()];
        names["n%(n)d"] = from;
    }
};
long use%(n)d(std::size_t size) { Table%(n)d<%(t)s> table(size); table.fill(%(n)d); return table.total(); }
"""
HEAD = "#include <map>\n#include <string>\n#include <vector>\nstruct Base { virtual ~Base() = default; virtual long total() const = 0; };\n"
LINES = 5000


def source():
    """The lines, the same every time."""
    types = ("int", "long", "double", "unsigned", "short")
    text, pieces = HEAD, (LINES - HEAD.count("\n")) // PIECE.count("\n")
    for n in range(pieces):
        text += PIECE % {"n": n, "m": n % 13 + 3, "t": types[n % len(types)]}
    return text + "".join(f"int rest{n}() {{ return {n}; }}\n"
                          for n in range(LINES - text.count("\n")))


def commands(folder):
    """The shell commands that measure; @folder holds elapse and big.cc."""
    return (f"cd {folder} && export TMPDIR={folder} CCACHE_DISABLE=1 LC_ALL=C && "
            f"./elapse compile {TIMES} /usr/bin/g++ -O2 -c big.cc -o big.o && ./elapse shell_loop "
            f"{TIMES} /bin/sh -c '{LOOP}' && "
            "echo version $(/usr/bin/g++ -dumpfullversion)")


def native(place):
    if not os.access("/usr/bin/g++", os.X_OK):
        raise Unmeasured("no /usr/bin/g++ on this machine")
    with tempfile.TemporaryDirectory(dir="/dev/shm"
                                     if os.access("/dev/shm", os.W_OK) else None) as folder:
        shutil.copy(uml.built("bench/elapse"), folder)
        with open(os.path.join(folder, "big.cc"), "w") as out:
            out.write(source())
        return place.native(["sh", "-c", commands(folder)])


def guest(place):
    debian = os.environ.get("DEBIAN_IMAGE", os.path.join(uml.TOP, "build", "debian.img"))
    if not os.path.exists(debian):
        raise Unmeasured("no build/debian.img; `make debian.img` makes it")
    tree = image.Tree()
    tree.add("big.cc", source(), 0o644)
    tree.copy(uml.built("bench/elapse"), "elapse")
    script = f"""
        mkdir -p /debian && mount -t ext4 -o ro /dev/ubda /debian || exit 1
        mount -t tmpfs none /debian/tmp && mount -t proc none /debian/proc && mount --bind /dev /debian/dev || exit 1
        cp /big.cc /elapse /debian/tmp && chroot /debian /bin/sh -c {shlex.quote(commands("/tmp"))}"""
    return place.guest(script, mem="1G", tree=tree, arguments=[f"ubd0rc={debian}"])


def measure(place):
    text = native(place) if place.is_native else guest(place)
    place.notes.append("g++ " + text.rpartition("version ")[2].strip())
    return numbers(text)
