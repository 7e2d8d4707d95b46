#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kunit.py of the prepared tree, as it is: configures with ARCH=um, builds its own kernel,
runs every suite of its default configuration.

The tests that must pass are listed in tests/kunit.list, a line a test: <suite> <test>. One that is
not in the list is told of; KUNIT_LIST=1 writes the list."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
LIST = os.path.join(uml.TOP, "tests", "kunit.list")
tree = os.path.join(uml.TOP, "build", "linux")
out = os.path.join(uml.TOP, "build", "kunit")
os.makedirs(out, exist_ok=True)
run = subprocess.run([sys.executable, "tools/testing/kunit/kunit.py", "run", "--arch", "um",
                      "--build_dir", out,
                      "--jobs", str(os.cpu_count()), "--timeout", "600"], cwd=tree,
                     capture_output=True, text=True,
                     stdin=subprocess.DEVNULL, env=uml.clean_environment())
text = re.sub(r"\x1b\[[\d;]*m", "", run.stdout)
suite, results, passed = None, {}, set()
for line in text.splitlines():
    # "[12:00:00] ==== suite (3 subtests) ====", "[12:00:00] [PASSED] test",
    # "[12:00:00] ====== [PASSED] suite ======"
    line = line.partition("] ")[2]
    begins = re.fullmatch(r"=+ (\S+) \(\d+ subtests?\) =+", line)
    ends = re.fullmatch(r"=+ \[(\w+)\] (\S+) =+", line)
    one = re.fullmatch(r"\[(\w+)\] (.*)", line)
    if begins:
        suite = suite or begins.group(1)
    elif ends:
        results[ends.group(2)] = ends.group(1)
        if ends.group(2) == suite:
            suite = None
    elif one and one.group(1) == "PASSED" and suite:
        passed.add(f"{suite} {one.group(2).strip()}")

summary = re.search(r"Testing complete\. Ran (\d+) tests?: (.*)", text)
tap.ok(summary, "kunit.py run --arch um builds and runs its suites",
       "\n".join((text + run.stderr).splitlines()[-30:]))
if summary:
    tap.diag(summary.group(0))
    if os.environ.get("KUNIT_LIST"):
        with open(LIST, "w") as listed:
            listed.writelines(line + "\n" for line in sorted(passed))
    with open(LIST) as listed:
        wanted = {line.rstrip("\n") for line in listed if line.strip()}
    tap.ok(not wanted - passed, "every test of tests/kunit.list passes",
           lambda: "\n".join(sorted(wanted - passed)))
    for name in sorted(passed - wanted):
        tap.diag(f"new, not in the list: {name}")
    for name, result in results.items():
        if result == "SKIPPED":
            tap.skip(f"kunit suite {name}", "it skips itself")
        else:
            tap.ok(result == "PASSED", f"kunit suite {name} passes")
tap.equal(run.returncode, 0, "kunit.py ends with status 0")
tap.done()
