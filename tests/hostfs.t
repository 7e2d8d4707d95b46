#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostfs: directories of the host as file systems of the guest, confined, coherent, and as its
root."""
import hashlib
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import image
import kselftest
import tap
import uml

uml.require()
uml.build()
STRESSORS = "access chdir chmod copy-file dentry dir dirdeep fallocate fcntl filename flock fpunch fstat getdent hdd lease link open " \
            "readahead rename seek symlink sync-file touch truncate unlink utime xattr".split()


def directory(name):
    path = uml.scratch(name)
    os.makedirs(path)
    return path


def write(path, content):
    with open(path, "w") as out:
        out.write(content)


def read(path):
    try:
        with open(path) as source:
            return source.read()
    except OSError as error:
        return str(error)


def mounted(path, options=""):
    """Shell: mount it on /mnt, once."""
    return f"mkdir -p /mnt; grep -q ' /mnt hostfs' /proc/mounts || mount -t hostfs none /mnt -o {path}{options}; "


def lines_of(result):
    return [line.strip() for line in result.output.splitlines()]


# ---- what a file system owes a program ----

work = directory("work")
programs = [
    uml.Program("filesystem", mounted(work) + "/filesystem /mnt", 120),
]
results = uml.run_programs(programs, files={"filesystem": uml.built("guest/filesystem")})
for program in programs:
    uml.report(program)
tap.equal(sorted(os.listdir(work)), [], "nothing of it is left on the host")
uml.clean(results)

# ---- the guest's doing on the host, the host's in the guest ----

shared = directory("shared")
odd = b"odd-\xff\xfe".decode("utf-8", "surrogateescape")
write(os.path.join(shared, "old"), "old content")
write(os.path.join(shared, odd), "odd")
write(os.path.join(shared, "victim"), "first")
write(os.path.join(shared, "tail"), "one\n")
write(os.path.join(shared, "both"),
      "".join(start.ljust(4095, ".") + "\n" for start in ("old", "", "old")))
os.mkdir(os.path.join(shared, "large"))
for number in range(100_000):
    os.close(os.open(os.path.join(shared, "large", f"e{number}"), os.O_CREAT | os.O_WRONLY))


def host_side(instance):
    """Changes files when the guest says where it is, and tells it to continue."""
    def go(step):
        write(os.path.join(shared, f"go-{step}"), "")

    if instance.expect("^STEP 1$", 60):
        write(os.path.join(shared, "old"), "NEW content")       # as long as before
        write(os.path.join(shared, "appeared"), "appeared")
        with open(os.path.join(shared, "tail"), "a") as out:
            out.write("two\n")
        with open(os.path.join(shared, "both"), "r+") as out:
            out.seek(8192)
            out.write("host")
            out.seek(0, os.SEEK_END)
            out.write("more from the host\n")
        os.unlink(os.path.join(shared, "victim"))
        write(os.path.join(shared, "victim"), "second")         # often the same inode number
        seen["written"] = read(os.path.join(shared, "written"))
        go(1)
    if instance.expect("^STEP 2$", 60):
        seen["mapped"] = read(os.path.join(shared, "mapped"))
        seen["synced"] = read(os.path.join(shared, "synced"))
        go(2)


seen = {}
result = uml.run(mounted(shared) + r"""
    cd /mnt
    exec 5<tail; read line <&5
    cat old victim; printf '%s\n' odd* | cat -v
    echo; [ -e appeared ] || echo not-yet
    echo 'from the guest' > written
    exec 7<both; cat both >/dev/null; dd bs=4k count=3 <&7 >/dev/null 2>&1
    # Not closed, not by a child either, so not written back yet.
    mkfifo /tmp/close
    { echo GUEST; : 3>/tmp/dirty; read line </tmp/close; } 1<>both &
    until [ -e /tmp/dirty ]; do sleep 0.1; done
    sum=$(stat -c %i old)
    echo STEP 1
    until [ -e go-1 ]; do sleep 0.2; done
    echo "after: $(cat old) $(cat appeared) $(cat victim)"
    [ $sum = $(stat -c %i old) ] && echo same-inode
    echo >/tmp/close; wait; sleep 0.1; echo "both: $(tr -d . <both | tr '\n' ' ')"
    sleep 1.2; read line <&5; echo "grown: $line"
    dd if=/dev/zero of=mapped bs=5 count=1 2>/dev/null
    exec 6>synced; echo early >&6; sync; echo STEP 2
    until [ -e go-2 ]; do sleep 0.2; done
    [ $(ls large | wc -l) = 100000 ] && echo all-listed
    [ $(find large -type f | sort -u | wc -l) = 100000 ] && echo all-found
    df /mnt >/dev/null && echo df
    exit 0""", timeout=240, drive=host_side)
tap.ok(seen.get("written") == "from the guest\n",
       "what the guest wrote is there on the host when it closed the file", result.tail)
tap.ok(seen.get("synced") == "early\n", "or when it called sync", result.tail)
tap.ok("after: NEW content appeared second" in result.output,
       "what the host changed, made and replaced is seen at the next open",
       result.tail)
tap.ok("both: GUEST host more from the host" in " ".join(result.output.split()),
       "so is, beyond what times can tell, what it changed and added in a file that the guest then "
       "wrote back", result.tail)
tap.ok("same-inode" in result.output, "a file keeps its inode number", result.tail)
tap.ok("grown: two" in result.output, "who has a file open sees it grow after the time-out",
       result.tail)
tap.ok("not-yet" in lines_of(result) and "odd-M-^?M-~" in result.output,
       "names that are not UTF-8 are listed as they are", result.tail)
tap.ok("all-listed" in result.output and "all-found" in result.output,
       "a directory with 100,000 entries is listed and looked up",
       result.tail)
uml.clean(result)

# ---- confinement ----

top = directory("top")
jail, outside = os.path.join(top, "jail"), os.path.join(top, "outside")
for path in (jail, outside, os.path.join(jail, "good"), os.path.join(jail, "moved"),
             os.path.join(jail, "moved", "deep")):
    os.mkdir(path)
write(os.path.join(outside, "secret"), "SECRET\n")
write(os.path.join(jail, "good", "secret"), "harmless\n")
write(os.path.join(jail, "moved", "deep", "file"), "before\n")
os.symlink(outside, os.path.join(jail, "absolute"))
os.symlink("../outside", os.path.join(jail, "relative"))
os.symlink("good", os.path.join(jail, "inner"))
CONFINED = f"""
    try() {{ mkdir -p /m; mount -t hostfs none /m -o $1 2>/dev/null && {{ echo "mounted $1: $(cat /m/secret 2>/dev/null)"; umount /m; }}; }}
    for path in ../outside /../outside absolute relative good/../../outside /absolute /proc/self/root {outside} {jail}; do try $path; done
    try good; try /good; try inner; try ''
    mount -t hostfs none /mnt
    cat /mnt/absolute/secret /mnt/relative/secret 2>&1
    cat /mnt/../outside/secret 2>&1
    ls -a /mnt | tr '\\n' ' '
"""
for how, wrap, inner in (("", (), True),
                         (" on a host without openat2", (uml.built("host/deny"), "openat2", "--"),
                          False)):
    result = uml.run(CONFINED, mem="64M", arguments=[f"hostfs={jail}"], wrap=wrap)
    tap.ok("SECRET" not in result.output and result.booted,
           "hostfs=<root>: no path, link or .. leads out of it" + how, result.tail)
    tap.ok("mounted good: harmless" in result.output and "mounted /good: harmless" in result.output
           and
           ("mounted inner: harmless" in result.output) == inner
           and "absolute good inner moved relative" in result.output,
           "what is in it can be mounted" + how, result.tail)
    uml.clean(result)


def swap(stop):
    """Make `swap` a directory, a link out of the jail, and a directory again, as fast as it goes.
    """
    place, spare = os.path.join(jail, "swap"), os.path.join(jail, "spare")
    os.mkdir(place)
    write(os.path.join(place, "secret"), "harmless\n")
    os.symlink(outside, spare)
    libc = __import__("ctypes").CDLL(None)
    while not stop.is_set():
        libc.renameat2(-100, place.encode(), -100, spare.encode(), 2)       # RENAME_EXCHANGE


def attack(instance):
    if instance.expect("^STANDING$", 60):
        os.rename(os.path.join(jail, "moved"), os.path.join(outside, "moved"))
        write(os.path.join(outside, "moved", "deep", "later"), "LATER\n")
        write(os.path.join(jail, "good", "go"), "")


stop = threading.Event()
swapper = threading.Thread(target=swap, args=(stop,))
swapper.start()
result = uml.run("""
    mount -t hostfs none /mnt -o actimeo=0
    i=0
    while [ $i -lt 200 ]; do
        cat /mnt/swap/secret; (cd /mnt/swap && cat secret && echo x > written$i)
        chmod 700 /mnt/swap/secret; ls /mnt/swap; i=$((i+1))
    done 2>/dev/null | sort | uniq -c | grep -v written | grep -v '[0-9] [0-9]*$'
    echo RACED
    mkdir /mnt2; mount -t hostfs none /mnt2
    cd /mnt2/moved/deep; cat file; exec 7<file
    echo STANDING
    until [ -e /mnt2/good/go ]; do sleep 0.2; done
    sleep 1.2
    cat later /mnt2/moved/deep/later; ls; ls ..; echo new > new; mkdir dir
    echo ENDED""", arguments=[f"hostfs={jail}"], timeout=300, drive=attack)
stop.set()
swapper.join()
tap.ok("RACED" in result.output and "harmless" in result.output and "SECRET" not in result.output
       and os.listdir(outside).count("secret"),
       "a name that the host swaps with a link out of it while the guest walks never leads out",
       result.tail)
tap.ok(stat.S_IMODE(os.stat(os.path.join(outside, "secret")).st_mode) != 0o700 and
       not [name for name in os.listdir(outside) if name.startswith("written")],
       "and nothing outside is changed", result.tail)
tap.ok("ENDED" in result.output and "LATER" not in result.output
       and sorted(os.listdir(os.path.join(outside, "moved", "deep"))) == ["file", "later"],
       "a directory moved out of it is lost to the guest, also to who stands in it", result.tail)
uml.clean(result)
bad = uml.boot_and_judge(["mem=64M", "hostfs=/nonexistent/root"], 20)
tap.ok(bad.exit == 1 and len([line for line in bad.console.splitlines() if line.strip()]) == 1
       and "/nonexistent/root" in bad.console,
       "a root that is not there is refused in one line", bad.console)

# ---- append ----

logs = directory("logs")
write(os.path.join(logs, "log"), "one\n")
result = uml.run("""
    mount -t hostfs none /mnt; cd /mnt
    echo two >> log; echo three >> log
    for i in 1 2 3 4 5 6 7 8; do head -c 3000 /dev/zero | tr '\\0' $i >> big; done
    exec 5>seq; for i in a b c; do echo $i >&5; sync; done; exec 5>&-
    (echo four > log) 2>/dev/null && echo CHANGED
    printf X | dd of=log conv=notrunc 2>/dev/null && echo OVERWRITTEN
    truncate -s 1 log 2>/dev/null && echo SHRUNK
    rm -f log 2>/dev/null && echo REMOVED
    mv log lag 2>/dev/null && echo RENAMED
    mkdir dir && rmdir dir 2>/dev/null && echo RMDIR
    fallocate -p -o 0 -l 4096 big 2>/dev/null && echo PUNCHED
    echo ENDED""", mem="64M", arguments=[f"hostfs={logs},append"])
wanted = "".join(str(i) * 3000 for i in range(1, 9))
tap.ok("ENDED" in result.output
       and not {"CHANGED", "OVERWRITTEN", "SHRUNK", "REMOVED", "RENAMED", "RMDIR",
                "PUNCHED"} & set(lines_of(result)) and
       read(os.path.join(logs, "log")) == "one\ntwo\nthree\n",
       "hostfs=<root>,append: files only grow, none is removed", result.tail)
tap.ok(read(os.path.join(logs, "big")) == wanted and read(os.path.join(logs, "seq")) == "a\nb\nc\n",
       "and they grow as they should", result.tail)
uml.clean(result)

# ---- as the root ----

root = uml.scratch("root")
tree = image.Tree()
tree.base("""
    grep ' / hostfs' /proc/mounts
    echo written > /tmp/../root/by-guest; [ "$(cat /root/by-guest)" = written ] || exit 1
    cp /bin/busybox /root/busybox; cmp /bin/busybox /root/busybox || exit 2
    /root/busybox echo runs || exit 3
    exit 42""")
tree.write_directory(root)
for how, arguments in (("rootfstype=hostfs rootflags=<dir>",
                        ["rootfstype=hostfs", f"rootflags={root}"]),
                       ("ubd0=<dir>", [f"ubd0={root}"])):
    result = uml.boot_and_judge(["mem=128M", *arguments, "rw", "init=/init"], 60)
    tap.ok(result.status == 42 and read(os.path.join(root, "root", "by-guest")) == "written\n",
           f"{how} boots from a directory", result.tail)
    uml.clean(result)
    os.unlink(os.path.join(root, "root", "by-guest"))
missing = uml.boot_and_judge(["mem=64M", "rootfstype=hostfs", "rootflags=/nonexistent", "panic=-1",
                              "noreboot"], 30)
tap.ok(missing.exit == 134 and "/nonexistent" in missing.console,
       "a root directory that is not there is named", missing.tail)

# ---- whose files are ----

owned = directory("owned")
try:
    os.setxattr(owned, "user.probe", b"1")
    os.removexattr(owned, "user.probe")
    recordable = True
except OSError:
    recordable = False
write(os.path.join(owned, "plain"), "x")
mine = os.stat(owned)
result = uml.run(f"""
    at() {{ mkdir -p /m; mount -t hostfs none /m -o {owned},$1 || echo failed; shift; "$@"; status=$?; umount /m; return $status; }}
    at actimeo=1 stat -c 'host %u:%g' /m/plain
    at uid=1234,gid=99 stat -c 'squash %u:%g' /m/plain
    at uid=1234 chown 5 /m/plain 2>/dev/null && echo CHOWNED
    at uidmap=100:{mine.st_uid}:10,gidmap=200:{mine.st_gid}:10 stat -c 'range %u:%g' /m/plain
    at uidmap=7:{mine.st_uid + 1}:1 stat -c 'nobody %u' /m/plain
    mount -t hostfs none /mnt -o {owned},map=xattr; cd /mnt
    stat -c 'mapped %u:%g' plain
    mkdir dir; chown 33:44 dir; chmod 2750 dir
    echo data > file; chown 1000:1001 file; chmod 4511 file
    mknod null c 1 3 && echo device-made; mkfifo pipe
    (umask 077; echo x > private); ln -s file link
    cd /; umount /mnt; mount -t hostfs none /mnt -o {owned},map=xattr; cd /mnt
    stat -c '%n %u:%g %a %F' dir file pipe private
    stat -c '%n %t,%T %F' null; echo discarded > null; cat null
    chmod 620 null && chown 0:5 null && chown -h 0:0 link && stat -c 'changed %u:%g %a %F' null
    grep -c override /proc/self/mounts; getfattr -d file 2>/dev/null
    chown 0:0 file; chmod 644 file
    exit 0""", mem="64M")
output = set(lines_of(result))
tap.ok({f"host {mine.st_uid}:{mine.st_gid}", "squash 1234:99", "range 100:200",
        "nobody 65534"} <= output and "CHOWNED" not in output,
       "owners are the host's, one's, or in ranges, as the options say", result.tail)
recorded = {"mapped 0:0", "dir 33:44 2750 directory", "file 1000:1001 4511 regular file",
            "pipe 0:0 644 fifo",
            "private 0:0 600 regular file", "null 1,3 character special file",
            "changed 0:5 620 character special file"}
sentence = "map=xattr: owners, modes and devices are recorded and seen again"
if recordable:
    tap.ok(recorded <= output, sentence, result.tail)
    on_host = os.stat(os.path.join(owned, "null"))
    tap.ok(stat.S_ISREG(on_host.st_mode) and on_host.st_size == 0
           and os.stat(os.path.join(owned, "dir")).st_uid == mine.st_uid,
           "on the host they are ordinary files of the user", result.tail)
else:
    tap.skip(sentence, "the host's file system of temporary files has no user extended attributes")
uml.clean(result)

# ---- errors of writing back, sync mounts ----

def agrees(sentence, error, place, before=None, **how):
    """Writing 4 MiB fails with the error, at fsync and at close; then both see one file."""
    answers = []

    def compare(instance):
        seen = f"/proc/{instance.process.pid}/root{place}"
        for turn in ("begin", "fsync", "notrunc"):
            if not instance.expect(rf"^ASKED {turn}$", 60):
                return
            if turn == "begin":
                if before:
                    before(instance)
            else:
                with open(os.path.join(seen, "big"), "rb") as source:
                    content = source.read()
                answers.append([str(len(content)), hashlib.md5(content).hexdigest()])
            write(os.path.join(seen, turn), "")

    result = uml.run(mounted(place) + f"""
        ask() {{ echo ASKED $1; until cat /mnt/$1 2>/dev/null; do :; done; rm /mnt/$1; }}
        ask begin
        for how in fsync notrunc; do
            dd if=/dev/urandom of=/mnt/big bs=64k count=64 conv=$how 2>&1 | grep -Eq '{error}' ||
                echo NO-ERROR
            echo "guest $(stat -c %s /mnt/big) $(md5sum </mnt/big)"
            ask $how; rm /mnt/big
        done
        exit 0""", drive=compare, **how)
    words = [line.split() for line in result.output.splitlines()]
    guest = [line[1:3] for line in words if line[:1] == ["guest"]]
    tap.ok(len(guest) == 2 and guest == answers and "NO-ERROR" not in result.output, sentence,
           result.tail)
    uml.clean(result)


namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
if subprocess.run([*namespaces, "true"], capture_output=True).returncode:
    tap.skip("a full host file system is told at fsync and close",
             "this host gives no user namespaces")
else:
    full = directory("full")
    result = uml.run(mounted(full) + """
        dd if=/dev/zero of=/mnt/fsync bs=64k count=64 conv=fsync 2>&1 | grep -o 'No space left on device'
        rm /mnt/fsync
        dd if=/dev/zero of=/mnt/close bs=64k count=64 2>&1 | grep -o 'No space left on device' | sed 's/^/close: /'
        rm /mnt/close; echo fits > /mnt/small && cat /mnt/small
        exit 0""", wrap=[*namespaces, "sh", "-c",
                         f'mount -t tmpfs -o size=1m none {full}; exec "$0" "$@"'])
    tap.ok("No space left on device" in lines_of(result)
           and "close: No space left on device" in lines_of(result) and "fits" in lines_of(result),
           "a full host file system is told at fsync and close", result.tail)
    uml.clean(result)
    agrees("and from then on the guest has the size and the bytes that the host has",
           "No space left on device", full,
           wrap=[*namespaces, "sh", "-c", f'mount -t tmpfs -o size=1m none {full}; exec "$0" "$@"'])

limited = directory("limited")


def limit_sizes(instance):
    hard = resource.prlimit(instance.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(instance.process.pid, resource.RLIMIT_FSIZE, (1 << 20, hard))


agrees("a limit of file sizes is an error, and the file is what the host has",
       "File too large", limited, limit_sizes)
for name, error in (("EIO", "I/O error|Input/output error"), ("EDQUOT", "[Qq]uota exceeded")):
    agrees(f"{name} of the host is told, and the file is what the host has", error, limited,
           wrap=[uml.built("host/deny"), "-e", name, "-f", "2", "pwritev", "--"])

direct = directory("direct")


def look(instance):
    if instance.expect("^WRITTEN$", 60):
        seen["sync"] = read(os.path.join(direct, "file"))
        seen["lazy"] = read(os.path.join(direct, "lazy"))
        instance.process.kill()


result = uml.run(f"""
    mount -t hostfs none /mnt -o {direct},sync
    exec 5>/mnt/file; echo at-once >&5; echo WRITTEN; sleep 100""", mem="64M", drive=look,
                 timeout=30)
tap.ok(seen.get("sync") == "at-once\n", "with sync what is written is on the host at once",
       result.tail)
tap.ok(read(os.path.join(direct, "file")) == "at-once\n", "and is still there after SIGKILL",
       result.tail)

# ---- programs of others ----

compiler = directory("compiler")
sources = os.path.join(uml.TOP, "build", "linux", "scripts", "dtc")
if not (shutil.which("gcc") and shutil.which("make") and shutil.which("bison")
        and shutil.which("flex") and os.path.isdir(sources)):
    tap.skip("the host's gcc builds the device tree compiler in the guest",
             "gcc, make, flex, bison or the kernel tree is missing")
else:
    build = os.path.join(compiler, "dtc")
    shutil.copytree(sources, build,
                    ignore=shutil.ignore_patterns("*.o", "dtc", "*.lex.c", "*.tab.*"))
    write(os.path.join(build, "Makefile"), """
objects := dtc.o flattree.o fstree.o data.o livetree.o treesource.o srcpos.o checks.o util.o dtc-lexer.lex.o dtc-parser.tab.o
CFLAGS := -O1 -Ilibfdt -I. -DNO_YAML
dtc: $(objects) ; gcc -o $@ $^
$(objects): dtc-parser.tab.h
dtc-lexer.lex.c: dtc-lexer.l ; flex -o $@ $<
dtc-parser.tab.c dtc-parser.tab.h &: dtc-parser.y ; bison -d -o dtc-parser.tab.c $<
""")
    write(os.path.join(build, "test.dts"),
          '/dts-v1/;\n/ { compatible = "a,b"; n: node@1 { reg = <1 2>; ref = <&n>; }; };\n')
    result = uml.run(f"""
        mount -t hostfs none /mnt -o /
        mount -t proc proc /mnt/proc; mount -t devtmpfs dev /mnt/dev
        chroot /mnt /bin/sh -c 'cd {build} && PATH=/usr/bin:/bin make dtc 2>&1 && ./dtc -I dts -O dtb -o guest.dtb test.dts' && echo BUILT
        exit 0""", mem="512M", timeout=600)
    made = subprocess.run(["./dtc", "-I", "dts", "-O", "dtb", "-o", "host.dtb", "test.dts"],
                          cwd=build, capture_output=True) \
        if os.path.exists(os.path.join(build, "dtc")) else None
    tap.ok("BUILT" in result.output and made and made.returncode == 0 and
           subprocess.run(["cmp", "host.dtb", "guest.dtb"], cwd=build).returncode == 0,
           "make and gcc, run from the host's own root, build the device tree compiler, which works", result.tail)
    uml.clean(result)

stress = shutil.which("stress-ng")
if not stress:
    tap.skip("stress-ng --verify of files",
             "no stress-ng on this machine (Debian package stress-ng)")
else:
    def with_stress():
        made = image.Tree()
        made.copy_program(stress, "usr/bin/stress-ng")
        return made

    place = directory("stress")
    os.chmod(place, 0o1777)
    known = subprocess.run([stress, "--stressors"], capture_output=True, text=True).stdout.split()
    more = {"hdd": "--hdd-bytes 16M", "seek": "--seek-size 4M",
            "fallocate": "--fallocate-bytes 16M", "readahead": "--readahead-bytes 16M",
            "dirdeep": "--dirdeep-inodes 1000", "fpunch": ""}
    each = int(os.environ.get("STRESS_EACH", "1"))
    programs = [uml.Program(name,
                            mounted(place)
                            + f"/usr/bin/stress-ng --verify --temp-path /mnt --{name} 1 "
                              f"{more.get(name, '')} -t {each}", 90)
                for name in STRESSORS if name in known]
    results = uml.run_programs(programs, tree_maker=with_stress, mem="512M")
    for program in programs:
        tap.ok(program.status == 0 and "successful run completed" in program.output,
               f"stress-ng --verify {program.name} on hostfs",
               f"status {program.status}\n" + "\n".join(program.output.splitlines()[-10:]))
    uml.clean(results)

# ---- the kernel's own tests of file systems, with hostfs below /tmp and the current directory ----

tests = [kselftest.Test("openat2", name, sources=(name + ".c", "helpers.c"))
         for name in ("openat2_test", "resolve_test")]
tests += [
    kselftest.Test("fchmodat2", "fchmodat2_test"),
    kselftest.Test("filesystems/fat", "rename_exchange", arguments="a b"),
    kselftest.Test("landlock", "fs_test", arguments="-v hostfs", libs=("-lcap",)),
]
if not os.path.isdir(kselftest.SELFTESTS):
    tap.skip("the kernel's selftests of file systems", "the kernel tree is not unpacked")
else:
    kselftest.build_all(tests)
    place = directory("selftests")
    runnable = [test for test in tests if not test.error]
    for test in tests:
        if test.error:
            tap.skip(f"selftest {test.title}",
                     "it does not build here: " + test.error.splitlines()[-1])
    programs = [uml.Program(test.title,
                            mounted(place)
                            + "mount --bind /mnt /tmp; cd /mnt; echo a >a; echo b >b; "
                            f"/{test.guest_path()} {test.arguments}", 120) for test in runnable]

    def with_selftests():
        made = image.Tree()
        for test in runnable:
            made.copy(test.path, test.guest_path())
        return made

    results = uml.run_programs(programs, tree_maker=with_selftests, mem="256M")
    for program in programs:
        tap.ok(program.status == 0, f"selftest {program.name} on hostfs",
               f"status {program.status}\n" + "\n".join(program.output.splitlines()[-20:]))
    uml.clean(results)
tap.done()
