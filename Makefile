# Makefile -- librobust
#   make             library (static and shared), robust command, examples: all in build/
#   make deps        install what is missing of compilers and libraries (nothing when all is there)
#   make demo        simulate, train, attack and certify light curves in two minutes
#   make check       every test of the everyday kind; ends with a total line
#   make check-NOUN  one suite, for instance check-bound
#   make check-all   clang, ASan + UBSan, TSan, the long sweeps
#   make check-layers check-symbols check-docs check-form check-names check-abi check-ffi
#   make bench       timings side by side
#   make asan, tsan  the suites under a sanitizer
#   make fuzz        every fuzzer for FUZZ_SECONDS (300) each, one after the other
#   make docs        the reference manual out of the headers, in build/docs
#   make install, uninstall   prefix=/usr/local DESTDIR=
#   make clean
# Useful to set: V=1 (whole commands), CC, CFLAGS, OPT, BUILD, BLAS_LIBS, JOBS, ROBUST_DATA (published data sets).

# ---- deps with other goals: those goals see what deps has installed ----------------------
ifneq (,$(and $(filter deps,$(MAKECMDGOALS)),$(filter-out deps,$(MAKECMDGOALS))))

LATER := $(filter-out deps,$(MAKECMDGOALS))
$(firstword $(LATER)): deps
	@$(MAKE) --no-print-directory $(LATER)
$(wordlist 2,$(words $(LATER)),$(LATER)): $(firstword $(LATER))
	@:
deps:
	@sh tests/tools/deps.sh
.PHONY: deps $(LATER)

else

ifeq ($(origin CC),default)
CC := gcc
endif
CXX := $(if $(findstring clang,$(CC)),clang++,g++)
BUILD ?= build
OPT ?= -O2 -g
WERROR ?= -Werror
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
prefix ?= /usr/local

VERSION = 0.1.0
SONAME = librobust.so.0

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)
CSTD = -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -fPIC -fvisibility=hidden
CPPFLAGS += -Iinclude -Isrc -DROB_BUILDING
ALL_CFLAGS = $(CSTD) $(OPT) $(WARN) -pthread -MMD -MP $(CFLAGS)
BLAS_LIBS ?= -llapacke -llapack -lblas
# Optional libraries, used where pkg-config finds them; OPTIONAL= builds without any,
# OPTIONAL=zlib for fully static programs, which cfitsio would make link curl.
OPTIONAL ?= zlib cfitsio
HAVE := $(foreach p,$(OPTIONAL),$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p)))
OPTIONAL_CFLAGS := $(foreach p,$(HAVE),-DROB_HAS_$(shell echo $(p) | tr a-z A-Z) $(shell pkg-config --cflags $(p)))
OPTIONAL_LIBS := $(foreach p,$(HAVE),$(shell pkg-config --libs $(p)))
LIBS = $(BLAS_LIBS) $(OPTIONAL_LIBS) -lm -lpthread

PYTHON ?= python3
TOOL = $(PYTHON) tests/tools
# A second make with all processors, unless this one was given -j.
FAST = $(MAKE) --no-print-directory $(if $(findstring j,$(MAKEFLAGS)),,-j$(JOBS))

# V=1 prints the commands in full
say = $(if $(V),,@echo "$(1) $(2)";)
Q = $(if $(V),,@)

all: $(BUILD)/librobust.a $(BUILD)/librobust.so programs

# ---- objects ----------------------------------------------------------------------------
SRC := $(wildcard src/*/*.c src/*/*/*.c)
OBJ := $(SRC:src/%.c=$(BUILD)/obj/%.o)

# kernels: the same source once per precision and instruction set
KSRC := $(wildcard src/op/*.c) $(wildcard src/la/kernel*.c)
KSRC := $(filter-out src/op/table.c src/op/build%.c src/op/plane%.c,$(KSRC))
ISA_generic =
ISA_avx2 = -mavx2 -mfma
ISA_avx512 = -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
KINDS := f32_generic f64_generic
ifneq (,$(filter x86_64%,$(MACHINE)))
KINDS += f32_avx2 f64_avx2 f32_avx512 f64_avx512
endif
KOBJ := $(foreach k,$(KINDS),$(KSRC:src/%.c=$(BUILD)/kernel/$(k)/%.o))

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

# what includes an optional library is compiled anew when one comes or goes
USES_OPTIONAL = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(shell grep -l ROB_HAS_ $(SRC)))
$(USES_OPTIONAL): CPPFLAGS += $(OPTIONAL_CFLAGS)
$(USES_OPTIONAL): $(BUILD)/optional.txt
$(BUILD)/optional.txt: always
	@mkdir -p $(@D)
	@echo "$(HAVE)" | cmp -s - $@ || echo "$(HAVE)" > $@

define kernel_rule
$(BUILD)/kernel/$(1)/%.o: src/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$< $(1))$$(CC) $$(CPPFLAGS) $$(ALL_CFLAGS) -O3 -fno-math-errno -fno-trapping-math -DROB_KERNEL -DROB_KERNEL_$(firstword $(subst _, ,$(1))) -DROB_KERNEL_$(lastword $(subst _, ,$(1))) $$(ISA_$(lastword $(subst _, ,$(1)))) -c $$< -o $$@
endef
$(foreach k,$(KINDS),$(eval $(call kernel_rule,$(k))))

# ---- libraries --------------------------------------------------------------------------
$(BUILD)/librobust.a: $(OBJ) $(KOBJ)
	@rm -f $@
	$(call say,AR,$@)ar rcs $@ $^

$(BUILD)/librobust.so.$(VERSION): $(OBJ) $(KOBJ) lib/librobust.map
	$(call say,LD,$@)$(CC) $(OPT) $(CFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--no-undefined \
	    -Wl,--version-script=lib/librobust.map $(OBJ) $(KOBJ) $(LIBS) -o $@

$(BUILD)/librobust.so: $(BUILD)/librobust.so.$(VERSION)
	$(Q)ln -sf $(notdir $<) $(BUILD)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# ---- programs ---------------------------------------------------------------------------
# examples/robust.c is the command line, examples/robust/ its other files
COMMAND_SRC := $(wildcard examples/robust.c examples/robust/*.c)
EXAMPLES := $(patsubst examples/%.c,%,$(filter-out $(COMMAND_SRC),$(wildcard examples/*.c)))
COMMAND := $(if $(COMMAND_SRC),$(BUILD)/robust)
programs: $(COMMAND) $(EXAMPLES:%=$(BUILD)/examples/%)

USER_FLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -Iinclude $(OPT) $(WARN) -pthread $(CFLAGS)
$(BUILD)/robust: $(COMMAND_SRC) $(BUILD)/librobust.a $(wildcard include/robust/*.h examples/robust/*.h)
	$(call say,CC,$@)$(CC) $(USER_FLAGS) $(COMMAND_SRC) $(BUILD)/librobust.a $(LIBS) -o $@
$(BUILD)/examples/%: examples/%.c $(BUILD)/librobust.a $(wildcard include/robust/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(USER_FLAGS) $< $(BUILD)/librobust.a $(LIBS) -o $@

deps:
	@sh tests/tools/deps.sh

DEMO = $(BUILD)/demo
DEMO_RECIPE ?= lstm hidden=32 readout=mean
demo:
	@$(FAST) $(BUILD)/robust
	@mkdir -p $(DEMO)
	$(BUILD)/robust simulate --out $(DEMO)/transits.tsv --count 1000 --share 0.2 --quiet
	$(BUILD)/robust train $(DEMO)/transits.tsv --recipe "$(DEMO_RECIPE)" \
	    --out $(DEMO)/model.safetensors --quiet
	$(BUILD)/robust predict $(DEMO)/model.safetensors $(DEMO)/transits.test.tsv
	$(BUILD)/robust certify $(DEMO)/model.safetensors $(DEMO)/transits.test.tsv \
	    --count 16 --method crown --attack auto --set bound.tolerance=0.2
	$(BUILD)/robust report $(DEMO)/model.safetensors $(DEMO)/transits.test.tsv --count 4 \
	    --set bound.tolerance=0.2 --title "Simulated transits" --out $(DEMO)/report.html
	@echo "the model is in $(DEMO)/model.safetensors"
	@echo "the report is in $(DEMO)/report.html"

# ---- tests ------------------------------------------------------------------------------
TESTS := $(patsubst tests/check/%.c,%,$(wildcard tests/check/*.c))
TEST_FLAGS = $(filter-out -Wconversion,$(ALL_CFLAGS)) -Itests
CHECK_LIBS = $(shell pkg-config --libs --static check) -lmpfr -lgmp
$(BUILD)/tests/%: tests/check/%.c $(BUILD)/librobust.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(TEST_FLAGS) $< $(BUILD)/librobust.a $(CHECK_LIBS) $(LIBS) -o $@

tests: $(TESTS:%=$(BUILD)/tests/%)

check-%: $(BUILD)/tests/%
	$<

# a German locale for the suites that must not notice it, where localedef can make one
export LOCPATH ?= $(wildcard $(abspath $(BUILD))/locale)
locale:
	@mkdir -p $(BUILD)/locale
	@localedef -i de_DE -f UTF-8 $(BUILD)/locale/de_DE.UTF-8 >/dev/null 2>&1 || true

RUN = $(TOOL)/run.py --jobs $(JOBS)
# $(call suites,PREFIX,ENVIRONMENT,BUILD,NOUNS): the options of run.py for these suites
suites = $(foreach t,$(4),--suite "$(1)$(t)=$(strip $(2) $(3)/tests/$(t))")
HOUSE = abi layers symbols docs form names ffi

check:
	@$(FAST) locale
	@LOCPATH=$(abspath $(BUILD))/locale $(RUN) \
	    --step "build=$(FAST) -k all tests" $(call suites,,,$(BUILD),$(TESTS)) \
	    $(foreach h,$(HOUSE),--suite "$(h)=$(MAKE) --no-print-directory check-$(h)")

# long sweeps that fit; by hand, for hours: make check-all LONG_SUITES="sound fp relax stress sound_edge"
LONG_SUITES ?= $(filter boundary condition core curve data derivative memory,$(TESTS))
check-all:
	@LOCPATH=$(abspath $(BUILD))/locale $(RUN) --timeout 1500 \
	    --step "build=$(FAST) -k all tests locale" \
	    --step "clang build=$(FAST) -k CC=clang BUILD=$(BUILD)/clang all tests" \
	    $(call suites,clang:,,$(BUILD)/clang,$(TESTS)) \
	    --step "asan build=$(FAST) -k $(ASAN) tests" \
	    $(call suites,asan:,$(ASAN_ENV),$(BUILD)/asan,$(TESTS)) \
	    --step "tsan build=$(FAST) -k $(TSAN) $(TSAN_SUITES:%=$(BUILD)/tsan/tests/%)" \
	    $(call suites,tsan:,$(TSAN_ENV),$(BUILD)/tsan,$(TSAN_SUITES)) \
	    $(call suites,long:,ROBUST_LONG=1,$(BUILD),$(LONG_SUITES)) \
	    --step "fuzz build=$(FAST) -k $(FUZZ) fuzzers" $(call fuzzed,30 1)

ASAN = BUILD=$(BUILD)/asan OPT='-O1 -g' \
    CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
ASAN_ENV = CK_FORK=no ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
    LSAN_OPTIONS=suppressions=$(abspath tests/tools/leaks.txt):print_suppressions=0
TSAN = BUILD=$(BUILD)/tsan OPT='-O1 -g' CFLAGS='-fsanitize=thread -fno-omit-frame-pointer'
TSAN_ENV = CK_FORK=no TSAN_OPTIONS=die_after_fork=0 OPENBLAS_NUM_THREADS=1
# suites that start threads; a BLAS without instrumentation only adds noise to the others
TSAN_SUITES ?= $(filter core ctx,$(TESTS))

asan:
	@$(RUN) --step "build=$(FAST) -k $(ASAN) tests" \
	    $(call suites,,$(ASAN_ENV),$(BUILD)/asan,$(TESTS))
tsan:
	@$(RUN) --step "build=$(FAST) -k $(TSAN) $(TSAN_SUITES:%=$(BUILD)/tsan/tests/%)" \
	    $(call suites,,$(TSAN_ENV),$(BUILD)/tsan,$(TSAN_SUITES))

# fuzzers: libFuzzer on the corpora in tests/fuzz/corpus, which check-fuzz replays
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_SECONDS ?= 300
FUZZ_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ = BUILD=$(BUILD)/fuzz CC=clang OPT='-O1 -g' CFLAGS='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link'
# Only fits goes through cfitsio: what that brings along is not loaded for the others, which link
# src/io/fits.c without it.
$(BUILD)/fuzzer/unsupported.o: src/io/fits.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(filter-out -DROB_HAS_CFITSIO,$(CPPFLAGS)) $(ALL_CFLAGS) -c $< -o $@
$(BUILD)/fuzzer/%: tests/fuzz/%.c tests/fuzz/loaded.h $(BUILD)/fuzzer/unsupported.o $(BUILD)/librobust.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(TEST_FLAGS) -fsanitize=fuzzer -include tests/fuzz/loaded.h $< \
	    $(if $(filter fits,$*),,$(BUILD)/fuzzer/unsupported.o) $(BUILD)/librobust.a -Wl,--as-needed $(LIBS) -o $@
fuzzers: $(FUZZERS:%=$(BUILD)/fuzzer/%)
# $(call fuzzed,SECONDS [SEED]): the options of run.py for all fuzzers; check-all repeats itself, make
# fuzz explores
fuzzed = $(foreach f,$(FUZZERS),--suite "fuzz:$(f)=sh tests/tools/fuzz.sh $(BUILD)/fuzz $(f) $(1)")
fuzz:
	@$(TOOL)/run.py --jobs $(or $(FUZZ_JOBS),1) --timeout $$(($(FUZZ_SECONDS) + 300)) \
	    --step "fuzz build=$(FAST) -k $(FUZZ) fuzzers" $(call fuzzed,$(FUZZ_SECONDS))

check-layers:
	@$(TOOL)/layers.py
check-symbols: $(BUILD)/librobust.so
	@$(TOOL)/symbols.py $(BUILD)/librobust.so
check-docs:
	@$(TOOL)/docs.py
check-form:
	@$(TOOL)/form.py
check-names:
	@$(TOOL)/names.py
check-abi: all
	@BUILD=$(BUILD) MAKE="$(MAKE)" sh tests/abi/check.sh
check-ffi: $(BUILD)/librobust.so
	@$(PYTHON) tests/ffi/check.py $(BUILD)

# ---- the rest ---------------------------------------------------------------------------
BENCHES := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))
$(BUILD)/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) $(BUILD)/librobust.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(TEST_FLAGS) $< $(BUILD)/librobust.a $(LIBS) -o $@
BENCH_STEPS ?= 10
bench: $(BENCHES:%=$(BUILD)/bench/%)
	@python3 tests/bench/compare.py $(BUILD) $(BENCH_STEPS)

docs:
	@$(TOOL)/docs.py --write $(BUILD)/docs/reference.md

HEADERS := $(wildcard include/robust/*.h)
$(BUILD)/robust.pc: pkgconfig/robust.pc.in Makefile
	@mkdir -p $(@D)
	sed -e 's|@prefix@|$(prefix)|' -e 's|@version@|$(VERSION)|' \
	    -e 's|@libs@|$(LIBS)|' $< > $@

install: all
	@rm -f $(BUILD)/robust.pc
	@$(MAKE) --no-print-directory $(BUILD)/robust.pc
	install -d $(DESTDIR)$(prefix)/include/robust $(DESTDIR)$(prefix)/lib/pkgconfig
	install -m 644 include/robust.h $(DESTDIR)$(prefix)/include
	install -m 644 $(HEADERS) $(DESTDIR)$(prefix)/include/robust
	install -m 644 $(BUILD)/librobust.a $(DESTDIR)$(prefix)/lib
	install -m 755 $(BUILD)/librobust.so.$(VERSION) $(DESTDIR)$(prefix)/lib
	ln -sf librobust.so.$(VERSION) $(DESTDIR)$(prefix)/lib/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(prefix)/lib/librobust.so
	install -m 644 $(BUILD)/robust.pc $(DESTDIR)$(prefix)/lib/pkgconfig
ifneq (,$(COMMAND))
	install -d $(DESTDIR)$(prefix)/bin
	install -m 755 $(BUILD)/robust $(DESTDIR)$(prefix)/bin
endif

uninstall:
	rm -f $(HEADERS:include/%=$(DESTDIR)$(prefix)/include/%)
	rm -f $(DESTDIR)$(prefix)/include/robust.h $(DESTDIR)$(prefix)/bin/robust
	rm -f $(DESTDIR)$(prefix)/lib/librobust.a $(DESTDIR)$(prefix)/lib/librobust.so*
	rm -f $(DESTDIR)$(prefix)/lib/pkgconfig/robust.pc
	rmdir $(DESTDIR)$(prefix)/include/robust 2>/dev/null || true

clean:
	rm -rf $(BUILD)

.PHONY: always all programs deps demo tests locale check check-all asan tsan fuzz fuzzers bench docs install \
    uninstall clean $(HOUSE:%=check-%)
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

endif
