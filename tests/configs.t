#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/test-configs builds many configurations and judges each of them. Here its compiler is a
pretended `make`, whose kernels are shell scripts."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

MAKE = r"""#!/bin/sh
for word; do
	case $word in O=*) out=${word#O=} ;; esac
done
[ "$word" != all ] || tr '\n' ' ' <"$out/.config" >>"$MAKE_CALLS"
echo "$word ${KCONFIG_SEED-none} ${KCONFIG_PROBABILITY-none} $*" >>"$MAKE_CALLS"
case $word:$out in
randconfig:*) printf 'CONFIG_%s=y\n' VT KUNIT EXT4_FS >"$out/.config" ;;
olddefconfig:*) sed -i /CONFIG_UBSAN=/d "$out/.config" ;;
*config:*) touch "$out/.config" ;;
all:*-randconfig-1) echo "x.c:1: Warning: pretended" ;;
all:*-randconfig-2) echo "x.c:1: error: pretended"; exit 2 ;;
esac
[ "$word" = all ] || exit 0
mkdir "$out/objects"
touch "$out/objects/x.o"
cat >"$out/linux" <<END
#!/bin/sh
case $out in
*-randconfig-3) echo "WARNING: CPU: 0 PID: 1 at kernel/fork.c:1" ;;
*-randconfig-4) exit 0 ;;
esac
read line
echo "This is Linux"
eval "\$line"
case $out in *-randconfig-5) exit 1 ;; esac
END
chmod +x "$out/linux"
"""

CONFIG = r"""#!/bin/sh
file=$2
shift 2
while [ $# != 0 ]; do
	case $1 in
	--enable) echo "CONFIG_$2=y" >>"$file" ;;
	--disable) sed -i "/^CONFIG_$2=y/d" "$file" ;;
	--set-str) echo "CONFIG_$2=\"$3\"" >>"$file"; shift ;;
	esac
	shift 2
done
"""

top = uml.scratch("top")
calls = uml.scratch("calls")
for folder in ("scripts", "bin", "arch/um", "build/linux/scripts", "tests"):
    os.makedirs(os.path.join(top, folder))
shutil.copy(os.path.join(uml.TOP, "scripts/test-configs"), os.path.join(top, "scripts"))
shutil.copy(os.path.join(uml.TOP, "arch/um/Kconfig"), os.path.join(top, "arch/um"))
os.symlink(os.path.join(uml.TOP, "tests/lib"), os.path.join(top, "tests/lib"))
for name, text in (("bin/make", MAKE), ("build/linux/scripts/config", CONFIG)):
    with open(os.path.join(top, name), "w") as file:
        file.write(text)
    os.chmod(os.path.join(top, name), 0o755)


def configs(*arguments):
    """Its run, and the lines that say how a configuration came out."""
    environment = uml.clean_environment() | {
        "PATH": os.path.join(top, "bin") + ":" + os.environ["PATH"], "MAKE_CALLS": calls,
        "JOBS": "3"}
    run = subprocess.run([os.path.join(top, "scripts/test-configs"), *arguments],
                         capture_output=True, text=True, env=environment)
    return run, [line for line in run.stdout.splitlines() if re.match("(not )?ok ", line)]


def kept(name):
    try:
        return sorted(os.listdir(os.path.join(top, "build/configs", name)))
    except FileNotFoundError:
        return None


def outcome(name, passed, said, files, sentence):
    run, lines = configs("gcc-" + name)
    wanted = rf"{'ok' if passed else 'not ok'} 1 - gcc-{name} {said} \(\d+\.\d minutes\)$"
    tap.ok(len(lines) == 1 and re.match(wanted, lines[0]) and run.returncode == (not passed)
           and kept("gcc-" + name) == files, sentence,
           f"{run.stdout}{run.stderr}status {run.returncode}, kept {kept('gcc-' + name)}")


run, _ = configs("--list", "gcc-*")
names = run.stdout.split()
tap.ok(run.returncode == 0 and len(set(names)) == len(names) and not os.path.exists(calls)
       and {"gcc-tinyconfig", "gcc-debug-ubsan", "gcc-randconfig-20"} <= set(names),
       "--list names the configurations and builds nothing", run.stdout + run.stderr)
tap.ok("gcc-debug-lockdep" not in names and not any("kasan" in name for name in names),
       "nothing is listed that is built already or that Kconfig cannot offer", run.stdout)
run, _ = configs("gcc-tiny*", "gcc-none")
tap.ok(run.returncode == 2 and not os.path.exists(calls)
       and re.fullmatch("test-configs: .*'gcc-none'.*\n", run.stderr) and not run.stdout,
       "a pattern that matches nothing is an error of one line", run.stdout + run.stderr)

outcome("randconfig-6", True, "is built without a warning, and boots without a fault", None,
        "nothing is kept of a kernel that is built and boots")
outcome("allnoconfig", True, "is built without a warning; not booted: .*", None,
        "a kernel without a console is not booted")
KEPT = [".config", "linux", "log"]
outcome("randconfig-1", False, "is built with warnings", KEPT,
        "a warning of the assembler fails, and .config, linux and log are kept")
outcome("randconfig-2", False, "is not built", [".config", "log"], "an error of the compiler fails")
outcome("randconfig-3", False, "finds a fault when it boots", KEPT,
        "a warning in the kernel's log fails")
outcome("randconfig-4", False, "does not boot", KEPT, "a kernel that does not run a line fails")
outcome("randconfig-5", False, "does not boot", KEPT, "a kernel that ends with a status fails")
run, lines = configs("gcc-tiny-ubsan")
tap.ok(lines == ["ok 1 - gcc-tiny-ubsan # SKIP Kconfig does not offer UBSAN here"],
       "a feature that Kconfig does not offer is skipped", run.stdout + run.stderr)

with open(calls) as file:
    made = file.read()
tap.ok(re.search(r"^randconfig 6 12 .* -j3 randconfig$", made, re.M)
       and re.search(r"^randconfig 5 33 ", made, re.M)
       and re.search(r"^tiny_defconfig none none ", made, re.M),
       "the seed, the probability and JOBS arrive at kbuild", made)
random = re.findall(r"^(CONFIG_EXT4_FS=y .*)all none", made, re.M)
tap.ok(random and all("CONFIG_UML_CONSOLE=y " in one for one in random)
       and not re.search("CONFIG_VT=|KUNIT", made),
       "a random configuration has what a boot needs, no other console and no self-test", made)
tap.done()
