# SPDX-License-Identifier: GPL-2.0-only
# Builds a tool that works on COW files, from its own folder, with the host side's library of the
# format. Set `tool` and `sources` before.

top     := ../..
host    := $(top)/arch/um/os-Linux
cow     := $(host)/drivers/cow
OUT     ?= $(top)/build/tools
HOSTCC  ?= cc
FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -I../lib -I$(cow) -I$(host) \
	-idirafter $(top)/arch/um/include
library := ../lib/cow_tool.c ../lib/tool.c ../lib/json.c $(wildcard $(cow)/*.c) $(host)/printable.c
headers := $(wildcard *.h ../lib/*.h $(cow)/*.h $(host)/printable.h)

compiler := $(OUT)/.$(tool).compiler
compile  := $(HOSTCC) $(FLAGS) $(CFLAGS)

$(OUT)/$(tool): $(sources) $(library) $(headers) $(compiler)
	@mkdir -p $(@D)
	$(compile) -o $@ $(filter %.c,$^)

include ../lib/compiler.mk
