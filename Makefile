# make run      the chat rooms; PORT=8000                make check    style and portability
# make cluster  the same on three servers, with redis-server: PORT and the next two
# make test     every test; needs a C compiler only      make interop  browsers and other libraries
# make asan     the same under ASan and UBSan            make bench    against a baseline
# make tsan     the same under ThreadSanitizer           make install  PREFIX=/usr/local; uninstall
# make msan     bytes and engine under MemorySanitizer   make valgrind the programs of make test
# make m32      the tests with -m32, without TLS         make big_endian the same on s390x, by qemu-user
# make fuzz     libFuzzer, FUZZ_SECONDS=60 each; clang   make sizes    what each switch saves
# make slim     the core alone, or WITHOUT="JSON DEFLATE FIRMWARE": build/slim/ws.h
# make lwip     the loop on lwIP's sockets               make coverage lines and branches that make test reaches
# make windows  tests built with mingw-w64, under wine   make nightly  what takes too long for .ci/run
# make windows32, windows_tls: the same for 32 bit, and with an OpenSSL, whose wine and sources come by apt
# make firmware flash, RAM and stack, on emulated boards make mutants  do the tests notice 300 changes of ws.h? clang

BUILD = build
PREFIX = /usr/local
PORT = 8000
WITHOUT = ENGINE CLIENT HTTP JSON DEFLATE TLS EPOLL FORWARD TEST TRACE STATS FAST DISPATCH HOST UNIX KEEP TRANSPORT \
	WINDOWS LWIP FIRMWARE
FUZZ_SECONDS = 60
CFLAGS = -O1 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
STRICT = -std=c99 -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror
TESTS = $(patsubst %.c,$(BUILD)/%,$(notdir $(wildcard tests/*/test_*.c)))
HELPERS = $(wildcard tests/helpers/*.h)
vpath test_%.c $(addprefix tests/,bytes engine virtual sockets tls)
ifeq ($(shell uname -s),Linux) # sockets once more, on epoll from the start, and on a stand-in for kqueue
SOCKETS = loop loop_late server server_date server_files server_origin server_unix rooms life_reentrancy \
	server_security receive_wire loop_threads server_shutdown server_restart
TESTS += $(addprefix $(BUILD)/epoll_test_,$(SOCKETS))
TESTS += $(addprefix $(BUILD)/kqueue_test_,$(SOCKETS) host poll poll_epoll)
TESTS += $(addsuffix test_client_retry,$(BUILD)/epoll_ $(BUILD)/kqueue_)
TESTS += $(foreach poller,epoll kqueue,$(addprefix $(BUILD)/$(poller)_test_,send_slow send_drain server_half))
TESTS += $(addsuffix test_receive_unfinished,$(BUILD)/epoll_ $(BUILD)/kqueue_)
endif
# With WS_SMALL: all tests but those of what it leaves out. SMALL_NIGHTLY: of code that it does not change, or long.
# SMALL_SANITIZED: of what it changes most; these alone run under sanitizers, too.
SMALL_NIGHTLY = deflate deflate_zlib inflate inflate_zlib permessage_echoes client_reconnect loop_simulation
SMALL = $(filter-out trace loop_spare $(SMALL_NIGHTLY),$(patsubst test_%.c,%,$(notdir $(wildcard tests/*/test_*.c))))
SMALL_SANITIZED = bytes text memory frame sha1 utf8 http http_words heads messages engine engine_deadlines \
	engine_fault engine_split engine_init handshake pipe files poll poll_epoll loop_late loop_threads \
	life_reentrancy receive_wire receive_unfinished receive_tls_pause send_replies send_pressure server_date \
	server_files server_bounds server_security client_life blocking
TESTS += $(addprefix $(BUILD)/small_test_,$(SMALL))
# With WS_SMALL and WS_NO_NET.
TESTS += $(addprefix $(BUILD)/bare_test_,heads messages engine engine_memory engine_deadlines engine_wire engine_fault \
	handshake)
# Without the fast paths (WS_NO_FAST); WS_SMALL has neither these nor what stands in their place.
PLAIN = frame http http_words sha1 text utf8 heads messages handshake engine receive_wire
TESTS += $(addprefix $(BUILD)/plain_test_,$(PLAIN))
TESTS += $(BUILD)/unit_test # an example that is a test
TESTS += $(foreach poller,epoll kqueue,$(addprefix $(BUILD)/$(poller)_test_,client_offers server_peers))
# All programs; of TLS those that test it over its own sockets.
WINDOWS_OF_TLS = $(addprefix $(BUILD)/windows/test_,tls tls_certificates tls_handshake tls_trust receive_tls_pause)
WINDOWS = $(filter-out $(WINDOWS_OF_TLS),$(patsubst %.c,$(BUILD)/windows/%,$(notdir $(wildcard tests/*/test_*.c))))
WINDOWS_TLS = $(WINDOWS_OF_TLS) $(addprefix $(BUILD)/windows/test_,session client_urls)
BOUNDARY = $(addprefix $(BUILD)/,echo rooms wscat driver $(addprefix windows/,echo.exe rooms.exe client.exe \
	wscat.exe short_wscat.exe driver.exe))
EXAMPLES = $(patsubst examples/%.c,$(BUILD)/%,$(wildcard examples/*.c))
INTEROP = $(addprefix $(BUILD)/,driver peers slow forward wpt differential)
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell getconf _NPROCESSORS_ONLN)
endif

# wss:// needs OpenSSL's headers. TLS=no leaves it out even where they are.
has = $(shell $(CC) -E -include $(1) -x c /dev/null >/dev/null 2>&1 && echo yes)
TLS := $(call has,openssl/ssl.h)
ifeq ($(TLS),yes)
TLS_LIBS = -lssl -lcrypto
else
CPPFLAGS = -DWS_NO_TLS
ifneq ($(filter-out clean install uninstall check slim,$(if $(filter 0,$(MAKELEVEL)),$(or $(MAKECMDGOALS),all))),)
$(info Without OpenSSL (or with TLS=no): no wss://, and the tests of TLS are skipped.)
endif
endif

.DELETE_ON_ERROR: # or half of build/code/ws.h would pass for the whole
.PHONY: all run cluster test tests_notls small examples windows windows32 windows_programs windows_tls \
	windows_tls_programs asan tsan msan m32 big_endian valgrind coverage mutants programs nightly fuzz \
	check interop bench sizes firmware lwip slim install uninstall clean

all: examples

run: $(BUILD)/rooms
	@$(BUILD)/rooms $(PORT)

REDIS = redis://127.0.0.1:6379
cluster: $(BUILD)/cluster # ends with Ctrl-C
	@redis-server --port 6379 --bind 127.0.0.1 --save '' --dir $(BUILD) >$(BUILD)/redis.log 2>&1 & \
	for i in 1 2 3 4 5 6 7 8 9 10; do redis-cli -u $(REDIS) ping >/dev/null 2>&1 && break; sleep 0.2; done; \
	redis-cli -u $(REDIS) ping >/dev/null 2>&1 || echo "redis-server does not answer: see $(BUILD)/redis.log"; \
	for i in 0 1 2; do $(BUILD)/cluster $$(($(PORT) + i)) --redis $(REDIS) & done; trap : INT; wait

PROGRAMS = $(filter-out $(LEFT_OUT),$(filter $(ONLY),$(TESTS)))
ONLY = %
test: $(PROGRAMS)
	@LEFT_OUT="$(filter $(LEFT_OUT),$(filter $(ONLY),$(TESTS)))" tests/run $(PROGRAMS)

small: $(addprefix $(BUILD)/small_test_,$(SMALL_NIGHTLY)) # what make test leaves to make nightly
	@tests/run $^

examples: $(EXAMPLES)

WINEBOOT = WINEDEBUG=-all wineboot -i
windows: $(WINDOWS) $(BOUNDARY) # under wine
	@$(WINEBOOT) >$(BUILD)/windows/wineboot.log 2>&1
	@tests/run $(WINDOWS) -- tests/interop/windows.py # its Ctrl-C ends other programs of wine, too

windows32: # the same for 32 bit
	@tests/wine32 --make
	@$(MAKE) windows_programs BUILD=$(BUILD)/windows32 MINGW=i686-w64-mingw32 WINE=tests/wine32
windows_programs: $(WINDOWS)
	@tests/run $^

windows_tls: $(BUILD)/echo $(BUILD)/wscat $(BUILD)/driver
	@tests/openssl_mingw
	@$(WINEBOOT) >$(BUILD)/openssl_mingw/wineboot.log 2>&1
	@$(MAKE) windows_tls_programs BUILD=$(BUILD)/windows_tls OPENSSL=$(BUILD)/openssl_mingw
windows_tls_programs: $(WINDOWS_TLS) $(addprefix $(BUILD)/windows/,echo.exe client.exe driver.exe)
	@tests/run $(WINDOWS_TLS) -- tests/interop/windows_tls.py

asan: # by clang where it is: it compiles in half the time, and finds offsets of NULL
	@$(MAKE) test $(ASAN)
ASAN = BUILD=build/asan INLINE=no SMALL="$(SMALL_SANITIZED)" CFLAGS="-O0 -g" $(if $(shell command -v clang),CC=clang) \
	SANITIZE="-U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all" OBJECT="-shared -fPIC"

tsan:
	@$(MAKE) test BUILD=build/tsan SMALL="$(SMALL_SANITIZED)" SANITIZE="-U_FORTIFY_SOURCE -fsanitize=thread"

big_endian valgrind: export TEST_SECONDS = 3600 # for a program, which runs many times slower

# Of libraries these three have only libc.
ALONE = TLS=no HOSTS= LEFT_OUT="%_zlib $(LEAVE)"
msan: # what stands above WS_NO_NET
	@$(MAKE) test BUILD=build/msan $(ALONE) CC=clang CFLAGS="-O0 -g" ONLY="$(PURE:test_%.c=\%test_%)" \
		SANITIZE="-U_FORTIFY_SOURCE -fsanitize=memory -fsanitize-memory-track-origins -fno-sanitize-recover=all"
PURE = $(notdir $(wildcard tests/bytes/*.c tests/engine/*.c))

m32:
	@$(MAKE) test BUILD=build/m32 $(ALONE) CC="gcc -m32 -D_FILE_OFFSET_BITS=64"

big_endian: LEAVE = %_server_restart # which starts itself anew, emulated no longer
big_endian: # s390x
	@TEST_RUN="qemu-s390x -L /usr/s390x-linux-gnu" $(MAKE) test BUILD=build/s390x $(ALONE) CFLAGS="-O0 -g" \
		CC="clang --target=s390x-linux-gnu" COUNT_BLOCKS=

valgrind: # the programs of make test
	@TEST_RUN="valgrind -q --error-exitcode=9 --leak-check=full" TEST_QUICK=1 $(MAKE) test

coverage: # of ws.h, by gcc: lines and branches of each section; and what is only there without TLS
	@rm -f build/coverage/*.gcda build/coverage_notls/*.gcda
	@status=0; $(MAKE) test $(COVER) BUILD=build/coverage || status=1; \
	$(MAKE) tests_notls $(COVER) BUILD=build/coverage_notls TLS=no || status=1; \
	tests/coverage build/coverage build/coverage_notls && exit $$status
COVER = CC=gcc CFLAGS="-O0 -g -Dalways_inline=" COVERAGE=--coverage
NOTLS = $(addprefix $(BUILD)/test_,session server server_config client_urls tls_none)
tests_notls: $(NOTLS)
	@tests/run $(NOTLS)

mutants: # MUTANTS=300 or all, SECTION="FRAME HTTP", ONLY="%_frame %_http", SEED=...: tests/mutants
	@$(MAKE) programs $(MUTATED)
	@ASAN='$(MUTATED) ONLY="$(ONLY)" LEFT_OUT="$(LEFT_OUT)"' tests/mutants
MUTATED = $(if $(filter no,$(SANITIZED)),BUILD=build/quick INLINE=no SMALL="$(SMALL_SANITIZED)" CC=clang CFLAGS=-O1 \
	OBJECT="-shared -fPIC",$(ASAN))
programs: $(PROGRAMS)

nightly: # one by one: what takes too long for .ci/run
	@for target in small mutants tsan msan m32 big_endian valgrind fuzz; do \
		$(MAKE) $$target || failed="$$failed $$target"; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

fuzz: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
	@for target in $^; do mkdir -p $$target.corpus; seeds=tests/fuzz/corpus/$${target##*/fuzz_}; \
		[ -d $$seeds ] || seeds=; \
		$$target -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -artifact_prefix=$(BUILD)/fuzz/ $$target.corpus $$seeds \
			|| exit 1; done

check:
	@tests/check

interop: examples $(INTEROP) $(BUILD)/echoes
	@tests/interop/run

bench:
	@tests/bench/run

sizes:
	@tests/sizes

firmware: $(BUILD)/echo
	@python3 -B tests/firmware/firmware.py

lwip:
	@tests/lwip/run

slim: # ws.h without what the switches WS_NO_... of these names leave out
	@mkdir -p $(BUILD)/slim
	@awk -v without="$(WITHOUT)" -f tests/slim.awk ws.h ws.h > $(BUILD)/slim/ws.new || { rm $(BUILD)/slim/ws.new; exit 1; }
	@mv $(BUILD)/slim/ws.new $(BUILD)/slim/ws.h
	@wc -l $(BUILD)/slim/ws.h

HEADER = $(DESTDIR)$(PREFIX)/include/ws.h
PACKAGE = $(DESTDIR)$(PREFIX)/share/pkgconfig/ws.pc
CONFIG = $(DESTDIR)$(PREFIX)/share/cmake/ws
FILL = sed -e 's|@PREFIX@|$(PREFIX)|' -e "s|@VERSION@|$$(sed -n 's/^\#define WS_VERSION "\(.*\)"/\1/p' ws.h)|" \
	-e 's|@TLS@|$(TLS)|' -e 's|@REQUIRES@|$(if $(TLS_LIBS),openssl)|' \
	-e 's|@SWITCHES@|$(if $(TLS_LIBS),, -DWS_NO_TLS=)|'

install: ws.h # for pkg-config and CMake, too; with TLS=no neither asks for OpenSSL
	@case '$(PREFIX)' in /*) ;; *) echo "PREFIX=$(PREFIX) is not an absolute path"; exit 1 ;; esac
	mkdir -p '$(DESTDIR)$(PREFIX)/include' '$(DESTDIR)$(PREFIX)/share/pkgconfig' '$(CONFIG)'
	cp ws.h '$(HEADER)'
	@$(FILL) packaging/ws.pc.in >'$(PACKAGE)'
	@$(FILL) packaging/ws-config.cmake.in >'$(CONFIG)/ws-config.cmake'
	@$(FILL) packaging/ws-config-version.cmake.in >'$(CONFIG)/ws-config-version.cmake'

uninstall:
	rm -f '$(HEADER)' '$(PACKAGE)'
	rm -rf '$(CONFIG)'

clean:
	rm -rf build

# The functions of ws.h are compiled once for each flavour, and once more where system calls go through calls.h; tests
# see their declarations. Those that define something of their own before they include ws.h are compiled with it whole.
# With OBJECT="-shared -fPIC" a program takes the object of the folder in which it is started: tests/mutants.
# INLINE=no: what is inline is in the object, too, and so in the one that tests/mutants makes.
OBJECT = -c
INLINE = yes
FLAVOURS = $(BUILD)/ $(BUILD)/small_ $(BUILD)/bare_ $(BUILD)/plain_ $(BUILD)/epoll_ $(BUILD)/kqueue_ $(BUILD)/windows/
OBJECTS = $(addsuffix ws.o,$(FLAVOURS)) $(addsuffix ws_calls.o,$(FLAVOURS))
PARTS = $(foreach part,code declarations,$(addprefix $(BUILD)/$(part)/,ws.h calls.h))
POLLER = -DWSI_POLLER_DEFAULT=WS_POLLER_EPOLL
$(BUILD)/small_%: FLAVOUR = -DWS_SMALL
$(BUILD)/bare_%: FLAVOUR = -DWS_SMALL -DWS_NO_NET -DWS_NO_DEFLATE -DWS_NO_JSON
$(BUILD)/bare_%: TLS_LIBS = # which proves that none is needed
$(BUILD)/plain_%: FLAVOUR = -DWS_NO_FAST
$(BUILD)/epoll_%: FLAVOUR = $(POLLER)
$(BUILD)/kqueue_%: FLAVOUR = -Itests/helpers/kqueue -DWSI_KQUEUE $(POLLER)
$(BUILD)/kqueue_test_poll_epoll: POLLER = # it moves by itself
MINGW = x86_64-w64-mingw32
WINE = wine
WINDOWS_HELPERS = $(wildcard tests/helpers/windows/*.h tests/helpers/windows/*/*.h)
$(BUILD)/windows/ws_calls.o: $(WINDOWS_HELPERS)
$(BUILD)/windows/%: override CC = $(MINGW)-gcc
$(BUILD)/windows/%: STRICT = -std=c99 -Wall -Wextra -Wno-format -Wno-maybe-uninitialized -Werror
OPENSSL = # where one for mingw-w64 lies
$(BUILD)/windows/%: FLAVOUR = $(if $(OPENSSL),-isystem $(OPENSSL)/include,-DWS_NO_TLS) -D_FILE_OFFSET_BITS=64 \
	-DFD_SETSIZE=1024 -Itests/helpers/windows -static
WINDOWS_LIBS = $(if $(OPENSSL),-L$(OPENSSL) -lssl -lcrypto -lcrypt32) -lws2_32 -lbcrypt
$(BUILD)/windows/%: LDLIBS = $(WINDOWS_LIBS)
$(BUILD)/windows/%: CFLAGS = -O1
$(BUILD)/windows/%: TLS_LIBS =
COMPILE = $(CC) $(STRICT) $(CPPFLAGS) $(FLAVOUR) $(CFLAGS) $(SANITIZE) $(if $(filter $(BUILD)/bare_%,$@),,-pthread)

$(filter %/ws.h,$(PARTS)): ws.h
$(filter %/calls.h,$(PARTS)): tests/helpers/calls.h
$(PARTS): tests/parts.awk
	@mkdir -p $(@D)
	@awk -v part=$(notdir $(@D)) -v inline=$(INLINE) -f tests/parts.awk \
		$(filter %/$(@F) $(@F),$^) $(filter %/$(@F) $(@F),$^) >$@

$(OBJECTS): $(PARTS)
	@mkdir -p $(@D)
	$(COMPILE) $(COVERAGE) $(if $(filter %_calls.o,$@),-include $(BUILD)/declarations/calls.h) -DWS_IMPLEMENTATION \
		$(OBJECT) -x c $(BUILD)/code/ws.h -o $@

HASH := \#
OWN := $(shell awk 'FNR == 1 { before = 1 } /^$(HASH)include ".*\/ws\.h"/ { before = 0 } before && /^$(HASH)/ && \
	!/define WS_IMPLEMENTATION$$|include ".*\/calls\.h"$$/ && !told[FILENAME]++ { print FILENAME }' tests/*/test_*.c)
CALLING := $(filter-out $(OWN),$(shell grep -l '^$(HASH)include ".*/calls.h"' tests/*/test_*.c))
QUIET := $(filter-out $(OWN) $(CALLING),$(wildcard tests/*/test_*.c))
programs_of = $(filter-out $(BUILD)/kqueue_test_poll_epoll,$(patsubst %.c,$(1)%,$(notdir $(2))))
$(foreach flavour,$(FLAVOURS),$(eval $(call programs_of,$(flavour),$(CALLING)): $(flavour)ws_calls.o))
$(foreach flavour,$(FLAVOURS),$(eval $(call programs_of,$(flavour),$(QUIET)): $(flavour)ws.o))

# What PROGRAMS has functions of ws.h from, which tests/mutants builds again.
object_of = $(if $(filter $(call programs_of,$(1),$(2)),$(PROGRAMS)),$(3))
OF_MUTANTS = $(foreach flavour,$(FLAVOURS),$(call object_of,$(flavour),$(QUIET),$(flavour)ws.o) \
	$(call object_of,$(flavour),$(CALLING),$(flavour)ws_calls.o)) \
	$(foreach test,$(patsubst %.c,%,$(notdir $(OWN))) unit_test,$(filter $(BUILD)/$(test) $(BUILD)/%_$(test),$(PROGRAMS)))

# The compiler reads the test from a pipe, where it includes the declarations.
define TEST
@mkdir -p $(@D)
$(if $(filter $(OBJECTS),$^), { echo '#line 1 "$<"'; sed -e 's|"[./]*/ws\.h"|<declarations/ws.h>|' \
	-e 's|"[./a-z]*/calls\.h"|<code/calls.h>|' $<; } | \
	$(COMPILE) $(TEST_FLAGS) -I$(BUILD) -iquote $(<D) -x c - -x none, $(COMPILE) $(COVERAGE) $(TEST_FLAGS) $<) \
	$(filter $(OBJECTS),$^) -o $@ $(LDFLAGS) $(LDLIBS) $(TLS_LIBS) $(if $(COVERAGE),-lgcov)
endef
$(BUILD)/test_%: test_%.c ws.h $(HELPERS)
	$(TEST)
$(BUILD)/small_test_%: test_%.c ws.h $(HELPERS)
	$(TEST)
$(BUILD)/bare_test_%: test_%.c ws.h $(HELPERS)
	$(TEST)
$(BUILD)/plain_test_%: test_%.c ws.h $(HELPERS)
	$(TEST)
$(BUILD)/epoll_test_%: test_%.c ws.h $(HELPERS)
	$(TEST)
$(BUILD)/kqueue_test_%: test_%.c ws.h $(HELPERS) $(wildcard tests/helpers/kqueue/sys/*.h)
	$(TEST)

$(BUILD)/windows/%.exe: examples/%.c ws.h $(wildcard examples/*.h)
	@mkdir -p $(@D)
	$(COMPILE) $< -o $@ $(LDLIBS)
$(BUILD)/windows/short_%.exe: examples/%.c ws.h $(wildcard examples/*.h) $(WINDOWS_HELPERS)
	@mkdir -p $(@D)
	$(COMPILE) -include tests/helpers/windows/short.h $< -o $@ $(LDLIBS)
$(BUILD)/windows/%.exe: tests/interop/%.c ws.h
	@mkdir -p $(@D)
	$(COMPILE) $< -o $@ $(LDLIBS)

$(BUILD)/windows/test_%: test_%.c ws.h $(HELPERS) $(WINDOWS_HELPERS)
	$(TEST)
	@printf '#!/bin/bash\nset -o pipefail\nWINEDEBUG=-all $(WINE) "$$0.exe" "$$@" | tr -d "\\r"\n' > $@ # runs it
	@chmod +x $@

COUNTED = $(1)test_memory_cost $(1)test_memory_peer
%test_memory_cost %test_memory_peer: LDLIBS = $(BUILD)/count.o $(COUNT_BLOCKS)
$(call COUNTED,$(BUILD)/windows/): LDLIBS = $(BUILD)/windows/count.o $(COUNT_BLOCKS) $(WINDOWS_LIBS)
$(call COUNTED,$(BUILD)/) $(call COUNTED,$(BUILD)/small_): $(BUILD)/count.o
$(call COUNTED,$(BUILD)/windows/): $(BUILD)/windows/count.o
$(BUILD)/count.o $(BUILD)/windows/count.o: tests/helpers/count.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O1 -c $< -o $@
COUNT_BLOCKS = $(if $(COVERAGE),,$(shell $(CC) -fsanitize-coverage=trace-pc -E -x c /dev/null >/dev/null 2>&1 && \
	echo -fsanitize-coverage=trace-pc)) # not with --coverage: without optimization there are more

%test_tls_none: TLS_LIBS = # which proves that none is needed
ifeq ($(TLS)$(call has,mbedtls/ssl.h),yesyes)
%test_transport: LDLIBS = -lmbedtls -lmbedx509 -lmbedcrypto
$(BUILD)/windows/test_transport: LDLIBS = $(WINDOWS_LIBS)
endif
ifeq ($(call has,zlib.h),yes)
%test_inflate_zlib %test_deflate_zlib $(BUILD)/fuzz/fuzz_inflate: LDLIBS = -lz
endif
$(BUILD)/windows/test_inflate_zlib $(BUILD)/windows/test_deflate_zlib: LDLIBS = -lws2_32 -lbcrypt \
	$(if $(shell $(MINGW)-gcc -E -include zlib.h -x c /dev/null >/dev/null 2>&1 && echo yes),-lz)

HOSTS = $(shell for host in libuv glib-2.0; do pkg-config --exists $$host 2>/dev/null && echo $$host; done)
%test_host: TEST_FLAGS = $(addprefix -DHAS_,$(HOSTS:-2.0=)) \
	$(patsubst -I%,-isystem %,$(if $(HOSTS),$(shell pkg-config --cflags-only-I $(HOSTS))))
%test_host: LDLIBS = $(if $(HOSTS),$(shell pkg-config --libs $(HOSTS)))
$(BUILD)/windows/test_host: TEST_FLAGS =
$(BUILD)/windows/test_host: LDLIBS = -lws2_32 -lbcrypt

$(BUILD)/fuzz/fuzz_server $(BUILD)/fuzz/fuzz_client: LDLIBS = -lz -lssl -lcrypto
$(BUILD)/fuzz/%: tests/fuzz/%.c ws.h $(HELPERS) $(wildcard tests/fuzz/*.h)
	@mkdir -p $(BUILD)/fuzz
	clang $(STRICT) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $< -o $@ $(LDLIBS)

$(EXAMPLES): $(wildcard examples/*.h)
$(EXAMPLES) $(INTEROP): CFLAGS = -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
$(BUILD)/%: examples/%.c ws.h
	@mkdir -p $(BUILD)
	$(CC) $(STRICT) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -pthread $< -o $@ $(LDFLAGS) $(LDLIBS) $(TLS_LIBS)

$(BUILD)/echoes: tests/engine/test_permessage_echoes.c ws.h $(HELPERS)
	@mkdir -p $(BUILD)
	$(CC) $(STRICT) -O2 $< -o $@

$(INTEROP): $(BUILD)/%: tests/interop/%.c ws.h
	@mkdir -p $(BUILD)
	$(CC) $(STRICT) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -pthread $< -o $@ $(LDFLAGS) $(LDLIBS) $(TLS_LIBS)
