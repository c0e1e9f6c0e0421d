# Builds moonwire, tests it, installs it.
#
#   make            core.so, the command, libmoonwire, below build/
#   make demo       installs what is missing, builds, shows moonwire at work
#   make test       the same, then every spec; SPEC=spec/core runs a part
#                   (SPEC_JOBS=n: so many files at once; else one for each processor)
#                   (LUA_DIR=.deps/luajit BUILD=build/stock: with the LuaJIT of tools/luajit)
#   make demo-nginx the gateway of examples/nginx in an nginx, until Ctrl-C
#   make check      lint, format, warnings of gcc and clang, cppcheck, floors, globals
#   make check-san  the specs under the address and undefined behaviour sanitizers
#   make differential  shows answers to moonwire, curl and undici, writes spec/differential.md
#   make fuzz       SECONDS=60 for each libFuzzer target of spec/fuzz
#   make simulate   SEEDS=20000 schedules of delays, splits, resets and cancellations; SEED=n
#   make soak       REQUESTS=1000000 over 50 connections, fewer with errors and TLS: nothing grows
#   make check-oom  each allocation of the codec fails once, under the sanitizers
#   make bench      what requests cost beside wrk and curl; ROW=list ROUNDS=5 SCALE=0.5
#   make install    PREFIX=/usr/local DESTDIR= ; make uninstall takes it away again
#   make install-lua  without header and libraries for C programs, as LuaRocks wants it
#
# demo, demo-nginx, test, check, check-san, differential, soak and bench ask tools/deps for what they
# need; no other target touches the machine.

BUILD := build
PREFIX := /usr/local
DESTDIR :=
BINDIR = $(PREFIX)/bin
LUADIR = $(PREFIX)/share/lua/5.1
LIBDIR = $(PREFIX)/lib/lua/5.1
CFLAGS ?= -O2 -g
INCDIR = $(PREFIX)/include
CLIBDIR = $(PREFIX)/lib
LUAJIT := $(or $(if $(LUA_DIR),$(wildcard $(LUA_DIR)/bin/luajit)),luajit)
SPEC := spec

# V=1 shows whole command lines
quiet = $(if $(V),,@echo "  $(1) $@" &&)
pkg = $(shell pkg-config $(1) 2>/dev/null)
system = $(patsubst -I%,-isystem %,$(1))# no warnings from other people's headers

# SAN=1: all of it under the sanitizers, with a luajit of its own to run the specs
ifeq ($(origin SAN),command line)
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
override CFLAGS += $(SAN_FLAGS)
endif

# Where a library is: NAME_DIR=/folder, or NAME_INCDIR= and NAME_LIBDIR=, of LUA LLHTTP LIBEV CARES
# URIPARSER LIBIDN2 LIBPSL ZLIB BROTLI ZSTD OPENSSL LIBEDIT; pkg-config and the compiler find the others. Folders that the
# compiler looks into anyway say nothing: LuaRocks names them where its user has named none.
given = $(filter-out $(foreach p,/usr /usr/local,$(p) $(p)/include $(p)/lib $(p)/lib64 $(p)/lib/$(MULTIARCH)),$($(1)))
here = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
in_dir = $(if $(call given,$(1)_DIR),$(call here,$(call given,$(1)_DIR))/$(2))
incdir = $(or $(if $(call given,$(1)_INCDIR),$(call here,$(call given,$(1)_INCDIR))),$(call in_dir,$(1),$(2)))
# NAME_DIR/lib, which LuaRocks makes of NAME_DIR, is not all of it
own_libdir = $(if $(subst $($(1)_DIR)/lib,,$($(1)_LIBDIR)),$(call given,$(1)_LIBDIR))
libdir = $(if $(call own_libdir,$(1)),$(call here,$(call own_libdir,$(1))))
from = -L'$(1)' -Wl,-rpath,'$(1)'
from_dir = $(foreach part,lib lib64 $(MULTIARCH:%=lib/%),$(call from,$(call in_dir,$(1),$(part))))
# $(call cflags,NAME,pkg-config's name,folder of the headers), $(call libs,NAME,pkg-config's name,-lname)
cflags = $(if $(call incdir,$(1),$(3)),-isystem '$(call incdir,$(1),$(3))',$(call system,$(call pkg,--cflags $(2))))
libs = $(if $(call libdir,$(1)),$(call from,$(call libdir,$(1))) $(3),$(if \
	$(call given,$(1)_DIR),$(call from_dir,$(1)) $(3),$(or $(call pkg,--libs $(2)),$(3))))

LUA_CFLAGS := $(call cflags,LUA,luajit,include/luajit-2.1)
LUA_LIBS := $(call libs,LUA,luajit,-lluajit-5.1)

# llhttp: the system's from 9.2 on, else what tools/llhttp has unpacked
ifneq ($(call given,LLHTTP_DIR)$(call given,LLHTTP_INCDIR)$(filter yes,$(call pkg,--atleast-version=9.2 libllhttp && echo yes)),)
LLHTTP_CFLAGS := $(call cflags,LLHTTP,libllhttp,include)
LLHTTP_LIBS := $(call libs,LLHTTP,libllhttp,-lllhttp)
else
LLHTTP_CFLAGS := -isystem .deps/usr/include
LLHTTP_LIBS := $(or $(wildcard .deps/usr/lib/*/libllhttp.a),-lllhttp)
endif
LIBEV_LIBS := $(call libs,LIBEV,libev,-lev)
CARES_LIBS := $(call libs,CARES,libcares,-lcares)
URIPARSER_LIBS := $(call libs,URIPARSER,liburiparser,-luriparser)
LIBIDN2_LIBS := $(call libs,LIBIDN2,libidn2,-lidn2)
LIBPSL_LIBS := $(call libs,LIBPSL,libpsl,-lpsl)
ZLIB_LIBS := $(call libs,ZLIB,zlib,-lz)
BROTLI_LIBS := $(call libs,BROTLI,libbrotlidec libbrotlienc,-lbrotlidec -lbrotlienc)
ZSTD_LIBS := $(call libs,ZSTD,libzstd,-lzstd)
OPENSSL_LIBS := $(call libs,OPENSSL,openssl,-lssl -lcrypto)
LIBEDIT_LIBS := $(call libs,LIBEDIT,libedit,-ledit)
OTHER_CFLAGS := $(call cflags,OPENSSL,openssl,include) $(call cflags,LIBEV,libev,include) \
	$(call cflags,CARES,libcares,include) $(call cflags,URIPARSER,liburiparser,include) \
	$(call cflags,LIBIDN2,libidn2,include) $(call cflags,LIBPSL,libpsl,include) \
	$(call cflags,ZLIB,zlib,include) $(call cflags,BROTLI,libbrotlidec,include) \
	$(call cflags,ZSTD,libzstd,include) $(call cflags,LIBEDIT,libedit,include)

CORE_LIBS := $(LLHTTP_LIBS) $(LIBEV_LIBS) $(CARES_LIBS) $(URIPARSER_LIBS) $(LIBIDN2_LIBS) $(LIBPSL_LIBS) \
	$(ZLIB_LIBS) $(BROTLI_LIBS) $(ZSTD_LIBS) $(OPENSSL_LIBS)
EDITOR_LIBS := $(LIBEDIT_LIBS)

OWN := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude -Wall -Wextra -Wconversion -Wshadow \
	-Wmissing-prototypes -Wvla -fPIC -fvisibility=hidden -fno-semantic-interposition -pthread
COMPILE = $(CC) $(OWN) $(LLHTTP_CFLAGS) $(LUA_CFLAGS) $(OTHER_CFLAGS) $(CPPFLAGS) $(CFLAGS)
OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(sort $(wildcard src/core/*.c src/io/*.c src/lua/*.c)))
MAIN_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/main.c))
EDITOR_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/editor.c))
SAN_OBJ := $(if $(SAN),$(BUILD)/obj/san/newstate.o)
CORE := $(BUILD)/moonwire/core.so
MAIN := $(if $(MAIN_OBJ),$(BUILD)/bin/moonwire)
EDITOR := $(if $(EDITOR_OBJ),$(BUILD)/moonwire/editor.so)
# The command has the modules in it, compiled: reading their text takes longer than all else when it
# starts. require() finds them by their symbols; where the bytecode is another LuaJIT's it goes on to
# the files.
MODULES := $(if $(MAIN_OBJ),$(shell cd lua 2>/dev/null && find moonwire -name '*.lua' ! -path '*/_meta/*' | sort))
BYTECODE := $(MODULES:%.lua=$(BUILD)/bytecode/%.o)
# nodelete: finalizers that run while a Lua state closes may still make objects of the core when the
# handle of its library is collected already
LINK_CORE = $(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,nodelete -shared -pthread -Wl,--as-needed \
	-Wl,--version-script=src/moonwire.map -o $(CORE) $(OBJ) $(CORE_LIBS)
LINK_MAIN = $(CC) $(CFLAGS) $(LDFLAGS) -pthread -Wl,-E -o $(MAIN) $(MAIN_OBJ) $(SAN_OBJ) $(BYTECODE) $(LUA_LIBS)
# For C programs, with the modules in it. Before 1.0 each minor version may break them: so it is part
# of the soname. llhttp's objects go into the archive where no system has it as a library.
HOST_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/host.c))
VERSION := $(shell sed -n 's/^return "\(.*\)"/\1/p' lua/moonwire/version.lua 2>/dev/null)
SONAME := libmoonwire.so.$(subst $() ,.,$(wordlist 1,2,$(subst ., ,$(VERSION))))
SHARED := $(if $(HOST_OBJ),$(BUILD)/lib/libmoonwire.so.$(VERSION))
STATIC := $(if $(HOST_OBJ),$(BUILD)/lib/libmoonwire.a)
PC := $(if $(HOST_OBJ),$(BUILD)/lib/moonwire.pc)
API := include/moonwire.h src/core/alloc.h src/core/h1.h src/core/headers.h src/core/err.h
LIB_OBJ := $(OBJ) $(HOST_OBJ) $(BUILD)/obj/host_modules.o $(BYTECODE)
LINK_SHARED = $(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,nodelete -shared -pthread -Wl,--as-needed \
	-Wl,-soname,$(SONAME) -Wl,--version-script=src/libmoonwire.map -o $(SHARED) $(LIB_OBJ) \
	$(CORE_LIBS) $(LUA_LIBS) -lm
LINK_EDITOR = $(CC) $(CFLAGS) $(LDFLAGS) -Wl,-z,nodelete -shared -o $(EDITOR) $(EDITOR_OBJ) \
	$(EDITOR_LIBS)

.PHONY: all demo test check check-lint check-format check-warnings check-cppcheck check-globals \
	check-san floors format install uninstall clean FORCE
.DELETE_ON_ERROR:
.PHONY: lua install-lua
all: lua $(SHARED) $(STATIC) $(PC)
lua: $(CORE) $(EDITOR) $(MAIN) $(if $(SAN),$(BUILD)/bin/luajit)

# A changed command line is a changed prerequisite: its file is written anew.
FLAGS_compile = $(COMPILE)
FLAGS_core = $(LINK_CORE)
FLAGS_main = $(LINK_MAIN)
FLAGS_editor = $(LINK_EDITOR)
FLAGS_shared = $(LINK_SHARED)
FLAGS_pc = $(PC_TEXT)
$(patsubst %,$(BUILD)/%.flags,compile core main editor needs shared pc): FORCE
	$(shell mkdir -p $(@D))$(file >$@.new,$(FLAGS_$(basename $(@F))))
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

# What is missing is said in a sentence each, before the compiler says it in a hundred lines.
NEEDS := LUA LLHTTP LIBEV CARES URIPARSER LIBIDN2 LIBPSL ZLIB BROTLI ZSTD OPENSSL $(if $(EDITOR_OBJ),LIBEDIT)
define FLAGS_needs
$(COMPILE)
$(LDFLAGS)
$(MULTIARCH)
$(LUAJIT)
$(foreach name,$(NEEDS),$(name)|$(call given,$(name)_DIR)|$(call given,$(name)_INCDIR)|$(call own_libdir,$(name))|$($(name)_LIBS)
)
endef
$(BUILD)/needs.ok: $(BUILD)/needs.flags tools/needs
	@tools/needs $<
	@touch $@

$(BUILD)/obj/%.o: src/%.c $(BUILD)/compile.flags | $(BUILD)/needs.ok
	@mkdir -p $(@D)
	$(call quiet,CC) $(COMPILE) -MMD -MP -c -o $@ $<

$(CORE): $(OBJ) src/moonwire.map $(BUILD)/core.flags
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK_CORE)

$(BUILD)/moonwire/editor.so: $(EDITOR_OBJ) $(BUILD)/editor.flags
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK_EDITOR)

# with names and lines for tracebacks
$(BUILD)/bytecode/%.o: lua/%.lua
	@mkdir -p $(@D)
	$(call quiet,BC) $(LUAJIT) -b -g -n $(patsubst %.init,%,$(subst /,.,$*)) $< $@

$(BUILD)/bin/moonwire: $(MAIN_OBJ) $(SAN_OBJ) $(BYTECODE) $(BUILD)/main.flags
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK_MAIN)

$(BUILD)/host_modules.c: tools/modules $(BYTECODE)
	@tools/modules $(BUILD)/bytecode $(BYTECODE) >$@

$(BUILD)/obj/host_modules.o: $(BUILD)/host_modules.c src/host_modules.h $(BUILD)/compile.flags
	$(call quiet,CC) $(COMPILE) -c -o $@ $<

$(SHARED): $(LIB_OBJ) src/libmoonwire.map $(BUILD)/shared.flags
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK_SHARED)

$(STATIC): $(LIB_OBJ) $(filter %.a,$(LLHTTP_LIBS))
	@rm -rf $@ $(@D)/llhttp && mkdir -p $(@D)/llhttp
	$(foreach a,$(filter %.a,$(LLHTTP_LIBS)),@cd $(@D)/llhttp && ar x "$(call here,$(a))")
	$(call quiet,AR) ar rc $@ $(LIB_OBJ) $(if $(filter %.a,$(LLHTTP_LIBS)),$(@D)/llhttp/*.o)

# A static program needs what is private here; libev has no file of its own on most systems.
define PC_TEXT
prefix=$(PREFIX)
includedir=$(INCDIR)
libdir=$(CLIBDIR)

Name: moonwire
Description: Lua-scriptable HTTP client runtime, for C programs
Version: $(VERSION)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lmoonwire
Libs.private: $(filter-out %.a,$(CORE_LIBS)) $(LUA_LIBS) -lm -pthread
endef
$(PC): $(BUILD)/pc.flags
	@mkdir -p $(@D)
	@cp $< $@

$(BUILD)/obj/san/%.o: tools/san/%.c $(BUILD)/compile.flags
	@mkdir -p $(@D)
	$(call quiet,CC) $(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/bin/luajit: $(BUILD)/obj/san/luajit.o $(SAN_OBJ) $(BUILD)/main.flags
	@mkdir -p $(@D)
	$(call quiet,LD) $(CC) $(CFLAGS) $(LDFLAGS) -pthread -Wl,-E -o $@ $(filter %.o,$^) $(LUA_LIBS)

demo:
	@tools/deps build
	@$(MAKE) --no-print-directory all
	@$(BUILD)/bin/moonwire examples/demo.lua

# An nginx with examples/nginx/nginx.conf, until Ctrl-C.
.PHONY: demo-nginx
demo-nginx:
	@tools/deps nginx
	@$(MAKE) --no-print-directory all
	@tools/demo-nginx

test:
	@tools/deps build test
	@$(MAKE) --no-print-directory all wrapped
	@$(MAKE) --no-print-directory run-specs

.PHONY: run-specs
run-specs:
	@$(RUN_SPECS)

# a path stays right wherever a spec goes
WHOLE_LUAJIT = $(if $(findstring /,$(LUAJIT)),$(call here,$(LUAJIT)),$(LUAJIT))
RUN_SPECS = MOONWIRE_BUILD="$(call here,$(BUILD))" MOONWIRE_LUAJIT="$(WHOLE_LUAJIT)" \
	MOONWIRE_CC="$(CC) $(LUA_CFLAGS) $(CFLAGS)" \
	MOONWIRE_MAKE='make BUILD=$(BUILD) CC="$(CC)" CFLAGS="$(filter-out $(SAN_FLAGS),$(CFLAGS))"$(if $(SAN), SAN=1)$(if $(LUA_DIR), LUA_DIR=$(LUA_DIR))' \
	tools/spec $(SPEC)

MAKE_SAN = $(MAKE) --no-print-directory BUILD=$(BUILD)/san SAN=1 CFLAGS="-O1 -g"
check-san:
	@tools/deps build san
	@$(MAKE_SAN) run-san

.PHONY: build-san run-san
build-san: # what check-san needs, ahead of it
	@$(MAKE_SAN) all wrapped

run-san: all wrapped
	@MOONWIRE_SAN=1 $(subst MOONWIRE_LUAJIT="$(WHOLE_LUAJIT)",MOONWIRE_LUAJIT="$(call here,$(BUILD)/bin/luajit)",$(RUN_SPECS))

.PHONY: differential
differential:
	@tools/deps build differential
	@$(MAKE) --no-print-directory all
	@LUA_PATH="./lua/?.lua;./lua/?/init.lua;./?.lua;$(LUA_PATH);" MOONWIRE_ROOT="$(CURDIR)" \
	    MOONWIRE_BUILD="$(call here,$(BUILD))" $(LUAJIT) tools/differential.lua

# The page that is made of the annotations.
.PHONY: reference
reference:
	@LUA_PATH="./?.lua;;" $(LUAJIT) tools/reference.lua >docs/reference.md.new || { rm -f docs/reference.md.new; exit 1; }
	@mv docs/reference.md.new docs/reference.md

# `make test` runs this too; with SEED=n it is that seed alone, told step by step
SEEDS := 20000
SEED :=
.PHONY: simulate
simulate:
	@tools/deps build
	@$(MAKE) --no-print-directory all
	@MOONWIRE_BUILD="$(call here,$(BUILD))" $(LUAJIT) tools/simulate.lua $(SEEDS) $(SEED)

# `make test` runs this too, with 20 000 requests
REQUESTS := 1000000
.PHONY: soak
soak:
	@tools/deps build test
	@$(MAKE) --no-print-directory all
	@MOONWIRE_BUILD="$(call here,$(BUILD))" $(LUAJIT) tools/soak.lua $(REQUESTS)

# `make test` runs this too, without the sanitizers
.PHONY: check-oom
check-oom:
	@$(MAKE) --no-print-directory check-san SPEC=spec/core/oom_spec.lua

# Cores for specs: the same objects, with calls of some functions led through spec/wrap/*.c.
WRAPPED := $(patsubst spec/wrap/%.c,$(BUILD)/%/moonwire/core.so,$(wildcard spec/wrap/*.c))
WRAP_guard_page := mw_h1_feed mw_h1_free
WRAP_counted_calls := ev_timer_start ev_timer_stop ev_io_start ev_io_stop
WRAP_no_shortcuts := sendfile splice
WRAP_failing_alloc := malloc calloc realloc free uriParseSingleUriExA uriAddBaseUriExA uriFreeUriMembersA \
	idn2_to_ascii_8z idn2_free ZSTD_createDStream ZSTD_createCStream

.PHONY: wrapped
wrapped: $(WRAPPED)
$(BUILD)/obj/wrap/%.o: spec/wrap/%.c $(BUILD)/compile.flags | $(BUILD)/needs.ok
	@mkdir -p $(@D)
	$(call quiet,CC) $(COMPILE) -MMD -MP -c -o $@ $<

$(WRAPPED): $(BUILD)/%/moonwire/core.so: $(BUILD)/obj/wrap/%.o $(OBJ) $(BUILD)/core.flags Makefile
	@mkdir -p $(@D)
	$(call quiet,LD) $(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,--as-needed -Wl,-z,nodelete \
	    $(WRAP_$*:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) $(CORE_LIBS)
-include $(WRAPPED:$(BUILD)/%/moonwire/core.so=$(BUILD)/obj/wrap/%.d)

# What a target finds stands in $(BUILD)/fuzz/found, what it has learnt in $(BUILD)/fuzz/corpus.
SECONDS := 60
FUZZERS := $(patsubst spec/fuzz/%_fuzz.c,%,$(wildcard spec/fuzz/*_fuzz.c))
FUZZ := $(BUILD)/fuzz
FUZZ_COMPILE = clang $(OWN) -Ispec $(LLHTTP_CFLAGS) $(OTHER_CFLAGS) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJ := $(patsubst src/core/%.c,$(FUZZ)/obj/%.o,$(wildcard src/core/h1_*.c src/core/coding*.c) \
	$(addprefix src/core/,headers.c buf.c err.c alloc.c)) $(FUZZ)/obj/input.o $(FUZZ)/obj/player.o
FUZZ_OPTIONS := -verbosity=0 -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
	-dict=spec/fuzz/h1.dict -close_fd_mask=1

.PHONY: fuzz run-fuzz $(FUZZERS:%=run-fuzz-%)
fuzz:
	@tools/deps build test
	@$(MAKE) --no-print-directory run-fuzz

run-fuzz: $(FUZZERS:%=run-fuzz-%)

$(FUZZERS:%=run-fuzz-%): run-fuzz-%: $(FUZZ)/% $(FUZZ)/seeds/done
	@mkdir -p $(FUZZ)/corpus/$* $(FUZZ)/found
	@$< $(FUZZ_OPTIONS) -max_total_time=$(SECONDS) -artifact_prefix=$(FUZZ)/found/$*- \
	    $(FUZZ)/corpus/$* $(FUZZ)/seeds/$* 2>$(FUZZ)/$*.log || { cat $(FUZZ)/$*.log; exit 1; }
	@echo "fuzz: $*: nothing found in $(SECONDS) s"

$(FUZZ)/seeds/done: spec/fuzz/seeds.lua spec/support/trace.lua $(wildcard spec/data/h1/*.txt)
	@$(LUAJIT) spec/fuzz/seeds.lua $(@D)
	@touch $@

$(FUZZERS:%=$(FUZZ)/%): $(FUZZ)/%: $(FUZZ)/obj/%_fuzz.o $(FUZZ_OBJ)
	$(call quiet,LD) clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LLHTTP_LIBS) \
	    $(ZLIB_LIBS) $(BROTLI_LIBS) $(ZSTD_LIBS)

$(FUZZ)/obj/%.o: src/core/%.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC) $(FUZZ_COMPILE) -MMD -MP -c -o $@ $<

$(FUZZ)/obj/%.o: spec/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(call quiet,CC) $(FUZZ_COMPILE) -MMD -MP -c -o $@ $<

-include $(wildcard $(FUZZ)/obj/*.d)

# What stands in bench/README.md. ROW= is the whole table, which goes into bench/RESULTS.md too;
# ROW=small_get a part of it, ROW=list its names.
ROW :=
ROUNDS :=
SCALE :=
BENCH_PROGRAMS := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))
.PHONY: bench bench-programs
bench:
	@tools/deps build bench
	@$(MAKE) --no-print-directory all bench-programs
	@LUA_PATH="./lua/?.lua;./lua/?/init.lua;./?.lua;$(LUA_PATH);" MOONWIRE_ROOT="$(CURDIR)" \
	    MOONWIRE_BUILD="$(call here,$(BUILD))" ROUNDS=$(ROUNDS) SCALE=$(SCALE) \
	    $(LUAJIT) bench/run.lua $(ROW)

bench-programs: $(BENCH_PROGRAMS)
	@:
$(BUILD)/bench/%: bench/%.c bench/util.h $(BUILD)/compile.flags
	@mkdir -p $(@D)
	$(call quiet,CC) $(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

check:
	@tools/deps build check
	@$(MAKE) --no-print-directory check-lint check-format check-warnings check-cppcheck floors \
	    check-globals
	@echo "check: nothing found"

C_FILES = $(wildcard src/*.c src/*.h src/*/*.c src/*/*.h include/*.h examples/*/*.c tools/*/*.c spec/*/*.c spec/*/*.h \
	bench/*.c bench/*.h)
LUA_FILES = $(wildcard lua spec examples bench tools *.rockspec)

check-lint:
	@echo 'require "luacheck.main"' | $(LUAJIT) - --quiet --no-color $(LUA_FILES)

check-format:
	@clang-format --dry-run -Werror $(C_FILES)

format:
	clang-format -i $(C_FILES)

# -O2 finds more than -O0 does
COMPILERS := gcc clang
check-warnings: $(COMPILERS:%=check-warnings-%)
check-warnings-%:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/check/$* CC=$* CFLAGS="-O2 -Werror" all \
	    bench-programs

check-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppressions-list=tools/cppcheck.supp -D_GNU_SOURCE -Isrc -Iinclude src \
	    bench

floors:
	@$(LUAJIT) tools/floors.lua

# An object file with writable data fails: two Lua states in one process share nothing.
# (.data.rel.ro is read-only once the loader is done with it.)
check-globals: $(OBJ) $(HOST_OBJ)
	@size -A -d $^ | awk '/:$$/ || /  :/ { file = $$1 } \
	    /^\.t?(data|bss)/ && !/^\.data\.rel\.ro/ && $$2 > 0 { print file ": writable " $$1; bad = 1 } \
	    END { exit bad }'

install: install-lua all
	@install -d "$(DESTDIR)$(INCDIR)/moonwire" "$(DESTDIR)$(CLIBDIR)/pkgconfig"
	install -m 644 include/moonwire.h "$(DESTDIR)$(INCDIR)/moonwire.h"
	install -m 644 $(filter src/%,$(API)) "$(DESTDIR)$(INCDIR)/moonwire/"
	install -m 755 $(SHARED) "$(DESTDIR)$(CLIBDIR)/$(notdir $(SHARED))"
	ln -sf $(notdir $(SHARED)) "$(DESTDIR)$(CLIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(CLIBDIR)/libmoonwire.so"
	install -m 644 $(STATIC) "$(DESTDIR)$(CLIBDIR)/libmoonwire.a"
	install -m 644 $(PC) "$(DESTDIR)$(CLIBDIR)/pkgconfig/moonwire.pc"

install-lua: lua
	@install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(LIBDIR)/moonwire" "$(DESTDIR)$(LUADIR)"
	install -m 755 $(MAIN) "$(DESTDIR)$(BINDIR)/moonwire"
	install -m 755 $(CORE) "$(DESTDIR)$(LIBDIR)/moonwire/core.so"
	install -m 755 $(EDITOR) "$(DESTDIR)$(LIBDIR)/moonwire/editor.so"
	to=$$(cd "$(DESTDIR)$(LUADIR)" && pwd) && cd lua && find moonwire -name '*.lua' \
	    -exec install -D -m 644 {} "$$to/{}" \;

uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/moonwire"
	rm -rf "$(DESTDIR)$(LIBDIR)/moonwire" "$(DESTDIR)$(LUADIR)/moonwire"
	rm -rf "$(DESTDIR)$(INCDIR)/moonwire"
	rm -f "$(DESTDIR)$(INCDIR)/moonwire.h" "$(DESTDIR)$(CLIBDIR)/pkgconfig/moonwire.pc"
	for file in libmoonwire.a libmoonwire.so $(SONAME) $(notdir $(SHARED)); do \
	    rm -f "$(DESTDIR)$(CLIBDIR)/$$file"; done

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(EDITOR_OBJ:.o=.d) $(HOST_OBJ:.o=.d)
