#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents tell the truth: their commands run, their links and citations lead somewhere, their tables are those of the code.

Blocks marked `sh` run on the host, a page at a time in a folder of its own that looks like the
repository; those marked `guest` in a guest. `make` is not run again; its targets must exist. A
comment before a block says what it needs. In place of build/debian.img there is a small image that
boots and powers off, so that commands are run as they are shown, but not for minutes.
"""
import concurrent.futures
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import tap
import uml

uml.require()
TOP = uml.TOP
PAGES = ["README.md", "HACKING.md", "SECURITY.md",
         *sorted(os.path.relpath(path, TOP) for path in glob.glob(TOP + "/docs/**/*.md", recursive=True))]
SHORT = {"README.md": 80, "HACKING.md": 80}     # lines
COLUMNS = 100
LINUX_OWN = ("arch/x86", "Documentation/", "build/", "arch/um/configs")
SECONDS = 30

# A root file system that only shows that it was booted.
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox echo the small image has booted
/bin/busybox poweroff -f
"""


def read(path):
    with open(os.path.join(TOP, path)) as source:
        return source.read()


TEXT = {page: read(page) for page in PAGES}


def prose(page):
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", TEXT[page], flags=re.M | re.S)


# ---- the repository's files ----

def repository():
    """Paths of all files but those that were built."""
    found = []
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if name not in (".git", "build", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return sorted(found)


FILES = repository()
BY_NAME = {}
for file in FILES:
    BY_NAME.setdefault(os.path.basename(file), []).append(file)
FOLDERS = {os.path.dirname(path) for path in FILES}
while not all(os.path.dirname(folder) in FOLDERS for folder in FOLDERS):
    FOLDERS |= {os.path.dirname(folder) for folder in FOLDERS}


def exists(name):
    """Whether there is a file of this name, or a path that ends with it."""
    return any(path == name or path.endswith("/" + name) for path in BY_NAME.get(os.path.basename(name), ()))


# ---- links ----

def anchor(heading):
    """What a heading is called in a link."""
    kept = [c for c in heading.strip().lower() if c in "-_ " or unicodedata.category(c)[0] in "LN"]
    return "".join(kept).replace(" ", "-")


def dead_links(page):
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, part = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(TOP, path)):
            dead.append(f"{page}: {target}: no such file")
        elif part and part not in map(anchor, re.findall(r"^#+ (.*)$", read(path), re.M)):
            dead.append(f"{page}: {target}: no such heading")
    return dead


def unreachable():
    """Pages that no link leads to from README."""
    reached, left = set(), ["README.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        left += [os.path.normpath(os.path.join(os.path.dirname(page), target.partition("#")[0]))
                 for target in re.findall(r"\]\(([^)\s#]+\.md)", TEXT.get(page, ""))]
    return sorted(set(PAGES) - reached)


# ---- citations: `file.c`, `file.c:name`, `file.c`: `name`, `arch/um/...` ----

SOURCE = r"[\w-]+(?:\.lds)?\.(?:[chSt]|py|md|list|mk|[1-8])"


def names_nothing(page):
    wrong = []
    text = re.sub(r"\s+", " ", TEXT[page])
    for name in re.findall(rf"`((?:[\w.-]+/)*{SOURCE})(?::\w+)?`", text):
        if not exists(name) and not name.startswith(LINUX_OWN):
            wrong.append(f"{page}: {name}: no such file")
    for path in re.findall(r"`((?:arch|fs|scripts|tests|tools|docs|man)/[\w./-]+)`", text):
        path = path.rstrip("/")
        if path not in FOLDERS and not exists(path) and not path.startswith(LINUX_OWN):
            wrong.append(f"{page}: {path}: no such path")
    # In the call path of a trap and the like, citations stand in a block without backquotes.
    cited = re.findall(rf"`({SOURCE})(?::|`: `)(\w+)", text) + re.findall(rf"\b([\w-]+\.[chS]):(\w+)", text)
    for name, word in set(cited):
        if exists(name) and not any(re.search(rf"\b{word}\b", read(path)) for path in BY_NAME[name]):
            wrong.append(f"{page}: {name}: has no {word}")
    return wrong


def wrong_in_code():
    """What code and tests cite of docs/ and of its guarantees."""
    wrong = []
    guarantees = set(re.findall(r"\bG\d+\b", TEXT["docs/security/model.md"]))
    for path in FILES:
        if not re.search(r"\.([chSt]|py|[1-8]|md)$|akefile$|^scripts/", path):
            continue
        text = re.sub(r"\s+(?:\*|#|//)?\s*", " ", read(path))
        for page, rest in re.findall(r"\b(docs/[\w/-]+\.md)((?:, G\d+[^).:]*)?)", text):
            if page not in PAGES:
                wrong.append(f"{path}: {page}: no such page")
            wrong += [f"{path}: {name}: no such guarantee" for name in re.findall(r"G\d+", rest) if name not in guarantees]
        if re.search(r"HACKING(\.md)?,? section", text) and not path.endswith("docs.t"):
            wrong.append(f"{path}: HACKING has no sections by number")
    return wrong


# ---- options ----

def listed(page):
    """The options of a page: `- `name=...`: meaning`."""
    return {option for line in re.findall(r"^- ((?:`[^`]+`(?:, )?)+):", TEXT[page], re.M)
            for option in re.findall(r"`([^`]+)`", line)}


def offered(text):
    """The options of --help."""
    first = {line[2:24].strip() if line[24:25] == " " else line.strip() for line in re.findall(r"^  \S.*", text, re.M)}
    return first | set(re.findall(r"^ {25}(ubd0=\S+):", text, re.M))


def flags_offered(text):
    said = re.sub(r"\s+", " ", text).partition("Flags: ")[2].partition("ubd0=")[0]
    return set(re.findall(r"(?:^|, )(\w) ", said))


# ---- tables of formats ----

def rows(page, heading):
    """Rows of the table below a heading, as lists of cells."""
    text = TEXT[page].partition("\n" + heading)[2]
    found = []
    for line in text.split("\n")[1:]:
        if line.startswith("#"):
            break
        if re.match(r"\| \d+ ", line):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def number(text):
    """3, or 2 × 16."""
    first, _, second = text.partition("×")
    return int(first) * int(second or 1)


def program(source, *include):
    """What a small C program prints."""
    path = uml.scratch("table")
    with open(path + ".c", "w") as out:
        out.write(source)
    made = subprocess.run(["cc", "-o", path, path + ".c", *("-I" + folder for folder in include)], capture_output=True, text=True)
    if made.returncode:
        return made.stderr
    return subprocess.run([path], capture_output=True, text=True).stdout


def stub_tables():
    """The structures of the stub's pages: each field at its place, none left out."""
    page, header = "docs/reference/stub-pages.md", BY_NAME["seccomp.h"][0]
    checks, wanted = [], []
    for name in ("stub_entries", "stub_orders", "stub_setup", "stub_state"):
        end = 0
        for offset, size, fields, _ in rows(page, f"### `struct {name}`"):
            total, count = number(size), len(fields.split(","))
            if int(offset) != end:
                wanted.append(f"{name}: nothing is said of {end} to {offset}")
            end = int(offset) + total
            for i, field in enumerate(fields.split(", ")):
                checks.append((f"{name}.{field}", int(offset) + i * total // count, total // count, name, field))
        checks.append((f"sizeof {name}", end, 0, name, None))
    source = f'#include <stddef.h>\n#include <stdio.h>\n#include "{os.path.basename(header)}"\nint main(void)\n{{\n'
    for label, offset, size, name, field in checks:
        if field:
            source += f'\tprintf("{label} %zu %zu\\n", offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));\n'
        elif name != "stub_orders":     # its last field shares its place
            source += f'\tprintf("{label} %zu 0\\n", sizeof(struct {name}));\n'
    shown = program(source + "\treturn 0;\n}\n", os.path.join(TOP, os.path.dirname(header)))
    said = [f"{label} {offset} {size}" for label, offset, size, name, field in checks if field or name != "stub_orders"]
    return wanted + [f"page: {line}" for line in said if line not in shown.split("\n")] + \
        ([shown] if len(shown.split("\n")) != len(said) + 1 else [])


def cow_tables():
    """The COW header: version 3 field by field, the others by column."""
    page, source = "docs/reference/cow-format.md", BY_NAME["cow_header.c"][0]
    fields = ("length", "path", "path_size", "mtime", "size", "sector_size", "alignment", "kind")
    code = "".join(f'#include "{os.path.basename(BY_NAME[name][0])}"\n' for name in ("cow_header.c", "printable.c"))
    code += "int main(void)\n{\n"
    for version in ("version_1", "version_2", "version_3", "broken_3"):
        code += '\tprintf("' + version + " %u" * len(fields) + '\\n", ' + ", ".join(f"{version}.{f}" for f in fields) + ");\n"
    shown = program(code + "\treturn 0;\n}\n", *{os.path.join(TOP, os.path.dirname(BY_NAME[name][0])) for name in
                                                 ("cow_header.c", "printable.c")}, os.path.join(TOP, "arch/um/include"))
    names = {"format": "kind", "sector size": "sector_size"}
    three = {names.get(row[2], row[2]): (int(row[0]), number(row[1])) for row in rows(page, "## Header, version 3")}
    end = max(offset + size for offset, size in three.values())
    said = {"version_3": [end, three["path"][0], three["path"][1],
                          *(three[f][0] for f in ("mtime", "size", "sector_size", "alignment", "kind"))]}
    other = TEXT[page].partition("## Other versions")[2].partition("\n## ")[0]
    for column, version in enumerate(("version_1", "version_2", "broken_3"), 1):
        at = {}
        for line in re.findall(r"^\| .* \|$", other, re.M):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            at[cells[0]] = [int(n) for n in re.findall(r"\d+", cells[column])] or [0]
        said[version] = [at["length of header"][0], *at["path (size)"], at["mtime (size)"][0],
                         *(at[f][0] for f in ("size", "sector size", "alignment", "format"))]
    return [f"{source} has {line}, the page {said[line.split()[0]]}" for line in shown.strip().split("\n")
            if line.split() != [line.split()[0], *map(str, said.get(line.split()[0], []))]]


# ---- commands ----

class Block:
    """A block of commands: page, `sh` or `guest`, what it needs, its commands."""

    def __init__(self, page, language, needs, body):
        self.page, self.language, self.needs = page, language, needs
        self.commands = [line for line in body.replace("\\\n", "").split("\n") if line.strip() and not line.startswith("#")]


def blocks(page):
    pattern = r"(?:^<!-- needs: ([\w ,-]+) -->\n)?^```(sh|guest)\n(.*?)^```"
    return [Block(page, language, needs, body) for needs, language, body in re.findall(pattern, TEXT[page], re.M | re.S)]


def make_targets(command):
    """The targets of a make command, variables and options left out."""
    words = shlex.split(command, comments=True)[1:]
    return [word for word in words if "=" not in word and not word.startswith("-")]


def unknown_targets(command):
    known = set()
    for line in re.findall(r"^([\w.$(){} -]+?)::?(?![=:])", read("Makefile"), re.M):
        known |= set(line.split())
    return [target for target in make_targets(command) if target not in known]


def lacking(need):
    """Why this machine has not what a block needs; None: it has."""
    if need == "image" and not shutil.which("mkfs.ext4"):
        return "no mkfs.ext4 on this machine (Debian package e2fsprogs)"
    if need == "root-directory":
        try:
            os.setxattr(uml.scratch("."), "user.test", b"1")
        except OSError as error:
            return f"no user extended attributes in {uml.scratch('.')}: {error.strerror}"
    if need == "qemu-storage-daemon" and not shutil.which(need):
        return "no qemu-storage-daemon on this machine (Debian package qemu-system-common)"
    if need == "kunit":
        return "kunit.t runs it"
    if need == "root" and os.getuid():
        return "not root"
    if need == "network":
        return "tests use no network"
    return None if need in ("image", "root-directory", "qemu-storage-daemon", "root", "") else f"what is {need}?"


def room(page):
    """A folder that looks like the repository to the commands of a page."""
    path = uml.scratch("room-" + page.replace("/", "-"))
    os.makedirs(path + "/build")
    for name in os.listdir(TOP):
        if name not in ("build", "linux", ".git"):
            os.symlink(os.path.join(TOP, name), os.path.join(path, name))
    os.symlink(uml.LINUX, path + "/linux")
    for name in ("initramfs.cpio", "tools", "linux"):
        os.symlink(os.path.join(TOP, "build", name), f"{path}/build/{name}")
    needs = {block.needs for block in blocks(page)}
    if needs & {"image", "root-directory"}:
        tree = image.Tree()
        tree.base("")
        tree.add("sbin/init", INIT)
        if "root-directory" in needs:
            tree.write_directory(path + "/root")
        if "image" in needs and not lacking("image"):
            tree.write_ext4(path + "/build/debian.img", 16)
    return path


def run_command(command, folder):
    """Why it did not work, or None. Output goes to a file: a daemon that it starts may keep it open."""
    environment = dict(uml.clean_environment(), GIT_DIR=os.path.join(TOP, ".git"), LC_ALL="C.UTF-8")
    with open(os.path.join(folder, "output"), "w+", errors="replace") as output:
        try:
            status = subprocess.run(["sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    env=environment, timeout=SECONDS * uml.PATIENCE).returncode
        except subprocess.TimeoutExpired:
            status = "none in time"
        output.seek(0)
        text = output.read()
    problems = [line for line in text.split("\n") if uml.PROBLEM.search(line)]
    return f"status {status}\n{text[-1500:]}" if status or problems else None


def why_skipped(command, need):
    if lacking(need):
        return lacking(need)
    if "tools/" in command and not os.path.exists(os.path.join(TOP, "build/tools/uml_moo")):
        return "the tools are not built"
    if command.startswith("git ") and not os.path.exists(os.path.join(TOP, ".git")):
        return "not a clone of a repository"
    return None


def run_page(page):
    """[(command, why it failed or None, why it was skipped or None)] of the blocks marked sh, which depend on each other."""
    found, folder = [], room(page)
    for block in blocks(page):
        for command in block.commands if block.language == "sh" else ():
            if command.startswith("make"):
                unknown = unknown_targets(command)
                found.append((command, f"no such target: {unknown}" if unknown else None, None))
                continue
            skipped = why_skipped(command, block.needs)
            found.append((command, None if skipped else run_command(command, folder), skipped))
    return found


def run_guest():
    """The blocks marked guest, all in one guest."""
    commands = [command for page in PAGES for block in blocks(page) if block.language == "guest" for command in block.commands]
    commands = list(dict.fromkeys(commands))
    script = "".join(f"{command}\nprintf '\\nCOMMAND-{n} %d\\n' $?\n" for n, command in enumerate(commands))
    result = uml.run(script, mem="128M", timeout=60)
    for n, command in enumerate(commands):
        tap.ok(f"\nCOMMAND-{n} 0\n" in result.console, f"in a guest: {command}", result.tail)
    uml.clean(result)


# ---- what is shown ----

for page, most in SHORT.items():
    lines = len(TEXT[page].splitlines())
    tap.ok(lines <= most, f"{page} has at most {most} lines", f"{lines} lines")
wide = [f"{page}:{n}: {len(line.expandtabs(8))} columns" for page in PAGES for n, line in enumerate(TEXT[page].splitlines(), 1)
        if len(line.expandtabs(8)) > COLUMNS]
tap.ok(not wide, f"no line of a document has more than {COLUMNS} columns", "\n".join(wide))

dead = [line for page in PAGES for line in dead_links(page)]
tap.ok(not dead, "each link leads to a file and a heading", "\n".join(dead))
tap.equal(unreachable(), [], "each page is reached from README")
wrong = [line for page in PAGES for line in names_nothing(page)]
tap.ok(not wrong, "each source file, function and path that is cited exists", "\n".join(wrong))
wrong = wrong_in_code()
tap.ok(not wrong, "pages and guarantees that code and tests cite exist", "\n".join(wrong))
promised = set(re.findall(r"^### (G\d+):|^\| (G\d+) \|", TEXT["docs/security/model.md"], re.M))
promised = {first or second for first, second in promised}
tap.equal(set(re.findall(r"^\| (G\d+) \|", TEXT["docs/security/evidence.md"], re.M)), promised, "each guarantee has a test")

usage = subprocess.run([uml.LINUX, "--help"], capture_output=True, text=True).stdout
tap.equal(sorted(listed("docs/reference/options.md") ^ offered(usage)), [], "the page of options has those of --help, and no others")
tap.equal(set(re.findall(r"^\| `(\w)` \|", TEXT["docs/reference/options.md"], re.M)), flags_offered(usage),
          "and the flags of disks")

if shutil.which("cc"):
    for tables, what in ((stub_tables, "the stub's pages"), (cow_tables, "the COW header")):
        wrong = tables()
        tap.ok(not wrong, f"the tables of {what} are what the code has", "\n".join(wrong))

inline = {command for page in PAGES for command in re.findall(r"`(make [^`]+)`", prose(page).replace("\n", " "))}
unknown = sorted(f"{command}: {unknown_targets(command)}" for command in inline if unknown_targets(command))
tap.ok(not unknown, "each target of make that is named exists", "\n".join(unknown))

run_guest()
with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
    shown = pool.map(run_page, PAGES)
    for page, commands in zip(PAGES, shown):
        for command, failed, skipped in commands:
            sentence = f"{page}: {command.partition('#')[0].strip()}"
            if skipped:
                tap.skip(sentence, skipped)
            else:
                tap.ok(not failed, sentence, failed)
left = uml.orphans(uml.Instance.everyone)
tap.ok(not left, "no host process is left", f"left: {left}")
tap.done()
