#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of style and of rooms hold, and check-style and check-rooms find what breaks them."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
import tap


def run(*command):
    """The exit status and the output of a check."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=120, stdin=subprocess.DEVNULL)
    return ended.returncode, ended.stdout


def write(top, path, text):
    os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
    with open(os.path.join(top, path), "w") as file:
        file.write(text)


def read(top, path):
    with open(os.path.join(top, path)) as file:
        return file.read()


class Repository:
    """A small repository with its own copy of check-style."""

    def __init__(self, top):
        self.top = top
        for name in ("check-style", "style-words"):
            write(top, "scripts/" + name, read(TOP, "scripts/" + name))
        os.chmod(top + "/scripts/check-style", 0o755)
        subprocess.run(["git", "init", "-q", top], check=True)

    def write(self, path, text):
        write(self.top, path, text)
        subprocess.run(["git", "-C", self.top, "add", path], check=True)

    def check(self, *arguments):
        return run(self.top + "/scripts/check-style", *arguments)


# Each kind of finding: file, its text, the line of the finding, a part of the message.
STYLE = (
    ("a line of more than 100 columns", "a.c", "int a;\n\t" + "b + " * 24 + "c;\n", 2, "wide"),
    ("a sentence of 36 words in a comment of several lines", "a.c",
     "/*\n * Short.\n * Word\n * " + "word\n * " * 34 + "word.\n */\n", 3, "sentence"),
    ("a sentence of 36 words in a docstring", "a.py",
     'def f():\n    """' + "word\n    " * 36 + '"""\n', 2, "sentence"),
    ("a sentence of 36 words in a document", "a.md", "# Head\n\n" + "word\n" * 36, 3, "sentence"),
    ("a sentence of 36 words in a man page", "a.1", ".SH A\n" + ".B word\nword\n" * 18, 2,
     "sentence"),
    ("a word to be avoided, over the end of a line", "a.h", "// It is of\n// no use.\n", 1,
     "useless"),
    ("a word to be avoided in a shell script", "a", "#!/bin/sh\ntrue # begins anew\n", 2, "again"),
    ("a word to be avoided in a help text", "Kconfig", "config A\n\thelp\n\t  Begins anew.\n", 3,
     "again"),
    ('a sentence that begins with "What"', "a.S", "/* What is held back goes. */\n", 1, "What"),
    ("an issue's number in a test", "tests/a.t", "#!/bin/sh\n# see iss" + "ue 12\n", 2, "issue"),
    ("an error's number in a message of the kernel side", "arch/um/kernel/a.c",
     'int a;\npr_err("no disk: error %d\\n", error);\n', 2, "errno"),
)

# Not to be found: the same things where they are right.
RIGHT = {
    "a.c": 'char *a = "begins anew";\t/* "anew" and `anew`: a quotation. */\n'
           '/* What is it? */\n/* What it is */\n'
           "/* " + "word\n * " * 20 + "word. " + "Word\n * " * 20 + "word. */\n",
    "b.md": "word\n" * 30 + "word. `code`\n" + "word\n" * 30 + "word. file.c\n" + "word\n" * 30,
    "long.md": "http://" + "x" * 120 + "\n\n```\nbegins anew\n```\n",
    "arch/um/os-Linux/a.c": 'printf("error %d", status);\n',
}


def check_kinds(top):
    for number, (what, path, text, line, part) in enumerate(STYLE):
        repository = Repository(f"{top}/style{number}")
        repository.write(path, text)
        status, output = repository.check()
        lines = output.splitlines()
        found = len(lines) == 1 and lines[0].startswith(f"{path}:{line}: ") and part in lines[0]
        tap.ok(status == 1 and found, f"check-style finds {what}", output)
    repository = Repository(top + "/right")
    for path, text in RIGHT.items():
        repository.write(path, text)
    tap.equal(repository.check(), (0, ""), "check-style passes quotations and questions")


def check_debt(top):
    repository = Repository(top + "/debt")
    wide = "f(a" + ", a" * 60 + ");\n"
    repository.write("scripts/style-debt", "a/old.c wide=2\n")
    repository.write("a/old.c", wide * 2)
    tap.equal(repository.check(), (0, ""), "a file may have as many findings as style-debt says")
    repository.write("a/old.c", wide * 3)
    status, output = repository.check()
    tap.ok(status == 1 and "3 of these, and 2 are allowed" in output, "and not one more", output)
    status, _ = repository.check("--update")
    tap.ok(status == 1 and "wide=2" in read(repository.top, "scripts/style-debt"),
           "check-style --update does not raise the number")
    repository.write("a/old.c", wide)
    status, output = repository.check()
    tap.ok(status == 0 and "--update" in output, "with fewer it says how to lower the number",
           output)
    os.rename(repository.top + "/a", repository.top + "/b")
    subprocess.run(["git", "-C", repository.top, "add", "-A", "a", "b"], check=True)
    status, output = repository.check()
    tap.ok(status == 1 and "a/old.c is gone" in output, "a listed file that is gone is a finding",
           output)
    status, _ = repository.check("--update")
    debt = read(repository.top, "scripts/style-debt")
    tap.ok(status == 0 and debt.endswith("\nb/old.c wide=1\n"),
           "check-style --update lowers the number and follows the file to its new folder", debt)


# Each rule of rooms: file to change, what is put before its text, a part of the message.
ROOMS = (
    ("a header of libc on the kernel side", "arch/um/kernel/trap.c", "#include <stdio.h>\n",
     "trap.c:1: side: "),
    ("a header of Linux on the host side", "arch/um/os-Linux/main.c", "#include <linux/sched.h>\n",
     "main.c:1: side: "),
    ("a header of the host side on the kernel side", "arch/um/kernel/trap.c",
     '#include "../os-Linux/os.h"\n', "trap.c:1: side: "),
    ("a header of the kernel side on the host side", "arch/um/os-Linux/main.c",
     '#include "../kernel/kernel.h"\n', "main.c:1: side: "),
    ("a header of libc in the contract", "arch/um/include/host/vcpu.h", "#include <stdint.h>\n",
     "vcpu.h:1: side: "),
    ("libc in the stub", "arch/um/stub/seccomp_start.c", "#include <string.h>\n",
     "seccomp_start.c:1: side: "),
    ("a header that the build makes, outside of its folder", "arch/um/os-Linux/main.c",
     '#include "stub_offsets.h"\n', "main.c:1: family: "),
    ("a folder's own header in another one", "fs/hostfs/inode.c",
     '#include "../../arch/um/kernel/kernel.h"\n', "inode.c:1: family: "),
    ("a header of a folder that it has no business in", "tools/uml_mkcow/uml_mkcow.c",
     '#include "../../arch/um/stub/call.h"\n', "uml_mkcow.c:1: family: "),
    ("a header that a folder does not open to others", "arch/um/os-Linux/clock.c",
     '#include "engine/seccomp_filter.h"\n', "clock.c:1: family: "),
    ("the contract of another family", "fs/hostfs/inode.c", "#include <host/disk.h>\n",
     "inode.c:1: family: "),
    ("a header that is in another folder than it says", "arch/um/os-Linux/main.c",
     '#include "engine/os.h"\n', "main.c:1: family: "),
    ("a part of the contract that is gone", "arch/um/kernel/trap.c", "#include <host/gone.h>\n",
     "trap.c:1: family: "),
    ("a processor's header in arch/um/kernel", "arch/um/kernel/trap.c", "#include <asm/xstate.h>\n",
     "trap.c:1: machine: "),
    ("arch/um/kernel's header in the processor's folder", "arch/um/x86_64/tsc.c",
     '#include "../kernel/kernel.h"\n', "tsc.c:1: machine: "),
    ("a base name that is there already", "arch/um/os-Linux/trap.c", "\n", "trap.c:1: name: "),
    ("a circle of headers", "arch/um/include/asm/page.h", "#include <asm/pgtable.h>\n",
     ": circle: "),
    ("a folder that no table has", "arch/um/kernel/more/new.c", "\n", "new.c:1: room: "),
)


def check_rooms(top):
    copy = top + "/rooms"
    for folder in ("arch/um", "fs/hostfs", "tools"):
        shutil.copytree(f"{TOP}/{folder}", f"{copy}/{folder}", symlinks=True)
    for what, path, text, part in ROOMS:
        before = read(copy, path) if os.path.exists(f"{copy}/{path}") else None
        write(copy, path, text + (before or ""))
        status, output = run(TOP + "/scripts/check-rooms", copy)
        lines = output.splitlines()
        found = len(lines) == 1 and part in lines[0]
        tap.ok(status == 1 and found, f"check-rooms finds {what}", output)
        if before is None:
            os.remove(f"{copy}/{path}")
        else:
            write(copy, path, before)
    os.rename(f"{copy}/tools/lib/json.h", f"{copy}/tools/lib/new_json.h")
    status, output = run(TOP + "/scripts/check-rooms", copy)
    tap.ok(status == 1 and "OPEN has json.h of tools/lib" in output
           and re.search('tools/uml_moo/info.c:[0-9]+: family: "json.h"', output),
           "check-rooms finds that a header is gone, from its table and from who includes it",
           output)
    os.rename(f"{copy}/tools/lib/new_json.h", f"{copy}/tools/lib/json.h")
    # As Kbuild notes what was read.
    write(copy, "out/arch/um/os-Linux/.main.host.o.cmd",
          f"source_main.host.o := {copy}/arch/um/os-Linux/main.c\n\ndeps_main.host.o := \\\n"
          f"  /usr/include/stdio.h \\\n  {copy}/arch/um/include/host/vcpu.h \\\n"
          f"  {copy}/build/linux/include/linux/types.h \\\n")
    status, output = run(TOP + "/scripts/check-rooms", copy, copy + "/out")
    tap.ok(status == 1 and len(output.splitlines()) == 1 and "linux/types.h" in output,
           "check-rooms finds a header of Linux that the host side was compiled with", output)


def main():
    sentence = "lines, sentences and words are as scripts/check-style wants them, or old"
    if subprocess.run(["git", "-C", TOP, "rev-parse"], capture_output=True).returncode:
        tap.skip(sentence, "this is no git checkout")
    else:
        status, output = run(TOP + "/scripts/check-style")
        tap.ok(status == 0, sentence, output)
    objects = TOP + "/build/kernel"
    # The folder may have been built by another path of this checkout.
    here = os.path.realpath(objects + "/source") == os.path.realpath(TOP + "/build/linux")
    built = [TOP, objects] if here and os.path.exists(objects + "/vmlinux") else []
    status, output = run(TOP + "/scripts/check-rooms", *built)
    tap.ok(status == 0, "every source file is in its room, on its side and in its family", output)
    with tempfile.TemporaryDirectory() as top:
        check_kinds(top)
        check_debt(top)
        check_rooms(top)
    tap.done()


main()
