# SPDX-License-Identifier: GPL-2.0-or-later
"""Where something is measured: this machine itself, or the guest of some kernel; and rows, what is
measured.

A suite_<name>.py in this folder has ROWS, a list of Row, and measure(place), which returns {row's
name: number}. tests/bench/run calls every suite natively and in each guest by turns, once with all
CPUs and once on one.
"""
import os
import re
import subprocess

import uml

NUMBER = re.compile(r"^(\w+) (\d+(?:\.\d+)?)$", re.M)


class Row:
    """@name as measure() returns it, @says for the table, @unit of the numbers. @at_most: the
    guest's goal, as a multiple of native, or of the unit where @absolute; with all CPUs and on
    one."""

    def __init__(self, name, says, unit="ns", at_most=(None, None), absolute=False):
        self.name, self.says, self.unit, self.absolute = name, says, unit, absolute
        self.at_most = dict(zip(("free", "pinned"), at_most))


class Unmeasured(Exception):
    """A suite cannot say anything here; the text is why."""


class Place:
    """@kernel: None for the machine itself; @arguments for the kernel; @pinned: on one CPU."""

    def __init__(self, label, kernel=None, arguments=(), pinned=False, notes=None):
        self.label, self.kernel, self.arguments, self.pinned = label, kernel, list(arguments), pinned
        self.is_native = kernel is None
        # what the reader should know, such as versions
        self.notes = [] if notes is None else notes
        self.wrap = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if pinned else []

    def native(self, command, **how):
        """Output of a command on this machine."""
        ran = subprocess.run([*self.wrap, *command], capture_output=True, text=True, **how)
        if ran.returncode:
            raise Unmeasured(f"{command[0]}: status {ran.returncode}: {ran.stderr.strip()[-200:]}")
        return ran.stdout

    def guest(self, script, arguments=(), timeout=900, **how):
        """Output of a script in the guest; arguments and files as in uml.run."""
        result = uml.run(script, linux=self.kernel, arguments=[*self.arguments, *arguments],
                         wrap=self.wrap, timeout=timeout, **how)
        if result.status != 0:
            raise Unmeasured("the guest did not finish: " + " | ".join(result.tail(4).splitlines()))
        return result.output


def numbers(text):
    """The lines `<name> <number>`."""
    return {name: float(value) for name, value in NUMBER.findall(text)}
