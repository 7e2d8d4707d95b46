#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Perl module UML::MConsole: its own tests, as Perl's tools run them, and against ./linux."""
import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

MODULE = os.path.join(uml.TOP, "tools", "perl", "UML-MConsole")
os.environ["HOME"] = uml.scratch("home")
os.makedirs(os.path.join(os.environ["HOME"], ".uml"))
os.environ.pop("XDG_RUNTIME_DIR", None)

REAL = """
use UML::MConsole;
my $guest = UML::MConsole->new('perlreal');
my ($listed) = grep { $_->{name} eq 'perlreal' } UML::MConsole->list;
print "pid $listed->{pid}\\n";
print $guest->version =~ /^Linux / ? "version\\n" : "no version\\n";
print length $guest->proc('kallsyms') > 100000 ? "long\\n" : "short\\n";
eval { $guest->proc('none') };
print $@->kind, ' ', $@->errno, "\\n";
$guest->halt;
"""


def command(*words, cwd=MODULE):
    return subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)


def own_tests():
    """Each line of the module's tests."""
    for path in sorted(glob.glob(os.path.join(MODULE, "t", "*.t"))):
        ended = command("perl", "-Ilib", path)
        program = uml.Program(os.path.basename(path), "")
        program.status, program.output = ended.returncode, ended.stdout
        uml.report(program)


def perls_tools():
    """perl Makefile.PL, make, make test, as for any module."""
    folder = uml.scratch("module")
    shutil.copytree(MODULE, folder)
    for words in (["perl", "Makefile.PL"], ["make"], ["make", "test"]):
        ended = command(*words, cwd=folder)
        tap.ok(ended.returncode == 0 and "Warning" not in ended.stdout, " ".join(words),
               ended.stdout)
    with open(os.path.join(folder, "MANIFEST")) as manifest:
        named = sorted(manifest.read().split())
    found = sorted(os.path.relpath(os.path.join(top, name), MODULE)
                   for top, _, names in os.walk(MODULE) for name in names)
    tap.equal(named, found, "MANIFEST names all files")
    if shutil.which("podchecker"):
        ended = command("podchecker", "lib/UML/MConsole.pm")
        tap.ok(ended.returncode == 0 and "WARNING" not in ended.stdout, "its manual is sound",
               ended.stdout)
    else:
        tap.skip("its manual is sound", "no podchecker on this machine (Debian package perl)")


def real():
    """Against ./linux."""
    uml.require()
    said = []

    def drive(instance):
        said.append((instance.pid, command("perl", "-Ilib", "-e", REAL)))
    result = uml.run("while :; do sleep 1; done", mem="128M", arguments=["umid=perlreal"],
                     drive=drive)
    pid, ended = said[0] if said else (0, None)
    tap.equal(ended and ended.stdout, f"pid {pid}\nversion\nlong\nkernel 1\n",
              "list, version, a long file and an error come from ./linux")
    tap.equal(result.exit, 0, "which halt ends", result.tail)
    uml.clean(result)


if not shutil.which("perl"):
    tap.skip_all("no perl on this machine (Debian package perl)")
own_tests()
perls_tools()
real()
tap.done()
