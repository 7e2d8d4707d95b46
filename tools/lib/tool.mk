# SPDX-License-Identifier: GPL-2.0-only
# Builds a tool that needs neither COW files nor instances, from its folder. Set `tool` and
# `sources` before.

top     := ../..
host    := $(top)/arch/um/os-Linux
OUT     ?= $(top)/build/tools
HOSTCC  ?= cc
FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -I../lib -I$(host)
library := ../lib/tool.c $(host)/printable.c
headers := $(wildcard *.h) ../lib/tool.h $(host)/printable.h

compiler := $(OUT)/.$(tool).compiler
compile  := $(HOSTCC) $(FLAGS) $(CFLAGS)

$(OUT)/$(tool): $(sources) $(library) $(headers) $(compiler)
	@mkdir -p $(@D)
	$(compile) -o $@ $(filter %.c,$^)

include ../lib/compiler.mk
