# SPDX-License-Identifier: GPL-2.0-only
# Builds a tool that talks to instances, from its own folder, with libmconsole. Set `tool` and
# `sources` before, and `packages` to the names that pkg-config has for libraries.

top     := ../..
host    := $(top)/arch/um/os-Linux
console := ../libmconsole
OUT     ?= $(top)/build/tools
HOSTCC  ?= cc
FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -I../lib -I$(console)/include -I$(console) -I$(host) \
	-idirafter $(top)/arch/um/include
library := ../lib/tool.c ../lib/json.c ../lib/instance_usage.c ../lib/raw_terminal.c \
	../lib/instance_socket.c \
	$(wildcard $(console)/*.c) \
	$(host)/printable.c
headers := $(wildcard *.h ../lib/*.h $(console)/*.h $(console)/include/*.h) $(host)/printable.h \
	$(top)/arch/um/include/host/exec.h $(top)/arch/um/include/host/attach.h
libraries = $(if $(packages),$(shell pkg-config --cflags --libs $(packages)))

compiler := $(OUT)/.$(tool).compiler
compile  := $(HOSTCC) $(FLAGS) $(CFLAGS)

$(OUT)/$(tool): $(sources) $(library) $(headers) $(compiler)
	@mkdir -p $(@D)
	$(compile) -o $@ $(filter %.c,$^) $(libraries)

include ../lib/compiler.mk
