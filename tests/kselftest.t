#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel tree's own selftests, run inside the guest; one line each, and a reason for each that
is left out."""
import ctypes
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import kselftest
import tap
import uml
from kselftest import Test, group

NO_HUGETLB = "needs hugetlbfs, which the port does not have"
NO_DEBUG_REGISTERS = "loops for ever in a virtual machine, natively too"
CODE32 = "runs 32-bit code; this is a 64-bit port"
OTHER_CPU = "needs processor features that the host must grant first"
LONG = None if os.environ.get("KSELFTEST_LONG") else "takes minutes; KSELFTEST_LONG=1 runs it"
VM = ("vm_util.c", "thp_settings.c")
# A host's kernel that does not support FSGSBASE, though the processor has it, loads the base that
# it was told of at each switch between threads. Natively the test sees that too, but less often:
# there not every system call is such a switch.
AT_HWCAP2, FSGSBASE = 26, 2
FORGETS_BASES = "" if ctypes.CDLL(None).getauxval(AT_HWCAP2) & FSGSBASE else r"|GS(/BASE|BASE) changed"


def mm(names, **how):
    return [Test("mm", name, sources=(name + ".c", *VM), libs=("-lrt", "-lm"),
                 flags=("-no-pie", "-I{tree}"), **how)
            for name in names.split()]


UFFD = dict(sources=("uffd-unit-tests.c", "uffd-common.c", *VM), flags=("-no-pie", "-I{tree}"))
THUNK = ("-no-pie",)

TESTS = [
    *group("sigaltstack", "sas"),
    # Three describe how Linux 6.13 treats timers whose signals are ignored; this is 6.12. The
    # first is left to chance: whether each of ten threads on one processor runs at one of the
    # first hundred ends of a timer. A busy host takes away so much that it fails.
    Test("timers", "posix_timers", libs=("-lrt",), seconds=90,
         known="check signal distribution|check_sig_ign SIGEV_SIGNAL|check_rearm|check_delete"),
    *group("timers", "nanosleep mqueue-lat", libs=("-lrt", "-lm"), seconds=90),
    *group("timers", "nsleep-lat set-timer-lat", reason=LONG, seconds=200),
    Test("timers", "inconsistency-check", arguments="-c 1 -t 2", libs=("-lrt",)),
    Test("timers", "threadtest", arguments="-n 4 -t 4", libs=("-lrt",)),
    *group("timers", "raw_skew", reason=LONG, libs=("-lrt",), seconds=300),
    *group("timers", "rtcpie", reason="needs a real-time clock with interrupts"),
    *group("timens", "timens timerfd timer clock_nanosleep procfs exec futex vfork_exec",
           libs=("-lrt",)),
    *group("futex/functional",
           "futex_wait_timeout futex_wait_wouldblock futex_requeue_pi "
           "futex_requeue_pi_signal_restart "
           "futex_requeue_pi_mismatched_ops futex_wait_uninitialized_heap "
           "futex_wait_private_mapped_file futex_wait "
           "futex_requeue futex_waitv"),
    *group("clone3", "clone3 clone3_clear_sighand clone3_set_tid", libs=("-lcap",)),
    *group("clone3", "clone3_cap_checkpoint_restore",
           reason="relies on the insides of an older libcap; fails natively too"),
    # The last one knows the exit statuses of bash and dash, not busybox's.
    Test("exec", "execveat", known=r"not ok 51 .*yyy|^2 tests failed|^1 tests failed",
         before="cd /kselftest/exec; ln -sf execveat execveat.symlink; chmod 644 "
                "execveat.denatured; "),
    Test("exec", "non-regular", before="rm -f /bin/true; cp /kselftest/true /bin/true; "),
    *group("exec", "recursion-depth null-argv"),
    *[Test("exec", f"load_address.static.{align}", sources=("load_address.c",), dynamic=True,
           flags=("-fPIE", "-static-pie", f"-Wl,-z,max-page-size={align}"))
      for align in ("0x1000", "0x200000", "0x1000000")],
    *mm("madv_populate map_fixed_noreplace map_populate mdwe_test mkdirty mlock2-tests "
        "mremap_dontunmap "
        "on-fault-limit seal_elf mseal_test soft-dirty droppable"),
    Test("mm", "mremap_test", before="echo 1 >/proc/sys/vm/overcommit_memory; ",
         arguments="; status=$?; echo 0 >/proc/sys/vm/overcommit_memory; exit $status",
         sources=("mremap_test.c", *VM), flags=("-no-pie",), libs=("-lrt",), seconds=120),
    Test("mm", "mrelease_test", sources=("mrelease_test.c", *VM), flags=("-no-pie",),
         libs=("-lrt",)),
    Test("mm", "mlock-random-test", sources=("mlock-random-test.c", *VM), libs=("-lcap",)),
    Test("mm", "memfd_secret", sources=("memfd_secret.c", *VM), libs=("-lcap",)),
    Test("mm", "cow", sources=("cow.c", *VM), flags=("-I{tree}",), seconds=90),
    # It continues with huge pages.
    Test("mm", "pagemap_ioctl", known="Bail out! uffd-test creation failed 38",
         sources=("pagemap_ioctl.c", *VM), flags=("-I{tree}",), libs=("-lm",), seconds=120),
    Test("mm", "uffd-unit-tests", **UFFD, seconds=120),
    Test("mm", "uffd-stress", sources=("uffd-stress.c", "uffd-common.c", *VM), flags=("-no-pie",),
         arguments="anon 20 4",
         seconds=120),
    # In 6.12 it lacks the header of KSFT_SKIP.
    *[Test("mm", f"khugepaged.{kind}", sources=("khugepaged.c", *VM), flags=("-DKSFT_SKIP=4",),
           seconds=90,
           before="dd if=/dev/zero of=/swap bs=1M count=16 2>/dev/null; mkswap /swap >/dev/null; "
                  "swapon /swap; ",
           arguments=f"{kind.replace('.', ':')}; status=$?; swapoff /swap; exit $status")
      for kind in ("khugepaged.anon", "madvise.anon", "madvise.shmem")],
    *group("mm", "khugepaged.khugepaged.shmem",
           reason="expects a large mapping after MADV_NOHUGEPAGE, where Linux 6.12 makes none"),
    Test("mm", "transhuge-stress", sources=("transhuge-stress.c", *VM), arguments="-d 5 256"),
    # Writes 36 MiB byte by byte first.
    Test("mm", "split_huge_page_test", sources=("split_huge_page_test.c", *VM), seconds=300,
         reason=LONG,
         before="mount -t debugfs none /sys/kernel/debug; "),
    *group("mm", "compaction_test hugepage-mmap hugetlb-madvise", reason=NO_HUGETLB),
    *group("mm", "protection_keys pkey_sighandler_tests", reason="needs protection keys"),
    *group("mm", "va_high_addr_switch virtual_address_range",
           reason="needs 5-level page tables or all memory"),
    *group("mincore", "mincore_selftest"),
    *group("membarrier", "membarrier_test_single_thread membarrier_test_multi_thread"),
    Test("memfd", "memfd_test", sources=("memfd_test.c", "common.c"),
         flags=("-D_FILE_OFFSET_BITS=64",)),
    # It recycles a process id by making children until the numbers wrap around.
    Test("pidfd", "pidfd_test", before="echo 2000 >/proc/sys/kernel/pid_max; ",
         arguments="; status=$?; echo 32768 >/proc/sys/kernel/pid_max; exit $status"),
    *group("pidfd", "pidfd_fdinfo_test pidfd_open_test pidfd_poll_test pidfd_wait pidfd_getfd_test "
           "pidfd_setns_test"),
    *group("ptrace", "get_syscall_info peeksiginfo get_set_sud"),
    *group("ptrace", "vmaccess",
           reason="its second half describes a change that Linux never took; fails natively too"),
    Test("rseq", "basic_test", sources=("basic_test.c", "rseq.c"), dynamic=True),
    Test("rseq", "basic_percpu_ops_test", sources=("basic_percpu_ops_test.c", "rseq.c"),
         dynamic=True, seconds=200,
         reason=LONG),
    Test("rseq", "param_test", arguments="-T s -r 20000 -t 4", sources=("param_test.c", "rseq.c"),
         dynamic=True, seconds=120),
    Test("seccomp", "seccomp_bpf", libs=("-lcap",), seconds=120),
    *group("syscall_user_dispatch", "sud_test"),
    *group("kcmp", "kcmp_test"),
    *group("core", "close_range_test unshare_test"),
    *group("proc", "proc-self-map-files-001 proc-self-syscall proc-self-wchan proc-uptime-001"),
    *group("proc", "proc-pid-vm proc-empty-vm",
           reason="unmap up to the last page of x86-64, which is the port's own"),
    *group("size", "get_size", flags=("-ffreestanding", "-nostartfiles")),
    Test("vDSO", "vdso_test_gettimeofday", sources=("parse_vdso.c", "vdso_test_gettimeofday.c")),
    Test("vDSO", "vdso_test_getcpu", sources=("parse_vdso.c", "vdso_test_getcpu.c")),
    Test("vDSO", "vdso_test_abi", sources=("parse_vdso.c", "vdso_test_abi.c")),
    *group("vDSO", "vdso_test_clock_getres"),
    *group("vDSO", "vdso_test_correctness", dynamic=True, libs=("-ldl",)),
    *group("x86", "single_step_syscall syscall_nt sigtrap_loop syscall_arg_fault "
           "sigaltstack syscall_numbering corrupt_xstate_header test_mremap_vdso", flags=THUNK),
    # Its last part makes a segment in a local descriptor table, or with a 32-bit call.
    Test("x86", "fsgsbase", flags=THUNK, known="^Segmentation fault" + FORGETS_BASES),
    # The host's kernel itself answers calls into that page, by the host's clock, milliseconds
    # beside the guest's.
    Test("x86", "test_vsyscall", flags=THUNK,
         known="vsyscall gettimeofday..'s timeval|not ok 7 Wrong values"),
    Test("x86", "check_initial_reg_state", flags=("-no-pie", "-Wl,-ereal_start")),
    Test("x86", "nx_stack", flags=("-no-pie", "-Wl,-z,noexecstack")),
    *group("x86", "fsgsbase_restore", reason="needs a local descriptor table"),
    Test("x86", "sysret_rip", sources=("sysret_rip.c", "clang_helpers_64.S"), flags=THUNK,
         # the last pages are the port's own
         known="mremap to 0x7fffffff.000: Invalid argument"),
    *group("x86", "sigreturn sysret_ss_attrs ldt_gdt ptrace_syscall entry_from_vm86 unwind_vdso",
           reason=CODE32),
    *group("x86", "mov_ss_trap", reason=NO_DEBUG_REGISTERS),
    *group("x86", "iopl ioperm", reason="a guest has no ports"),
    *group("x86", "amx lam test_shadow_stack", reason=OTHER_CPU),
]


def tree_of(tests):
    tree = image.Tree()
    for test in tests:
        add = tree.copy_program if test.dynamic else tree.copy
        add(test.path, test.guest_path())
    tree.copy(uml.built("bench/tiny"), "kselftest/true")
    tree.add("kselftest/exec/Makefile", "", 0o644)
    if any(test.name == "execveat" for test in tests):
        tree.add("kselftest/exec/script", "#!/bin/sh\nexit $*\n")
        tree.add("bin/bash", "#!/bin/sh\nexec /bin/busybox sh \"$@\"\n")
        tree.copy(kselftest.OUT + "/exec/execveat", "kselftest/exec/execveat.denatured")
        tree.directory("kselftest/exec/subdir")
    return tree


def telling(output):
    """The lines that say what went wrong."""
    return [line for line in output
            if re.search(r"not ok|Bail out|Segmentation|FAIL|fail|[eE]rror|Invalid argument", line)]


def failures_in(lines):
    return [line for line in lines
            if re.search(r"^not ok|^\[FAIL|^Bail out|^Segmentation fault|Invalid argument", line)]


def fails_natively(test, failures):
    """Whether the processor, or the virtual machine that this host is, fails a test of processor
    features in all the ways of @failures."""
    if test.folder != "x86":
        return False
    ran = subprocess.run(["timeout", "60", test.path, *test.arguments.split()],
                         cwd=os.path.dirname(test.path), capture_output=True,
                         text=True, errors="replace")
    native = {re.sub(r"0x[0-9a-f]+|\d+", "N", line)
              for line in failures_in(ran.stdout.splitlines() + ran.stderr.splitlines())}
    return ran.returncode != 0 and {re.sub(r"0x[0-9a-f]+|\d+", "N", line)
                                    for line in failures} <= native


def main():
    uml.require()
    uml.build()
    chosen = [test for test in TESTS if re.search(os.environ.get("KSELFTEST", ""), test.title)]
    kselftest.build_all(chosen)
    runnable = [test for test in chosen if not test.reason and not test.error]
    programs = {test: uml.Program(test.title, test.command(), test.seconds) for test in runnable}
    results = uml.run_programs(list(programs.values()), tree_maker=lambda: tree_of(runnable),
                               mem="1536M", disk=400)
    for test in chosen:
        if test.reason:
            tap.skip(f"kselftest {test.title}", test.reason)
        elif test.error:
            tap.ok(False, f"kselftest {test.title} builds", test.error)
        elif programs[test].status == 4:
            why = re.findall(r"SKIP:?\s*(.*)", programs[test].output, re.I)
            tap.skip(f"kselftest {test.title}",
                     why[-1] if why else "it says that it cannot run here")
        else:
            output = programs[test].output.splitlines()
            told = telling(output)
            failures = failures_in(told)
            known = test.known and failures and all(re.search(test.known, line)
                                                    for line in failures)
            passed = programs[test].status == 0 or (known and programs[test].status in (1, 139))
            if not passed and fails_natively(test, failures):
                tap.skip(f"kselftest {test.title}",
                         "fails on this machine outside of the guest too: "
                         + (failures or ["no reason given"])[0])
                continue
            tap.ok(passed, f"kselftest {test.title}",
                   "\n".join([f"status {programs[test].status}", *(told[:12] or output[-12:])]))
    slow = sorted(programs.values(), key=lambda program: -program.took)[:8]
    tap.diag("longest: " + ", ".join(f"{program.name} {program.took:.0f} s" for program in slow))
    uml.clean(results)
    tap.done()


main()
