# SPDX-License-Identifier: GPL-2.0-only
#
# Builds ./linux, the kernel that is an ordinary program, around Linux's own build (Kbuild). `make
# help` lists the targets.
#
# The tree that Kbuild compiles is build/linux (scripts/prepare-tree: a pristine Linux 6.12 with
# our arch/um linked in); objects go to build/kernel, or build/kernel-<name> with CONFIG=<name>.
# Kbuild is always called: it alone knows what changed, and finds out in seconds.

CONFIG ?= default
JOBS   ?= $(shell nproc)
ARGS   ?=
PROVE_FLAGS ?=

top    := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
build  := $(top)/build
tree   := $(build)/linux
out    := $(build)/kernel$(if $(filter-out default,$(CONFIG)),-$(CONFIG))
# The default kernel is ./linux itself; the others lie next to their objects.
binary := $(if $(filter default,$(CONFIG)),$(top)/linux,$(build)/linux-$(CONFIG))
defconfig := $(if $(filter default,$(CONFIG)),defconfig,$(CONFIG)_defconfig)
initramfs := $(build)/initramfs.cpio
modules   := $(build)/modules

export KSRC
# Interactive configurators must have no parallel make between them and the terminal.
kconfig = +$(MAKE) --no-print-directory -C $(tree) ARCH=um O=$(out)
kbuild  = $(kconfig) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

tool_names := $(notdir $(patsubst %/Makefile,%,$(wildcard tools/*/Makefile)))

all: kernel tools
.PHONY: all

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#: Targets:
#:   make                  ./linux (with its embedded initramfs) and build/tools/*
#:   make run              install what is needed, build, boot to a shell here; ARGS="mem=1G ..."
#:   make test             install what is needed, build, run every test; PROVE_FLAGS="-v",
#:                         TESTS=tests/some.t
#:   make test-configs     build and boot many configurations, for three hours and more with each
#:                         compiler (gcc, clang); CONFIGS="'gcc-*'" for some, CONFIGS=--list
#:   make bench            install what is needed, build, measure natively and in the guest
#:   make menuconfig       change the configuration (also nconfig), until the next `make defconfig`
#:   make defconfig        go back to arch/um/configs
#:   make kernel-modules   build the modules and install them below build/modules
#:   make debian.img       a Debian 12 with systemd, in build/debian.img
#:   make check            check the style of all files, and which file may include which
#:   make check-objects    prove that nothing was built from Linux's own um port
#:   make linux-tiny       the kernel that only boots the initramfs: build/linux-tiny
#:   make linux-debug      the kernel with lockdep and other checks: build/linux-debug
#:   make clean            remove what was built, but build/debian.img
#:   make distclean        remove all of build
#: Variables:
#:   CONFIG=default|tiny|debug    which configuration the targets above are about
#:   LLVM=1                       build with clang and ld.lld (LLVM=-19: those of version 19)
#:   KSRC=<tree or tarball>       another Linux 6.12.x than Debian's linux-source-6.12
#:   JOBS=<n>                     compilations or test files at a time (default: one per processor)

### The kernel

kernel: configured
	$(kbuild) linux
	@cmp -s $(out)/linux $(binary) || \
		{ cp $(out)/linux $(binary).new && mv $(binary).new $(binary); }

linux: kernel
linux-tiny linux-debug: linux-%:
	+$(MAKE) --no-print-directory CONFIG=$* kernel

tree:
	@scripts/prepare-tree $(tree)

configured: tree $(initramfs)
	@scripts/configure $(tree) $(out) $(defconfig) $(initramfs)

defconfig: tree $(initramfs)
	@rm -f $(out)/.config
	@scripts/configure $(tree) $(out) $(defconfig) $(initramfs)

menuconfig nconfig xconfig oldconfig savedefconfig: configured
	$(kconfig) $@

kernel-modules: kernel
	$(kbuild) modules
	@rm -rf $(modules)
	$(kbuild) INSTALL_MOD_PATH=$(modules) modules_install

check-objects: kernel
	scripts/check-objects $(tree) $(out)

check:
	scripts/check-style
	scripts/check-rooms

$(initramfs): scripts/make-initramfs scripts/initramfs-rc scripts/initramfs-session | tree
	@scripts/make-initramfs $@

.PHONY: help kernel linux linux-tiny linux-debug tree configured defconfig
.PHONY: menuconfig nconfig xconfig oldconfig savedefconfig
.PHONY: kernel-modules check check-objects

### The tools: a folder each, whose Makefile is called with OUT=<folder>

export HOSTCC ?= $(if $(LLVM),$(filter %/,$(LLVM))clang$(filter -%,$(LLVM)),cc)

tools: $(tool_names:%=tool-%)

tool-%:
	@mkdir -p $(build)/tools
	+@$(MAKE) --no-print-directory -C tools/$* OUT=$(build)/tools

.PHONY: tools

### Running it

run:
	@scripts/install-deps build
	@$(MAKE) --no-print-directory all
	@./linux $(ARGS)

TESTS ?= tests

test:
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all test-programs
	HARNESS_RULESFILE=tests/rules.yml prove --timer -j$(JOBS) $(PROVE_FLAGS) $(TESTS)

test-programs:
	+@$(MAKE) --no-print-directory -C tests

test-configs:
	@scripts/install-deps build configs
	+@$(MAKE) --no-print-directory tree $(initramfs)
	scripts/test-configs $(CONFIGS)

bench:	# BENCH_ARGS="--only calls": see tests/bench/run --help
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all linux-tiny test-programs
	tests/bench/run $(BENCH_ARGS)

debian.img: $(build)/debian.img
$(build)/debian.img: scripts/make-debian-image
	@scripts/install-deps image
	MODULES=$(modules) scripts/make-debian-image $@

.PHONY: run test test-configs test-programs bench debian.img

### Cleaning

clean:
	rm -rf $(build)/kernel* $(build)/configs $(build)/kunit $(tree)/.kunit $(build)/tools
	rm -rf $(build)/modules $(build)/linux-* $(build)/tests
	rm -rf $(build)/bench*.json $(initramfs) linux linux.new tests/*/__pycache__

distclean: clean
	rm -rf $(build)

.PHONY: clean distclean
