#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostfs on a host that lets a process open few files: what a guest does in the ordinary way goes
on, and beyond that is one clear error."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
DEPTH, FILES = 60, 900
top = uml.scratch("tree")
deep = os.path.join(top, *(f"level{level}" for level in range(DEPTH)))
os.makedirs(deep)
for number in range(FILES):
    with open(os.path.join(top, f"file{number}"), "w") as out:
        out.write("x\n")

# hold <n>: has n files open at once, by redirections one in another.
SCRIPT = f"""
    mkdir -p /mnt; mount -t hostfs none /mnt -o {top}
    hold() {{ if [ $1 = 0 ]; then echo deepest; else hold $(($1 - 1)) </mnt/file$1; fi; }}
    echo "found $(find /mnt | wc -l) archived $(tar c -C /mnt . | tar t | wc -l)"
    (ulimit -n 2000; hold $FILES)
    echo "afterwards $(cat /mnt/file1) $(ls /mnt | wc -l)"
    exit 0"""


def with_limit(kind, files):
    return uml.run(SCRIPT.replace("$FILES", str(files)),
                   wrap=["sh", "-c", f'ulimit {kind} 64; exec "$0" "$@"'])


ENTRIES = 1 + DEPTH + FILES
result = with_limit("-n", 200)
tap.ok(f"found {ENTRIES} archived {ENTRIES}" in result.output,
       f"with 64 descriptors in all, find and tar go {DEPTH} directories deep, which they hold open", result.tail)
tap.ok("Too many open files in system" in result.output and "deepest" not in result.output,
       "files beyond that are refused with ENFILE",
       result.tail)
tap.ok("raise its hard limit" in result.log, "and the log says what to do", result.tail)
tap.ok(f"afterwards x {FILES + 1}" in result.output, "the guest goes on, with new processes too",
       result.tail)
uml.clean(result)

result = with_limit("-Sn", FILES - 1)
tap.ok("deepest" in result.output and "raise its" not in result.log,
       f"a soft limit of 64 is raised: {FILES - 1} files are open at once",
       result.tail)
uml.clean(result)
# A file that was not removed after all holds nothing.
for number in range(100):
    os.makedirs(os.path.join(top, f"filled{number}", "inner"))
result = uml.run(f"""
    mkdir -p /mnt; mount -t hostfs none /mnt -o {top}
    hold() {{ if [ $1 = 0 ]; then echo deepest; else hold $(($1 - 1)) </mnt/file$1; fi; }}
    ls -d /mnt/filled*/inner >/dev/null
    rmdir /mnt/filled* 2>&1 | grep -c 'not empty'
    hold 20
    stay() {{
        if [ $1 = 0 ]; then ls -d /mnt/level0/level1/level2/level3; return; fi
        mkdir /mnt/held; cd /mnt/held; rmdir /mnt/held
        (stay $(($1 - 1)))
    }}
    stay 15
    exit 0""", wrap=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'])
tap.ok("100" in result.output.split() and "deepest" in result.output,
       "a hundred directories that were not removed, since they are not empty, hold no descriptor",
       result.tail)
tap.ok("/mnt/level0/level1/level2/level3" in result.output,
       "beside 15 removed ones that are in use others are reached", result.tail)
uml.clean(result)
# A descriptor that is missing for a moment, and something mounted on a directory.
for options in ("", ",map=xattr"):
    result = uml.run(f"""
        mkdir -p /mnt; mount -t hostfs none /mnt -o {top}{options},actimeo=0
        mount -t proc proc /mnt/level0/level1
        hold() {{
            if (: </mnt/file$1) 2>/dev/null; then hold $(($1 + 1)) </mnt/file$1; else cat /mnt/level0/level1/uptime; fi
        }}
        hold 0 2>&1
        [ -e /mnt/level0/level1/version ] && echo STILL-MOUNTED
        exit 0""", wrap=["sh", "-c", 'ulimit -n 64; exec "$0" "$@"'])
    tap.ok("Too many open files in system" in result.output and "STILL-MOUNTED" in result.output,
           f"what is mounted below hostfs{options.replace(',', ' ')} stays so when the host has no "
           "descriptor left", result.tail)
    uml.clean(result)
tap.done()
