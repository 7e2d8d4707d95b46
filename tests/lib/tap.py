# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP producer: one `ok` a sentence, the plan at the end.

A test file calls ok() for each thing it shows, skip() with the reason for what
this machine cannot show, and done() last. An exception fails the file, since
the plan is then missing.
"""
import os
import sys

_count = 0
_failed = 0


def _line(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def diag(text):
    """Print @text as TAP comments, a line each."""
    for line in str(text).splitlines():
        _line("# " + line)


def _explain(sentence, why):
    """Say on standard error, which prove lets through, what failed and why."""
    name = os.path.basename(sys.argv[0])
    text = str(why() if callable(why) else why or "")
    lines = [f"not ok {_count} - {sentence}", *text.splitlines()]
    sys.stderr.write("".join(f"# {name}: {line}\n" for line in lines))
    sys.stderr.flush()


def ok(passed, sentence, why=None):
    """Report one test; @why (text, or a function that makes it) is shown when it fails."""
    global _count, _failed
    _count += 1
    _line(f"{'ok' if passed else 'not ok'} {_count} - {sentence.replace('#', '')}")
    if not passed:
        _failed += 1
        _explain(sentence, why)
    return bool(passed)


def equal(got, wanted, sentence, why=None):
    """Report whether @got equals @wanted."""
    def explain():
        more = why() if callable(why) else why
        return f"got {got!r}, wanted {wanted!r}" + (f"\n{more}" if more else "")
    return ok(got == wanted, sentence, explain)


def skip(sentence, reason):
    """Report a test that this machine cannot run."""
    global _count
    _count += 1
    _line(f"ok {_count} - {sentence.replace('#', '')} # SKIP {reason}")


def skip_all(reason):
    """End the file: nothing in it can run here."""
    _line(f"1..0 # SKIP {reason}")
    sys.exit(0)


def done():
    """Print the plan and end with status 1 if a test failed."""
    _line(f"1..{_count}")
    sys.exit(1 if _failed else 0)
