#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tunctl, in a private network namespace: output and status that scripts read are those of Debian's
tunctl, and a wrong request is a line, changes nothing, and has status 1."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tap
import uml

TOOL = os.path.join(uml.TOP, "build", "tools", "tunctl")
DEBIANS = "/usr/bin/tunctl"
if not os.path.exists(TOOL):
    tap.skip_all("build/tools/tunctl is not built")
if os.environ.get("TUNCTL_INSIDE") is None:
    user = [] if os.geteuid() == 0 else ["-r"]
    tried = subprocess.run(["unshare", *user, "-n", "ip", "tuntap", "add", "x", "mode", "tap"],
                           capture_output=True, text=True)
    if tried.returncode:
        tap.skip_all("no TAP interface can be made here: " + tried.stderr.strip()[:100])
    os.execvpe("unshare", ["unshare", *user, "-n", "--mount", "sh", "-c",
                           'mount -t sysfs sysfs /sys 2>/dev/null; exec "$@"', "sh",
                           sys.executable, os.path.abspath(__file__)],
               {**os.environ, "TUNCTL_INSIDE": "1"})


def run(*words, tool=TOOL):
    done = subprocess.run([tool, *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def interfaces():
    done = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True)
    return sorted(link["ifname"] for link in json.loads(done.stdout) if link["ifname"] != "lo")


def of(name, what):
    with open(f"/sys/class/net/{name}/{what}") as source:
        return source.read().strip()


def clear():
    for name in interfaces():
        subprocess.run(["ip", "link", "del", name], check=True)


def kept(tool, peer):
    me = os.geteuid()
    for words, said, there in (
            (["-b"], "tap0\n", ["tap0"]),
            ([], f"Set 'tap1' persistent and owned by uid {me}\n", ["tap0", "tap1"]),
            (["-t", "foo0"], f"Set 'foo0' persistent and owned by uid {me}\n",
             ["foo0", "tap0", "tap1"]),
            (["-t", "foo0", "-u", "0", "-g", "0"],
             "Set 'foo0' persistent and owned by uid 0 gid 0\n", ["foo0", "tap0", "tap1"]),
            (["-d", "foo0"], "Set 'foo0' nonpersistent\n", ["tap0", "tap1"]),
            (["-t", "a", "-d", "tap1"], "Set 'tap1' nonpersistent\n", ["tap0"]),
            (["-b", "-u", "root", "-t", "fifteen-letters"], "fifteen-letters\n",
             ["fifteen-letters", "tap0"])):
        status, out, _ = run(*words, tool=tool)
        tap.equal((status, out, interfaces()), (0, said, there),
                  f"{peer}tunctl {' '.join(words)}: output, status 0, and the interfaces")
    clear()


def owners():
    run("-t", "t1", "-u", "0", "-g", "0")
    tap.equal((of("t1", "owner"), of("t1", "group")), ("0", "0"),
              "the interface has the owner and the group")
    run("-t", "t2")
    tap.equal((of("t2", "owner"), of("t2", "group")), (str(os.geteuid()), "-1"),
              "by default it is the caller's, and has no group")
    status, out, _ = run("--json", "-t", "t3", "-g", "0")
    tap.equal((status, json.loads(out)),
              (0, {"device": "t3", "persistent": True, "owner": os.geteuid(), "group": 0}),
              "--json has the result")
    status, out, _ = run("--json", "-d", "t3")
    tap.equal((status, json.loads(out)), (0, {"device": "t3", "persistent": False}),
              "of removing, too")
    subprocess.run(["ip", "tuntap", "add", "q0", "mode", "tap", "multi_queue"], check=True)
    tap.equal((run("-d", "q0")[0], "q0" in interfaces()), (0, False),
              "one with several queues can be removed")
    clear()


def refused():
    subprocess.run(["ip", "tuntap", "add", "tun0", "mode", "tun"], check=True)
    subprocess.run(["ip", "link", "add", "dummy0", "type", "dummy"], capture_output=True)
    before = interfaces()
    for words in (["-d", "nosuch0"], ["-t", "sixteen-letters-"], ["-d", "x" * 300], ["-t", ""],
                  ["-u", "nosuchuser"], ["-g", "nosuchgroup"], ["-u", "-1"], ["-u", "4294967295"],
                  ["-u", "1x"], ["-f", "/dev/null"], ["-f", "/nowhere"], ["-d", "tun0"],
                  ["-d", "lo"], ["extra"], ["-q"], ["-t"], ["-d", "a\033[2Jb"]):
        status, out, errors = run(*words)
        tap.ok(status == 1 and not out and errors.count("\n") == 1 and "\033" not in errors
               and interfaces() == before,
               f"tunctl {' '.join(words)[:30]!r}: a line, status 1, and nothing has changed",
               (status, out, errors))
    status, out, _ = run("--help")
    tap.ok(status == 0 and out.startswith("usage: tunctl"), "--help")
    status, out, _ = run("--version")
    tap.ok(status == 0 and out.startswith("tunctl "), "--version")


kept(TOOL, "")
if os.path.exists(DEBIANS) and os.geteuid() == 0:
    kept(DEBIANS, "Debian's: ")
else:
    tap.skip("Debian's tunctl", "uml-utilities is not installed")
owners()
refused()
tap.done()
