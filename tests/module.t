#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A module is built against the kernel that was just built, loaded, and unloaded."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

uml.require()
kernel = os.path.join(uml.TOP, "build", "kernel")
if not os.path.exists(os.path.join(kernel, "vmlinux.symvers")):
    tap.skip_all("build/kernel has no list of symbols")
folder = os.path.join(uml.OBJECTS, "module")
os.makedirs(folder, exist_ok=True)
shutil.copy(os.path.join(uml.TOP, "tests", "module", "sample.c"), folder)
with open(os.path.join(folder, "Kbuild"), "w") as out:
    out.write("obj-m := sample.o\n")


def kbuild(*arguments):
    return subprocess.run(["make", "-s", "-C", os.path.join(uml.TOP, "build", "linux"), "ARCH=um", "O=" + kernel, *arguments],
                          capture_output=True, text=True, env=uml.clean_environment())


# Without the list of other modules' symbols, which only a build of all modules makes, the kernel's own are enough.
made = kbuild("modules_prepare")
if made.returncode == 0:
    made = kbuild("M=" + folder, "KBUILD_EXTRA_SYMBOLS=" + os.path.join(kernel, "vmlinux.symvers"), "modules")
if tap.ok(made.returncode == 0, "a module builds", made.stdout[-1500:] + made.stderr[-1500:]):
    result = uml.run("""
        insmod /sample.ko number=2 || exit 1
        grep -q '^sample ' /proc/modules && echo listed
        grep -q 'sample_init\\|on_timer.*\\[sample\\]' /proc/kallsyms && echo in-kallsyms
        [ $(cat /sys/module/sample/parameters/number) = 2 ] && echo parameter
        rmmod sample
        insmod /sample.ko && rmmod sample
        exit 0""", mem="64M", files={"sample.ko": os.path.join(folder, "sample.ko")})
    tap.ok(result.status == 0 and "sample: count 42, words agree" in result.log, "it is loaded and runs", result.tail)
    tap.ok(all(word in result.output for word in ("listed", "in-kallsyms", "parameter")),
           "it is listed, with its symbols and parameter", result.tail)
    tap.ok(result.log.count("sample: gone") == 2, "it is unloaded and loaded again", result.tail)
    uml.clean(result)
tap.done()
