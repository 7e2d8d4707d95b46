# SPDX-License-Identifier: GPL-2.0-only
# Builds a tool that works on COW files, from its own folder, with the host side's code of the format. Set `tool` and `sources`.

top     := ../..
drivers := $(top)/arch/um/os-Linux/drivers
OUT     ?= $(top)/build/tools
HOSTCC  ?= cc
FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -I$(drivers) -idirafter $(top)/arch/um/include
format  := $(wildcard $(drivers)/cow*.c) $(drivers)/disk_file.c $(drivers)/lock_owner.c $(drivers)/printable.c
headers := $(wildcard $(drivers)/cow*.h $(drivers)/disk_file.h $(drivers)/printable.h *.h ../uml_moo/*.h)

$(OUT)/$(tool): $(sources) $(format) $(headers)
	@mkdir -p $(@D)
	$(HOSTCC) $(FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^)
