# Makefile -- librobust
#   make            library (static and shared) and the robust command, in build/
#   make check      tests          make check-NOUN   one suite
CC ?= gcc
BUILD ?= build
OPT ?= -O2 -g
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CSTD = -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -fPIC -fvisibility=hidden
CPPFLAGS += -Iinclude -Isrc -DROB_BUILDING
ALL_CFLAGS = $(CSTD) $(OPT) $(WARN) -pthread -MMD -MP $(CFLAGS)
BLAS_LIBS ?= -llapacke -llapack -lblas
LIBS = $(BLAS_LIBS) -lm -lpthread

SRC := $(wildcard src/*/*.c)
OBJ := $(SRC:src/%.c=$(BUILD)/obj/%.o)

# kernels: the same source once per precision and instruction set
KSRC := $(wildcard src/op/*.c) $(wildcard src/la/kernel*.c)
KSRC := $(filter-out src/op/table.c src/op/build%.c src/op/plane%.c,$(KSRC))
ISA_generic =
ISA_avx2 = -mavx2 -mfma
ISA_avx512 = -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma
KINDS = f32_generic f64_generic f32_avx2 f64_avx2 f32_avx512 f64_avx512
KOBJ := $(foreach k,$(KINDS),$(KSRC:src/%.c=$(BUILD)/kernel/$(k)/%.o))

all: $(BUILD)/librobust.a

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@

define kernel_rule
$(BUILD)/kernel/$(1)/%.o: src/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(ALL_CFLAGS) -O3 -fno-math-errno -fno-trapping-math -DROB_KERNEL -DROB_KERNEL_$(firstword $(subst _, ,$(1))) -DROB_KERNEL_$(lastword $(subst _, ,$(1))) $$(ISA_$(lastword $(subst _, ,$(1)))) -c $$< -o $$@
endef
$(foreach k,$(KINDS),$(eval $(call kernel_rule,$(k))))

$(BUILD)/librobust.a: $(OBJ) $(KOBJ)
	@rm -f $@
	ar rcs $@ $^

TESTS := $(patsubst tests/check/%.c,%,$(wildcard tests/check/*.c))
CHECK_LIBS = -lcheck -lsubunit -lrt -lmpfr -lgmp
$(BUILD)/tests/%: tests/check/%.c $(BUILD)/librobust.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(filter-out -Wconversion,$(ALL_CFLAGS)) $< $(BUILD)/librobust.a $(CHECK_LIBS) $(LIBS) -o $@

check: $(TESTS:%=$(BUILD)/tests/%)
	@for t in $(TESTS); do $(BUILD)/tests/$$t || exit 1; done
check-%: $(BUILD)/tests/%
	$<

clean:
	rm -rf $(BUILD)
.PHONY: all check clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
