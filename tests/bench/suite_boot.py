# SPDX-License-Identifier: GPL-2.0-or-later
"""From exec of the kernel until its init has printed a line: the smallest configuration of ours,
the peer's as it is."""
import os
import statistics
import time

import image
import uml
from place import Row, Unmeasured

ROWS = [Row("boot_to_init", "boot of the tiny configuration to init", "ms", at_most=(60, 80),
            absolute=True)]
TIMES = 5
INIT = "#!/bin/busybox sh\n/bin/busybox echo BENCH-INIT >/dev/console\n/bin/busybox poweroff -f\n"


def archive():
    path = uml.scratch("boot.cpio")
    if not os.path.exists(path):
        tree = image.Tree()
        tree.add("init", INIT)
        tree.copy(image.busybox(), "bin/busybox")
        tree.directory("dev")
        tree.write_cpio(path)
    return path


def tiny_of(kernel):
    tiny = os.environ.get("BENCH_TINY", os.path.join(uml.TOP, "build", "linux-tiny"))
    return tiny if kernel == uml.LINUX and os.access(tiny, os.X_OK) else kernel


def measure(place):
    if place.is_native:
        return {}
    took = []
    for _ in range(TIMES):
        start = time.monotonic()
        instance = uml.Instance(["mem=64M", "initrd=" + archive(), "rdinit=/init", "quiet",
                                 *place.arguments],
                                linux=tiny_of(place.kernel), wrap=place.wrap)
        found = instance.expect("BENCH-INIT", 30)
        took.append((time.monotonic() - start) * 1000)
        instance.wait(20)
        instance.close()
        if not found:
            raise Unmeasured("it did not reach init: "
                             + " | ".join(instance.text.splitlines()[-3:]))
    return {"boot_to_init": statistics.median(took)}
