#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A module is built against the kernel that was just built, loaded, and unloaded; what one does
wrong is an oops of the process that made it."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import mconsole
import tap
import uml

uml.require()
kernel = os.path.join(uml.TOP, "build", "kernel")
if not os.path.exists(os.path.join(kernel, "vmlinux.symvers")):
    tap.skip_all("build/kernel has no list of symbols")
folder = os.path.join(uml.OBJECTS, "module")
os.makedirs(folder, exist_ok=True)
for name in ("sample.c", "wrong.c"):
    shutil.copy(os.path.join(uml.TOP, "tests", "module", name), folder)
with open(os.path.join(folder, "Kbuild"), "w") as out:
    out.write("obj-m := sample.o wrong.o\n")


def kbuild(*arguments):
    return subprocess.run(["make", "-s", "-C", os.path.join(uml.TOP, "build", "linux"), "ARCH=um",
                           "O=" + kernel, *arguments],
                          capture_output=True, text=True, env=uml.clean_environment())


def stuck():
    """The management console of a guest whose CPU never comes back from the kernel."""
    place = uml.scratch("uml")
    at = os.path.join(place, "stuck", "mconsole")

    def drive(instance):
        instance.expect("^spins", 30)
        client = mconsole.Client(at, 0.3)
        try:
            client.ask("proc uptime")
            tap.diag("a process still runs")
        except TimeoutError:
            pass
        client.close()
        for request in ("version", "log x", "sysrq m", "stop", "go", "sysrq h", "halt"):
            try:
                error = mconsole.ask(at, request, 3)[0]
            except TimeoutError:
                error = "no answer"
            tap.equal(error, 0, f"a guest that hangs in the kernel answers {request}")

    result = uml.run("insmod /wrong.ko; echo spins; echo spin >/proc/wrong", mem="64M",
                     files={"wrong.ko": os.path.join(folder, "wrong.ko")}, drive=drive,
                     arguments=["umid=stuck", f"uml_dir={place}"])
    tap.equal(result.exit, 0, "and halt ends it", result.tail)


# Without the list of other modules' symbols, which only a build of all modules makes, the kernel's
# own are enough.
made = kbuild("modules_prepare")
if made.returncode == 0:
    made = kbuild("M=" + folder, "KBUILD_EXTRA_SYMBOLS=" + os.path.join(kernel, "vmlinux.symvers"),
                  "modules")
if tap.ok(made.returncode == 0, "a module builds", made.stdout[-1500:] + made.stderr[-1500:]):
    result = uml.run("""
        insmod /sample.ko number=2 || exit 1
        grep -q '^sample ' /proc/modules && echo listed
        grep -q 'sample_init\\|on_timer.*\\[sample\\]' /proc/kallsyms && echo in-kallsyms
        [ $(cat /sys/module/sample/parameters/number) = 2 ] && echo parameter
        rmmod sample
        insmod /sample.ko && rmmod sample
        exit 0""", mem="64M", files={"sample.ko": os.path.join(folder, "sample.ko")})
    tap.ok(result.status == 0 and "sample: count 42, words agree" in result.log,
           "it is loaded and runs", result.tail)
    tap.ok(all(word in result.output for word in ("listed", "in-kallsyms", "parameter")),
           "it is listed, with its symbols and parameter", result.tail)
    tap.ok(result.log.count("sample: gone") == 2, "it is unloaded and loaded again", result.tail)
    uml.clean(result)

    # wish, what the log says of it
    MISTAKES = (
        ("a jump to address 0x18", "jump 18", r"Oops: page fault .* ip 0{14}18"),
        ("a jump into guest RAM", "jump 100000400000", r"Oops: page fault .* ip 0000100000400000"),
        ("a jump to a non-canonical address", "jump 8000000000000000",
         r"Oops: general protection fault"),
        ("a jump into data of the image", "jump $(sed -n 's/ [Dd] jiffies_64$//p' /proc/kallsyms)",
         r"Oops: page fault"),
        ("a write to the system call table",
         "write $(sed -n 's/ [rRdD] sys_call_table$//p' /proc/kallsyms)", r"Oops: page fault"),
        ("a write to the kernel's text", "write $(sed -n 's/ T schedule$//p' /proc/kallsyms)",
         r"Oops: page fault"),
        ("a jump into vmalloc space", "jump-vmalloc", r"Oops: page fault"),
        ("a write to a module's text",
         r"write $(sed -n 's/ t take_wish\t.*//p' /proc/kallsyms)", r"Oops: page fault"),
        ("a write to a module's constants",
         r"write $(sed -n 's/ [rd] wrong_ops\t.*//p' /proc/kallsyms)", r"Oops: page fault"),
        ("a jump into a module's data",
         r"jump $(sed -n 's/ [dD] __this_module\t.*//p' /proc/kallsyms)", r"Oops: page fault"),
        ("a stack overflow", "recurse", r"Oops: stack overflow in kernel code"),
        ("BUG()", "bug", r"kernel BUG at .*wrong\.c"),
    )
    for what, wish, said in MISTAKES:
        result = uml.run(f"""
            insmod /wrong.ko || exit 1
            echo 0 >/proc/sys/kernel/kptr_restrict
            (echo "{wish}" >/proc/wrong); echo "killed $?"
            echo still-alive; exit 0""", mem="64M",
                         files={"wrong.ko": os.path.join(folder, "wrong.ko")})
        tap.ok(result.status == 0 and "still-alive" in result.output
               and f"wrong: {wish.split()[0]} done" not in result.log and
               re.search(said, result.log) and "take_wish" in result.log,
               f"{what} is an oops of its process, with a trace", result.tail)
    result = uml.run("insmod /wrong.ko; echo recurse-softirq >/proc/wrong; sleep 100", mem="64M",
                     files={"wrong.ko": os.path.join(folder, "wrong.ko")})
    tap.ok(result.exit == 134 and "Oops: stack overflow of soft interrupts" in result.console
           and "recurse." in result.console,
           "soft interrupts whose stack overflows end in a panic that says so", result.tail)
    result = uml.run("insmod /wrong.ko; echo warn >/proc/wrong; echo goes-on; exit 0", mem="64M",
                     files={"wrong.ko": os.path.join(folder, "wrong.ko")})
    tap.ok("goes-on" in result.output and re.search(r"WARNING: .*wrong\.c", result.log)
           and "wrong: warn done" in result.log,
           "WARN() says where and goes on", result.tail)
    stuck()
tap.done()
