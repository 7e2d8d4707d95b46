# SPDX-License-Identifier: GPL-2.0-or-later
"""The costs of a program in the kernel: bench.c, one static program natively and in the guest."""
import os

import uml
from place import Row, numbers

ROWS = [
    Row("getppid", "getppid", at_most=(18, 38)),
    Row("clock_gettime", "clock_gettime through libc", at_most=(2, 2)),
    Row("pread_1_byte", "pread of 1 byte, cached file", at_most=(11, 22)),
    Row("touch_page", "touching 64 MiB anonymous, a page", at_most=(1.2, 1.5)),
    Row("touch_small_page", "the same without huge pages"),
    Row("fault_file_page", "faulting a mapped file, a page", at_most=(8, 10)),
    Row("fork_exit_wait", "fork, exit, wait", at_most=(3, 4)),
    Row("fork_exec_wait", "fork, exec of a static program, wait", at_most=(1.5, 2)),
    Row("pipe_round_trip", "pipe round trip of two processes", at_most=(8, 6)),
    Row("sysemu", "bare PTRACE_SYSEMU loop"),
]


def measure(place):
    bench, tiny = uml.built("bench/bench"), uml.built("bench/tiny")
    if place.is_native:
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
        return numbers(place.native([bench, tiny, folder])
                       + place.native([uml.built("bench/sysemu")]))
    return numbers(place.guest("/bench /tiny /tmp", mem="512M",
                               files={"bench": bench, "tiny": tiny}))
