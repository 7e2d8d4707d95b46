# SPDX-License-Identifier: GPL-2.0-or-later
"""The fuzzers of tests/fuzz: libFuzzer's where clang is, else those with a loop of their own."""
import os
import re
import shutil

import uml


def build(name, own_loop=False):
    """Path of the fuzzer @name; @own_loop: of the one without libFuzzer."""
    if shutil.which("clang") and not own_loop:
        name += "_clang"
    uml.build(os.path.join("..", "build", "tests", "fuzz", name))
    return uml.built("fuzz/" + name)


def is_libfuzzer(path):
    return path.endswith("_clang")


def libfuzzer_command(path, seconds, folder):
    """The command that fuzzes for so long, with a folder of inputs that it adds to."""
    os.makedirs(folder, exist_ok=True)
    return [path, f"-max_total_time={seconds}", "-max_len=20000", "-print_final_stats=0",
            f"-artifact_prefix={folder}/", folder]


def summary(text):
    """How many inputs there were, in the fuzzer's words."""
    return " ".join(re.findall(r"\d+ inputs.*|Done \d+ runs.*", text))
