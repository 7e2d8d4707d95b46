#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Nothing in the kernel was built from Linux's own arch/um, arch/x86/um or fs/hostfs.
cd "$(dirname "$0")/.." || exit 1
echo 1..1
if output=$(scripts/check-objects build/linux build/kernel 2>&1); then
	echo "ok 1 - no object was built from the um port inside Linux"
else
	echo "not ok 1 - no object was built from the um port inside Linux"
	echo "$output" | sed 's/^/# /'
fi
