#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kunit.py of the prepared tree, as it is: configures with ARCH=um, builds, runs every suite of the default kunit config.

It builds a kernel of its own, which takes minutes: only with KUNIT=1.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

if not os.environ.get("KUNIT"):
    tap.skip_all("builds a second kernel; KUNIT=1 runs it")
uml.require()
tree = os.path.join(uml.TOP, "build", "linux")
out = os.path.join(uml.TOP, "build", "kunit")
os.makedirs(out, exist_ok=True)
run = subprocess.run([sys.executable, "tools/testing/kunit/kunit.py", "run", "--arch", "um", "--build_dir", out,
                      "--jobs", str(os.cpu_count()), "--timeout", "300"], cwd=tree, capture_output=True, text=True,
                     stdin=subprocess.DEVNULL, env=uml.clean_environment())
text = re.sub(r"\x1b\[[\d;]*m", "", run.stdout)
summary = re.search(r"Testing complete\. Ran (\d+) tests?: (.*)", text)
passed = re.search(r"passed: (\d+)", summary.group(2)) if summary else None
tap.ok(summary and passed and int(passed.group(1)) > 100, "kunit.py run --arch um builds and runs its suites",
       "\n".join((text + run.stderr).splitlines()[-30:]))
if summary:
    tap.diag(summary.group(0))
    for line in text.splitlines():
        suite = re.search(r"=+ \[(PASSED|FAILED|CRASHED|SKIPPED)\] (\S+) =+", line)
        if suite and suite.group(1) == "SKIPPED":
            tap.skip(f"kunit suite {suite.group(2)}", "it skips itself")
        elif suite:
            tap.ok(suite.group(1) == "PASSED", f"kunit suite {suite.group(2)} passes")
tap.equal(run.returncode, 0, "kunit.py ends with status 0")
tap.done()
