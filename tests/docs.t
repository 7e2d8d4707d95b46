#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents tell the truth: commands run, links and citations resolve, tables match the code.

Blocks marked `sh` run on the host. Each page has a private folder that looks like the repository.
Blocks marked `guest` run in a guest. `make` is not run again; its targets must exist. A comment
before a block says what it needs. A small image that boots and powers off stands in for
build/debian.img, so that commands are run as they are shown, but not for minutes.
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
PAGES = ["README.md", "HACKING.md", "SECURITY.md", "tests/README.md",
         *sorted(os.path.relpath(path, TOP)
                 for path in glob.glob(TOP + "/docs/**/*.md", recursive=True))]
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
    paths = BY_NAME.get(os.path.basename(name), ())
    return any(("/" + path).endswith("/" + name) for path in paths)


# ---- links ----

def anchor(heading):
    """The name of a heading in a link."""
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
    cited = re.findall(rf"`({SOURCE})(?::|`: `)(\w+)", text)
    cited += re.findall(r"\b([\w-]+\.[chS]):(\w+)", text)
    for name, word in set(cited):
        texts = map(read, BY_NAME.get(name, ()))
        if exists(name) and not any(re.search(rf"\b{word}\b", text) for text in texts):
            wrong.append(f"{page}: {name}: has no {word}")
    return wrong


def wrong_in_code():
    """Pages and guarantees that code and tests cite, and that do not exist."""
    wrong = []
    guarantees = set(re.findall(r"\bG\d+\b", TEXT["docs/security/model.md"]))
    for path in FILES:
        if not re.search(r"\.([chSt]|py|[1-8]|md)$|akefile$|^scripts/", path):
            continue
        text = re.sub(r"\s+(?:\*|#|//)?\s*", " ", read(path))
        for page, rest in re.findall(r"\b(docs/[\w/-]+\.md)((?:, G\d+[^).:]*)?)", text):
            if page not in PAGES:
                wrong.append(f"{path}: {page}: no such page")
            wrong += [f"{path}: {name}: no such guarantee"
                      for name in re.findall(r"G\d+", rest) if name not in guarantees]
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
    lines = re.findall(r"^  \S.*", text, re.M)
    first = {line[2:24].strip() if line[24:25] == " " else line.strip() for line in lines}
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


def folder_of(name):
    """The folder of the source file with this base name."""
    return os.path.join(TOP, os.path.dirname(BY_NAME[name][0]))


def program(headers, statements, *folders):
    """The output of a small C program, by lines; what the compiler says if it does not compile."""
    path = uml.scratch("table")
    with open(path + ".c", "w") as out:
        out.write("".join(f"#include {header}\n" for header in headers))
        out.write("int main(void)\n{\n" + "".join(f"\t{line};\n" for line in statements) + "}\n")
    made = subprocess.run(["cc", "-o", path, path + ".c", *("-I" + folder for folder in folders)],
                          capture_output=True, text=True)
    if made.returncode:
        return made.stderr.splitlines()
    return subprocess.run([path], capture_output=True, text=True).stdout.splitlines()


def stub_fields(name):
    """[(field, offset, size)] of a structure, as the page has it; the end; gaps between fields."""
    fields, gaps, end = [], [], 0
    for offset, size, names, _ in rows("docs/reference/stub-pages.md", f"### `struct {name}`"):
        names = names.split(", ")
        each = number(size) // len(names)
        if int(offset) != end:
            gaps.append(f"{name}: nothing is said of {end} to {offset}")
        end = int(offset) + number(size)
        fields += [(field, int(offset) + i * each, each) for i, field in enumerate(names)]
    return fields, end, gaps


def stub_tables():
    """The structures of the stub's pages: each field at its place, none left out."""
    said, statements, wrong = [], [], []
    for name in ("stub_entries", "stub_control", "stub_setup", "stub_state"):
        fields, end, gaps = stub_fields(name)
        wrong += gaps
        for field, offset, size in fields:
            said.append(f"{name}.{field} {offset} {size}")
            statements.append(f'printf("{name}.{field} %zu %zu\\n", '
                              f'offsetof(struct {name}, {field}), '
                              f'sizeof(((struct {name} *)0)->{field}))')
        if name != "stub_control":       # the last field of that one shares its place
            said.append(f"{name} {end}")
            statements.append(f'printf("{name} %zu\\n", sizeof(struct {name}))')
    headers = ["<stddef.h>", "<stdio.h>", '"seccomp.h"']
    shown = program(headers, statements, folder_of("seccomp.h"))
    return wrong + [f"page: {line}" for line in said if line not in shown] + \
        [f"code: {line}" for line in shown if line not in said]


COW_FIELDS = ("length", "path", "path_size", "mtime", "size", "sector_size", "alignment", "kind")


def cow_said(page):
    """{version: [COW_FIELDS]} as the page has it."""
    names = {"format": "kind", "sector size": "sector_size"}
    at = {names.get(name, name): (int(offset), number(size))
          for offset, size, name, _ in rows(page, "## Header, version 3")}
    end = max(offset + size for offset, size in at.values())
    said = {"version_3": [end, *at["path"], *(at[field][0] for field in COW_FIELDS[3:])]}
    other = TEXT[page].partition("## Other versions")[2].partition("\n## ")[0]
    for column, version in enumerate(("version_1", "version_2", "padded_3"), 1):
        cells = {}
        for line in re.findall(r"^\| .* \|$", other, re.M):
            row = [cell.strip() for cell in line.strip("|").split("|")]
            cells[row[0]] = [int(n) for n in re.findall(r"\d+", row[column])] or [0]
        said[version] = [cells["length of header"][0], *cells["path (size)"],
                         cells["mtime (size)"][0],
                         *(cells[f][0] for f in ("size", "sector size", "alignment", "format"))]
    return said


def cow_tables():
    """The COW header: version 3 field by field, the others by column."""
    said = cow_said("docs/reference/cow-format.md")
    statements = [f'printf("{version}{" %u" * len(COW_FIELDS)}\\n", '
                  + ", ".join(f"{version}.{field}" for field in COW_FIELDS) + ")"
                  for version in said]
    shown = program(["<stdio.h>", '"cow_header.c"', '"printable.c"'], statements,
                    folder_of("cow_header.c"), folder_of("printable.c"), TOP + "/arch/um/include")
    wanted = [" ".join([version, *map(str, numbers)]) for version, numbers in said.items()]
    return [f"page: {line}" for line in wanted if line not in shown] + \
        [f"code: {line}" for line in shown if line not in wanted]


# ---- commands ----

class Block:
    """A block of commands: page, `sh` or `guest`, what it needs, its commands."""

    def __init__(self, page, language, needs, body):
        self.page, self.language, self.needs = page, language, needs
        lines = re.sub(r"\\\n\s*", "", body).split("\n")
        self.commands = [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(page):
    pattern = r"(?:^<!-- needs: ([\w ,-]+) -->\n)?^```(sh|guest)\n(.*?)^```"
    found = re.findall(pattern, TEXT[page], re.M | re.S)
    return [Block(page, language, needs, body) for needs, language, body in found]


def unknown_targets(command):
    """The targets of a make command that its Makefile does not have."""
    words = shlex.split(command, comments=True)[1:]
    folder = ""
    if words[:1] == ["-C"]:
        folder, words = words[1], words[2:]
    known = set()
    makefile = read(os.path.join(folder, "Makefile"))
    for line in re.findall(r"^([\w.$(){} -]+?)::?(?![=:])", makefile, re.M):
        known |= set(line.split())
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    return [target for target in targets if target not in known]


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
    known = ("", "image", "root-directory", "qemu-storage-daemon", "root")
    return None if need in known else f"nothing is known of {need}"


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
    """Why it failed, or None. Output goes to a file, which a daemon may keep open. It has
    another session, so that orphans() finds what it leaves behind."""
    environment = dict(uml.clean_environment(), GIT_DIR=os.path.join(TOP, ".git"), LC_ALL="C.UTF-8")
    with open(os.path.join(folder, "output"), "w+", errors="replace") as output:
        try:
            status = subprocess.run(["sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL,
                                    stdout=output, stderr=output, env=environment,
                                    start_new_session=True,
                                    timeout=SECONDS * uml.PATIENCE).returncode
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
    """[(command, why it failed or None, why it was skipped or None)] of the blocks marked sh."""
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
    guest = [block for page in PAGES for block in blocks(page) if block.language == "guest"]
    commands = list(dict.fromkeys(command for block in guest for command in block.commands))
    script = "".join(f"{command}\nprintf '\\nCOMMAND-{n} %d\\n' $?\n"
                     for n, command in enumerate(commands))
    result = uml.run(script, mem="128M", timeout=60)
    for n, command in enumerate(commands):
        tap.ok(f"\nCOMMAND-{n} 0\n" in result.console, f"in a guest: {command}", result.tail)
    uml.clean(result)


# ---- what is shown ----

for page, most in SHORT.items():
    lines = len(TEXT[page].splitlines())
    tap.ok(lines <= most, f"{page} has at most {most} lines", f"{lines} lines")
wide = [f"{page}:{n}: {len(line.expandtabs(8))} columns" for page in PAGES
        for n, line in enumerate(TEXT[page].splitlines(), 1) if len(line.expandtabs(8)) > COLUMNS]
tap.ok(not wide, f"no line of a document has more than {COLUMNS} columns", "\n".join(wide))

dead = [line for page in PAGES for line in dead_links(page)]
tap.ok(not dead, "each link leads to a file and a heading", "\n".join(dead))
tap.equal(unreachable(), [], "each page is reached from README")
wrong = [line for page in PAGES for line in names_nothing(page)]
tap.ok(not wrong, "each source file, function and path that is cited exists", "\n".join(wrong))
wrong = wrong_in_code()
tap.ok(not wrong, "pages and guarantees that code and tests cite exist", "\n".join(wrong))
promised = re.findall(r"^### (G\d+):|^\| (G\d+) \|", TEXT["docs/security/model.md"], re.M)
promised = {first or second for first, second in promised}
shown = set(re.findall(r"^\| (G\d+) \|", TEXT["docs/security/evidence.md"], re.M))
tap.equal(shown, promised, "each guarantee has a test")

OPTIONS = "docs/reference/options.md"
usage = subprocess.run([uml.LINUX, "--help"], capture_output=True, text=True).stdout
tap.equal(sorted(listed(OPTIONS) ^ offered(usage)), [],
          "the page of options has those of --help, and no others")
tap.equal(set(re.findall(r"^\| `(\w)` \|", TEXT[OPTIONS], re.M)), flags_offered(usage),
          "and the flags of disks")

if shutil.which("cc"):
    for tables, what in ((stub_tables, "the stub's pages"), (cow_tables, "the COW header")):
        wrong = tables()
        tap.ok(not wrong, f"the tables of {what} are what the code has", "\n".join(wrong))
else:
    tap.skip("the tables of formats are what the code has", "no cc on this machine")

inline = {command for page in PAGES
          for command in re.findall(r"`(make [^`]+)`", prose(page).replace("\n", " "))}
unknown = [f"{command}: {unknown_targets(command)}"
           for command in sorted(inline) if unknown_targets(command)]
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
left = uml.orphans()
tap.ok(not left, "no host process is left", f"left: {left}")
tap.done()
