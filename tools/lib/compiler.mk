# SPDX-License-Identifier: GPL-2.0-only
# $(compiler) is a file that changes when the compiler or its options do; what they build depends on
# it. Before: set `compiler` to its path and `compile` to the command. Include this at the end.

$(compiler): always
	@mkdir -p $(@D)
	@{ echo '$(compile)'; $(compile) --version; } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.PHONY: always
