# Builds moonwire, tests it, installs it.  `make demo` and `make test` also
# install what they need (tools/deps); no other target touches the machine.

BUILD := build
PREFIX := /usr/local
DESTDIR :=
BINDIR = $(PREFIX)/bin
LUADIR = $(PREFIX)/share/lua/5.1
LIBDIR = $(PREFIX)/lib/lua/5.1
CFLAGS := -O2 -g
LUAJIT := luajit

pkg = $(shell pkg-config $(1) 2>/dev/null)
system = $(patsubst -I%,-isystem %,$(1))# no warnings from other people's headers

ifdef LUA_INCDIR
LUA_CFLAGS := -isystem $(LUA_INCDIR)
else
LUA_CFLAGS := $(call system,$(call pkg,--cflags luajit))
endif
LUA_LIBS := $(or $(call pkg,--libs luajit),-lluajit-5.1)

# llhttp: the system's from 9.2 on, else what tools/llhttp has unpacked
ifeq ($(call pkg,--atleast-version=9.2 libllhttp && echo yes),yes)
LLHTTP_CFLAGS := $(call system,$(call pkg,--cflags libllhttp))
LLHTTP_LIBS := $(call pkg,--libs libllhttp)
else
LLHTTP_CFLAGS := -isystem .deps/usr/include
LLHTTP_LIBS := $(wildcard .deps/usr/lib/*/libllhttp.a)
endif

CORE_LIBS := $(LLHTTP_LIBS) -lev $(or $(call pkg,--libs libcares),-lcares) \
	$(or $(call pkg,--libs liburiparser),-luriparser) $(or $(call pkg,--libs zlib),-lz)
MAIN_LIBS := $(LUA_LIBS) $(or $(call pkg,--libs libedit),-ledit)

OWN := -std=c11 -D_GNU_SOURCE -Isrc -Iinclude -Wall -Wextra -Wconversion -Wshadow \
	-Wmissing-prototypes -Wvla -fPIC -fvisibility=hidden -pthread
COMPILE = $(CC) $(OWN) $(LLHTTP_CFLAGS) $(LUA_CFLAGS) $(CPPFLAGS) $(CFLAGS)
OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(sort $(wildcard src/core/*.c src/io/*.c src/lua/*.c)))
MAIN_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/main.c))
CORE := $(BUILD)/moonwire/core.so
MAIN := $(if $(MAIN_OBJ),$(BUILD)/bin/moonwire)
LINK_CORE = $(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,--as-needed \
	-Wl,--version-script=src/moonwire.map -o $(CORE) $(OBJ) $(CORE_LIBS)
LINK_MAIN = $(CC) $(CFLAGS) $(LDFLAGS) -pthread -Wl,-E -o $(MAIN) $(MAIN_OBJ) $(MAIN_LIBS)

.PHONY: all clean FORCE
.DELETE_ON_ERROR:
all: $(CORE) $(MAIN)

# A changed command line is a changed prerequisite: its file is written anew.
$(BUILD)/compile.flags $(BUILD)/core.flags $(BUILD)/main.flags: FORCE
	$(shell mkdir -p $(@D))$(file >$@.new,$($(patsubst compile.flags,COMPILE,$(patsubst core.flags,LINK_CORE,$(patsubst main.flags,LINK_MAIN,$(@F))))))
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

# llhttp before 9.2 takes bare LF, folded headers and a space before the colon.
$(BUILD)/llhttp.ok: $(BUILD)/compile.flags
	@printf '%s\n' '#include <llhttp.h>' \
	    '#if LLHTTP_VERSION_MAJOR * 100 + LLHTTP_VERSION_MINOR < 902' \
	    '#error too old' '#endif' | $(COMPILE) -fsyntax-only -x c - 2>$@.log || { \
	    echo "moonwire needs llhttp 9.2 or later, and this one is missing or older" \
	        "($(or $(call pkg,--modversion libllhttp),none) from pkg-config):" \
	        "run tools/deps build" >&2; exit 1; }
	@rm -f $@.log
	@touch $@

$(BUILD)/obj/%.o: src/%.c $(BUILD)/compile.flags | $(BUILD)/llhttp.ok
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(CORE): $(OBJ) src/moonwire.map $(BUILD)/core.flags
	@mkdir -p $(@D)
	$(LINK_CORE)

$(BUILD)/bin/moonwire: $(MAIN_OBJ) $(BUILD)/main.flags
	@mkdir -p $(@D)
	$(LINK_MAIN)

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d) $(MAIN_OBJ:.o=.d)
