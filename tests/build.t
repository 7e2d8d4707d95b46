#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The build's first step: any Linux 6.12, a tree or a tarball, is taken without its own port and
with ours; anything else is one clear line. Kconfig offers only what can work, and the
configurators open in a terminal."""
import fcntl
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

folder = tempfile.TemporaryDirectory(prefix="uml-test-")
PREPARED = os.path.join(folder.name, "prepared")


def path(*names):
    return os.path.join(folder.name, *names)


def write(name, text=""):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with open(path(name), "w") as out:
        out.write(text)


def source(name, minor, patch):
    """Something with the outline of a Linux tree: @name, and @name.tar.xz."""
    write(f"{name}/Makefile",
          f"# SPDX\nVERSION = 6\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\nEXTRAVERSION =\n")
    for theirs in ("arch/um/Makefile", "arch/um/kernel/theirs.c", "arch/x86/um/theirs.c",
                   "fs/hostfs/theirs.c", "init/main.c", "include/config/left.h"):
        write(f"{name}/{theirs}", name)
    subprocess.run(["tar", "-C", folder.name, "-cJf", path(name + ".tar.xz"), name], check=True)


def prepare(ksrc):
    return subprocess.run([os.path.join(uml.TOP, "scripts", "prepare-tree"), PREPARED],
                          env={**os.environ, "KSRC": ksrc}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def refuses(ksrc, about):
    run = prepare(ksrc)
    lines = run.stderr.splitlines()
    tap.ok(run.returncode == 1 and len(lines) == 1 and about in lines[0] and ksrc in lines[0],
           f"KSRC={os.path.basename(ksrc)} is refused in one line that says: {about}",
           f"status {run.returncode}\n{run.stderr}")


source("first", 12, 7)
source("second", 12, 8)
source("older", 6, 1)
write("text", "no Linux\n")
os.mkdir(path("empty"))
refuses(path("nowhere"), "not found")
refuses(path("empty"), "no Linux")
refuses(path("text"), "cannot be unpacked")
refuses(path("older"), "6.6.1")
refuses(path("older.tar.xz"), "6.6.1")
tap.ok(not os.path.exists(PREPARED) and not os.path.exists(PREPARED + ".new"),
       "and nothing is left of it")

for ksrc in ("first", "second.tar.xz"):
    run = prepare(path(ksrc))
    name = ksrc.split(".")[0]
    main = os.path.join(PREPARED, "init/main.c")
    tap.ok(run.returncode == 0 and open(main).read() == name, f"KSRC={ksrc} is unpacked",
           run.stderr)
    tap.equal(os.path.realpath(os.path.join(PREPARED, "arch/um")),
              os.path.join(os.path.realpath(uml.TOP), "arch/um"), "arch/um in it is ours")
    theirs = [where for where in ("arch/um/kernel/theirs.c", "arch/x86/um/theirs.c",
                                  "fs/hostfs/theirs.c", "include/config/left.h")
              if os.path.exists(os.path.join(PREPARED, where))]
    tap.ok(not theirs, "nothing of Linux's own port or of an earlier build is in it", theirs)
    write("prepared/init/mark")
    prepare(path(ksrc))
    tap.ok(os.path.exists(path("prepared/init/mark")), "and a second time it is left alone")
refuses(path("text"), "cannot be unpacked")
tap.ok(os.path.exists(path("prepared/init/mark")), "and what was there stays")

# The stub programs with the other compiler: ld.lld is stricter about linker scripts than GNU ld.
STUB = os.path.join(uml.TOP, "arch", "um", "stub")


def clang(kind, source, result):
    subprocess.run(["clang", "-m64", "-std=gnu11", "-O2", "-ffreestanding", "-fpie",
                    "-mgeneral-regs-only", "-fno-stack-protector",
                    "-fno-asynchronous-unwind-tables", "-I" + folder.name,
                    "-idirafter", os.path.join(uml.TOP, "arch", "um", "include"),
                    kind, os.path.join(STUB, source), "-o", result], check=True)


def make_offsets():
    """stub_offsets.h, as Kbuild makes it: of the lines with an arrow."""
    clang("-S", "stub_offsets.c", path("stub_offsets.s"))
    with open(path("stub_offsets.s")) as file:
        said = re.findall(r'\.ascii\s+"->(\S+) [$#]*(\d+)', file.read())
    write("stub_offsets.h", "".join(f"#define {name} {value}\n" for name, value in said))


def links_with_lld(program, *sources):
    objects = [path(source + ".o") for source in sources]
    for source, result in zip(sources, objects):
        clang("-c", source, result)
    link = subprocess.run(["ld.lld", "-m", "elf_x86_64", "-static", "-z", "noexecstack",
                           "-z", "max-page-size=4096", "--build-id=none",
                           "-T", os.path.join(STUB, program + ".lds"), "-o", path(program),
                           *objects], capture_output=True, text=True)
    tap.ok(link.returncode == 0 and not link.stderr,
           f"clang and ld.lld make the stub program {program} and complain of nothing", link.stderr)


if shutil.which("clang") and shutil.which("ld.lld"):
    make_offsets()
    links_with_lld("ptrace", "ptrace.S")
    links_with_lld("seccomp", "seccomp.S", "seccomp_start.c")
else:
    tap.skip("clang and ld.lld make the stub programs", "there is no clang or ld.lld")

# The programs outside of the kernel, with a pretended compiler.
COMPILER = r"""#!/bin/sh
case "$*" in *--version) cat "$0.version"; exit ;; esac
echo "$*" >>"$0.calls"
while [ $# != 0 ]; do
	[ "$1" != -o ] || touch "$2"
	shift
done
"""


def compiler(name):
    write(name, COMPILER)
    write(name + ".version", "version 1\n")
    os.chmod(path(name), 0o755)
    return path(name)


def compiles(variable, command, *arguments):
    """How often the compiler is called by make."""
    write(os.path.basename(command) + ".calls")
    run = subprocess.run(["make", "-s", f"{variable}={command}", *arguments],
                         capture_output=True, text=True, env=uml.clean_environment())
    with open(command + ".calls") as calls:
        return run.stderr or len(calls.readlines())


def follows_compiler(folder, variable, *targets):
    arguments = ["-C", os.path.join(uml.TOP, folder), "OUT=" + path("out", folder), *targets]
    first, second = compiler("one-cc"), compiler("other-cc")
    seen = [compiles(variable, first, *arguments), compiles(variable, first, *arguments),
            compiles(variable, second, *arguments)]
    write("other-cc.version", "version 2\n")
    seen += [compiles(variable, second, *arguments), compiles(variable, second, *arguments)]
    tap.ok(isinstance(seen[0], int) and seen[0] > 0 and seen == [seen[0], 0, seen[0], seen[0], 0],
           f"{folder} is built again when the compiler changes, and only then", str(seen))


for makefile in sorted(glob.glob(os.path.join(uml.TOP, "tools/*/Makefile"))):
    follows_compiler(os.path.relpath(os.path.dirname(makefile), uml.TOP), "HOSTCC")
follows_compiler("tests", "CC", path("out", "tests", "guest/regs"),
                 path("out", "tests", "unit/disk"))

# Of all that Kconfig offers at once.
TREE = os.path.join(uml.TOP, "build", "linux")
NEVER = {"PREEMPT", "PREEMPT_RT", "PREEMPT_DYNAMIC", "SMP", "NUMA", "HUGETLBFS", "KASAN", "KCSAN",
         "KFENCE", "KPROBES", "KEXEC", "HIBERNATION", "SUSPEND", "HAS_IOPORT", "ISA", "ACPI", "EFI"}


def settings_of(target):
    """The symbols that a configuration sets, and those that it offers and does not."""
    out = path(target)
    run = subprocess.run(["make", "-s", "-C", TREE, "ARCH=um", f"O={out}", target],
                         capture_output=True, text=True, stdin=subprocess.DEVNULL,
                         env=uml.clean_environment())
    tap.ok(run.returncode == 0 and "warning" not in run.stderr, f"{target} is a configuration",
           run.stderr)
    with open(os.path.join(out, ".config")) as config:
        text = config.read()
    return (set(re.findall(r"^CONFIG_(\w+)=", text, re.M)),
            set(re.findall(r"^# CONFIG_(\w+) is not set$", text, re.M)))


if not os.path.exists(os.path.join(TREE, "Kconfig")):
    tap.skip("Kconfig offers what can be built", "build/linux is not there")
else:
    (everything, offered), (nothing, _) = settings_of("allyesconfig"), settings_of("allnoconfig")
    # Of a choice, allyesconfig has the default only.
    tap.ok(not (everything | offered) & NEVER, "Kconfig does not offer what cannot work here",
           lambda: sorted((everything | offered) & NEVER))
    tap.ok("VT" in everything and "UML_CONSOLE" not in everything,
           "nor two consoles whose devices have the same numbers")
    tap.ok({"UML_PCI", "HAS_IOMEM", "HAS_DMA"} <= everything
           and not {"UML_PCI", "HAS_IOMEM", "HAS_DMA"} & nothing,
           "I/O memory and DMA are there where a PCI bus is, and only there")

# The real tree's configurators: opened and left again, which changes nothing.
CONFIG = os.path.join(uml.TOP, "build", "kernel", ".config")
LEAVE = {"menuconfig": "\x1b\x1b", "nconfig": "\x1b[20~"}     # two escapes; F9


def configures(target):
    with open(CONFIG) as source:
        before = source.read()
    make = f'exec make -s -C "{uml.TOP}" {target}'
    session = uml.Instance([], terminal=True, wrap=["sh", "-c", make],
                           env=dict(uml.clean_environment(), TERM="xterm"))
    fcntl.ioctl(session.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    opened = session.expect("Linux/um 6[.]12.*Configuration", 120)
    tap.ok(opened, f"make {target} opens in a terminal", lambda: session.text[-1000:])
    session.type(LEAVE[target])
    tap.equal(session.wait(20) if opened else None, 0, "and is left with status 0",
              lambda: session.text[-1000:])
    session.close()
    with open(CONFIG) as source:
        tap.ok(source.read() == before, "and has changed nothing")


if not os.path.exists(CONFIG):
    tap.skip("make menuconfig and nconfig open in a terminal", "build/kernel is not configured")
else:
    # News of Kconfig since the last build come in now, not with the first of them.
    subprocess.run(["make", "-s", "-C", uml.TOP, "configured"], env=uml.clean_environment())
    for configurator in LEAVE:
        configures(configurator)
tap.done()
