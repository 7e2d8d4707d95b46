#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The last object of a program, crtend.o, ends .eh_frame by a zero word. A program that is first
# linked into one relocatable object (ld -r), its libc and start files included, has that word in
# the middle of the section when more objects follow. GNU ld -r drops the word, ld.lld -r keeps it.
# Version 14 then links the object and silently leaves out all unwind tables after the word.
# Version 19 cannot link the object that its own -r has made.
#
# Seen with lld-14 1:14.0.6-12 and lld-19 1:19.1.7-3~deb12u1 on Debian 12, three functions with a
# table each: GNU ld 3 tables; ld.lld-14 status 0, 2 tables; ld.lld-19 status 1, "relocation is not
# in any piece".
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in lld-14=1:14.0.6-12 libllvm14=1:14.0.6-12 \
	lld-19=1:19.1.7-3~deb12u1 libllvm19=1:19.1.7-3~deb12u1; do
	apt-get -q -o APT::Sandbox::User=root download "$package" >/dev/null
	echo "$package"
done
for package in *.deb; do
	dpkg -x "$package" root
done
usr=$work/root/usr/lib
export LD_LIBRARY_PATH="$usr/x86_64-linux-gnu:$usr/llvm-14/lib:$usr/llvm-19/lib"

echo 'int first(int x) { return x + 1; }' >first.c
echo 'int second(int x) { return x * 3; }' >second.c
echo 'int first(int), second(int); void _start(void) { first(1); second(2); for (;;); }' >start.c
printf '.section .eh_frame, "a", @unwind\n.long 0\n' >end.s
gcc -c -O1 -fasynchronous-unwind-tables first.c second.c start.c end.s 2>/dev/null

tables() { # <linker>: how many of the three functions have an unwind table
	"$1" -r -o all.o start.o first.o end.o second.o
	status=0
	"$1" -o program all.o 2>error || status=$?
	found=0
	[ "$status" != 0 ] || found=$(readelf --debug-dump=frames program | grep -c ' FDE ')
	echo "status $status, $found tables $(grep -o 'relocation is not in any piece' error || :)"
}

{
	echo "GNU ld: $(tables ld.bfd)"
	echo "ld.lld 14: $(tables root/usr/bin/ld.lld-14)"
	echo "ld.lld 19: $(tables root/usr/bin/ld.lld-19)"
} | tee seen
grep -q '^GNU ld: status 0, 3 tables' seen
grep -q '^ld.lld 14: status 0, 2 tables' seen
grep -q '^ld.lld 19: status 1, 0 tables relocation is not in any piece' seen
echo "as described"
