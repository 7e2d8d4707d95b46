# SPDX-License-Identifier: GPL-2.0-only
# Builds a tool that needs neither COW files nor instances, from its folder. Set `tool` and
# `sources` before, and `packages` to the names that pkg-config has for libraries.

top     := ../..
host    := $(top)/arch/um/os-Linux
OUT     ?= $(top)/build/tools
HOSTCC  ?= cc
FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -I../lib -I$(host)
library := ../lib/tool.c $(host)/printable.c
headers := $(wildcard *.h ../lib/*.h) $(host)/printable.h
libraries = $(if $(packages),$(shell pkg-config --cflags --libs $(packages)))

compiler := $(OUT)/.$(tool).compiler
compile  := $(HOSTCC) $(FLAGS) $(CFLAGS)

$(OUT)/$(tool): $(sources) $(library) $(headers) $(compiler)
	@mkdir -p $(@D)
	$(compile) -o $@ $(filter %.c,$^) $(libraries)

include ../lib/compiler.mk
