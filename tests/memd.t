#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uml_memd moves memory between running instances: four guests that take turns at being busy, in
less host memory than the sum of their sizes. Its decisions are shown by unit.t (memd_policy).

MEMD_TURNS=100 has more turns.
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import cgroup
import image
import mconsole
import tap
import uml

MIB = 1 << 20
TURNS = int(os.environ.get("MEMD_TURNS", "8"))
NAMES = ("anna", "bert", "carl", "dora")
SIZE, TOTAL, MINIMUM, BUSY = 192, 480, 64, 120      # MiB
LIMIT = 680                                         # of the control group: kernels and stubs, too
FOLDER = uml.scratch("instances")
MEMD = os.path.join(uml.TOP, "build", "tools", "uml_memd")
SERVE = """
while read wish; do
    case "$wish" in
    end) break;;
    *) eval "$wish"; echo DONE;;
    esac
done </dev/console
exit 0
"""


def start(name, boot, wrap):
    """A guest that obeys lines on its console."""
    return uml.Instance([f"mem={SIZE}M", *boot, f"uml_dir={FOLDER}", f"umid={name}", "psi=1"],
                        terminal=True, wrap=wrap)


def size_of(name):
    """MiB that an instance has; None: no answer."""
    error, text = mconsole.ask(os.path.join(FOLDER, name, "mconsole"), "config mem", 30)
    return int(text) // MIB if not error else None


def sizes():
    """Those of all."""
    return list(map(size_of, NAMES))


def memd(*arguments):
    """A run of uml_memd that ends by itself."""
    return subprocess.run([MEMD, f"--uml-dir={FOLDER}", *arguments], capture_output=True,
                          text=True, timeout=60 * uml.PATIENCE)


class Watch(threading.Thread):
    """Asks for the sizes of all instances again and again."""

    def __init__(self):
        super().__init__()
        self.seen, self.ended = [], threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            with contextlib.suppress(OSError, TimeoutError):
                self.seen.append(sizes())


def until(condition, seconds):
    """Whether @condition() comes true within PATIENCE times @seconds."""
    pause = threading.Event()
    for _ in range(int(seconds * uml.PATIENCE * 10)):
        if condition():
            return True
        pause.wait(0.1)
    return False


def command(instance, line, answer, seconds=30):
    """Has a guest run @line; whether @answer came."""
    return instance.expect(answer, seconds, instance.type(line + "\n")) is not None


def turns(guests):
    """One guest is busy at a time, in turns."""
    failed = []
    for turn in range(TURNS):
        name, guest = list(guests.items())[turn % len(guests)]
        if not command(guest, f"/test/patterns {BUSY} & patterns=$!", "^PATTERNS$"):
            failed.append(f"{name} in turn {turn}: {guest.text[-300:]}")
            break
        if not until(lambda: size_of(name) >= BUSY + 25, 10):
            failed.append(f"{name} in turn {turn} has only {size_of(name)} MiB")
        if not until(lambda: sum(sizes()) <= TOTAL, 10):
            failed.append(f"turn {turn}: all have {sizes()}")
        if not command(guest, "kill $patterns; wait; echo status $?", "^ok 1 - memory holds"):
            failed.append(f"{name} in turn {turn}: {guest.text[-300:]}")
    tap.equal(failed, [], f"in {TURNS} turns, the busy guest gets what it needs of {TOTAL} MiB "
              f"that all have together, of {SIZE * len(guests)}, and its memory is as it was")


def judge(guests, log, watch):
    """After the turns."""
    with open(log, encoding="utf-8") as source:
        lines = source.read()
    least = min(min(sizes) for sizes in watch.seen)
    tap.ok(len(watch.seen) > TURNS and least >= MINIMUM,
           f"no guest is ever below its minimum of {MINIMUM} MiB", f"{least}\n{lines[-2000:]}")
    tap.ok(all(re.search(rf"{name}: \d+M to \d+M: ", lines) for name in NAMES),
           "the log says which got or lost what, and why", lines[-2000:])
    tap.ok(lines.count("its programs wait") + lines.count("little memory left") >= 2
           and "to spare" in lines, "for want of memory, or since it had some to spare",
           lines[-2000:])
    for name, guest in guests.items():
        guest.type("end\n")
        guest.wait(30)
        tap.ok("GUEST-STATUS 0" in guest.text and "Out of memory: Killed" not in guest.text
               and guest.process.returncode == 0,
               f"{name} ends as it should, and nothing in it was killed", guest.text[-1500:])


def four_guests():
    """The whole of it."""
    tree = image.Tree()
    tree.base(SERVE)
    tree.copy(uml.built("guest/patterns"), "test/patterns")
    archive = uml.scratch("guest.cpio")
    tree.write_cpio(archive)
    with cgroup.limited("memory", {"memory.max": str(LIMIT * MIB), "memory.swap.max": "0"}) as wrap:
        if not wrap:
            tap.diag("may not make a control group with a memory limit here: without one")
        guests = {name: start(name, ["initrd=" + archive, "rdinit=/init"], wrap or ())
                  for name in NAMES}
        log = uml.scratch("memd.log")
        daemon = None
        watch = Watch()
        try:
            if not all(guest.expect("^GUEST-READY$", 60) for guest in guests.values()):
                tap.ok(False, "the guests are up")
                return
            one_shots()
            daemon = subprocess.Popen([MEMD, f"--uml-dir={FOLDER}", f"--total={TOTAL}M",
                                       f"--minimum={MINIMUM}M", "--interval=0.2",
                                       f"--log={log}"])
            tap.ok(until(lambda: sum(sizes()) <= TOTAL, 20),
                   "idle guests go down to the total",
                   lambda: str(sizes()))
            watch.start()
            turns(guests)
            watch.ended.set()
            watch.join()
            daemon.send_signal(signal.SIGTERM)
            tap.equal(daemon.wait(20), 0, "SIGTERM ends uml_memd")
            daemon = None
            judge(guests, log, watch)
        finally:
            watch.ended.set()
            if daemon:
                daemon.kill()
                daemon.wait()
            for guest in guests.values():
                guest.kill()
            left = uml.orphans()
            for guest in guests.values():
                guest.close()
        tap.ok(not left, "nothing is left", str(left))


def one_shots():
    """While the guests rest: a dry run, names and settings."""
    before = sizes()
    done = memd("--once", "--dry-run", f"--total={TOTAL}M")
    tap.ok(done.returncode == 0 and done.stdout.count("dry run") >= 3,
           "a dry run says what it would do", done.stdout + done.stderr)
    tap.equal(sizes(), before, "and does nothing")
    done = memd("--once", "anna:maximum=160M,minimum=100M", "bert:maximum=180M")
    tap.equal((done.returncode, sizes()), (0, [160, 180, SIZE, SIZE]),
              "only instances that are named are touched, each by its own settings",
              done.stdout + done.stderr)
    done = memd("--once", "--total=100M", "--minimum=150M", "anna", "bert")
    tap.equal((done.returncode, sizes()), (0, [150, 150, SIZE, SIZE]),
              "with a total that is too small, all go down to their minimums",
              done.stdout + done.stderr)


def wrong_arguments():
    """Each with one line."""
    for arguments, about in ((["--total=much"], "not a size"), (["--interval=0"], "not a number"),
                             (["--low=40"], "low must be less"),
                             (["anna:colour=red"], "no such setting"),
                             (["anna:weight"], "<name>=<value>"),
                             (["anna:weight=0"], "not a number"),
                             (["--minimum=2G", "--maximum=1G"], "less than the minimum"),
                             ([":weight=2"], "name of an instance"), (["--nonsense"], "--help")):
        done = memd(*arguments)
        tap.ok(done.returncode == 2 and not done.stdout and about in done.stderr
               and len(done.stderr.splitlines()) == 1, f"{' '.join(arguments)}: {about}",
               done.stderr)
    for arguments, about in ((["--cgroup=/nonexistent"], "memory.max"),
                             (["--log=/nonexistent/x"], "No such file")):
        done = memd(*arguments)
        tap.ok(done.returncode == 1 and about in done.stderr
               and len(done.stderr.splitlines()) == 1, f"{' '.join(arguments)}: {about}",
               done.stderr)
    tap.equal(memd("--version").stdout, "uml_memd 1.0\n", "--version")
    done = memd("--help")
    tap.ok(done.returncode == 0 and "--dry-run" in done.stdout, "--help", done.stdout)
    done = memd("--once")
    tap.equal((done.returncode, done.stdout), (0, ""),
              "where no instance runs, it has nothing to do", done.stderr)


def completed(*words):
    """The words that bash offers for the last of these."""
    script = f"""
        source {uml.TOP}/completion/uml_memd
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _uml_memd
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    ended = subprocess.run(["bash", "-c", script, "bash", "uml_memd", *words], timeout=60,
                           capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ended.stdout.split() if not ended.stderr else ended.stderr


uml.require()
uml.build()
if not os.access(MEMD, os.X_OK):
    tap.ok(False, "build/tools/uml_memd is built", "run make tools first")
    tap.done()
wrong_arguments()
tap.equal(completed("--ma"), ["--maximum="], "bash completes an option")
help_text = memd("--help").stdout
tap.ok(all(option.rstrip("=") in help_text for option in completed("--")), "all that --help has")
four_guests()
tap.done()
