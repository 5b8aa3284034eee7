#!/usr/bin/python3
"""make firmware: examples/firmware.c for microcontrollers. Its flash, RAM and stack, and whether they grew; then it
runs in QEMU, as a server and as a client, over the emulated board's UART."""
import base64
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

WORK = "build/emulated/"  # build/firmware is the example
FLAGS = ["-I.", "-Os", "-ffunction-sections", "-fdata-sections", "-DNDEBUG", "-DBOARD", "-DWS_NO_NET", "-DWS_NO_JSON",
         "-DWS_NO_DEFLATE", "-DWS_SMALL", "-DWS_NO_ALLOC", "-Wall", "-Wextra", "-Werror", "-nostartfiles",
         "-Wl,--gc-sections", "-Ttests/firmware/board.ld"]
M4, M0 = ["-mthumb", "-mcpu=cortex-m4", "-DBOARD_CLOCK=25000000"], ["-mthumb", "-mcpu=cortex-m0plus",
                                                                   "-DBOARD_NRF51", "-DBOARD_CLOCK=16000000"]
RV32 = ["-march=rv32imc", "-mabi=ilp32", "-DBOARD_NRF51"]  # linked only: no such board is emulated here
NANO, PICO = ["--specs=nano.specs"], ["--specs=picolibc.specs"]
SERVER, CLIENT = ["-DWS_NO_CLIENT"], ["-DWS_NO_SERVER"]
ARM, RISCV = "arm-none-eabi-", "riscv64-unknown-elf-"
BUILDS = {  # name: tools, flags
    "m4": (ARM, M4 + NANO + SERVER), "m4-client": (ARM, M4 + NANO + CLIENT),
    "m4-pico": (ARM, M4 + PICO + SERVER + ["-flto"]), "m0": (ARM, M0 + PICO + SERVER),
    "m4-both": (ARM, M4 + NANO), "m4-fast": (ARM, M4 + NANO + SERVER + ["-UWS_SMALL"]),
    "m0-client": (ARM, M0 + PICO + CLIENT), "rv32": (RISCV, RV32 + PICO + SERVER)}
FIGURES = (  # name, title, at first, last measured: the most it may be, target
    ("m4", "flash, Cortex-M4, newlib-nano", 21124, 8416, 9000),
    ("m4-pico", "flash, Cortex-M4, picolibc, -flto", 19120, 8064, 8192),
    ("library", "of it the library's own (newlib-nano)", 18400, 7887, 8000),
    ("m4-client", "flash, Cortex-M4, newlib-nano, client", 21208, 7840, 9500),
    ("m0", "flash, Cortex-M0+, picolibc", 21216, 8608, 9500),
    ("m0-client", "flash, Cortex-M0+, picolibc, client", None, 8088, 9500),
    ("rv32", "flash, rv32imc, picolibc", 24372, 9736, 11000),
    ("ram", "RAM of a connection beside its buffers", 408, 200, 200),
    ("stack", "deepest stack, Cortex-M4, server", 1504, 496, 512),
    ("stack-client", "deepest stack, Cortex-M4, client", None, 472, 512))
UNWANTED = {  # what a program for a microcontroller should not link
    "allocation": r"_?(malloc|free|realloc|calloc)(_r)?|_sbrk(_r)?",
    "stdio": r"_?[vsf]*n?printf(_r)?|_?puts(_r)?|stdout",
    "float": r"__aeabi_[fd](add|sub|mul|div).*|__(add|sub|mul|div)[sd]f3", "locale": r".*locale.*",
    "64-bit division": r"__aeabi_u?ldivmod|__u?(div|mod)di3|__udivmoddi4"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
counts = {"passed": 0, "failed": 0, "skipped": 0}
found = {}


def expect(name, good, detail=""):
    counts["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED  firmware: {name}: {detail!r}", flush=True)


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


# --- sizes --------------------------------------------------------------------------------------------------------

def library(path):
    """The bytes that the library has in a program: its map's input sections of firmware.o but the program's own."""
    with open(path, encoding="utf-8") as file:
        text = file.read().split("Linker script and memory map")[1]
    text = re.sub(r"^( \.\S+)\n +0x", r"\1 0x", text, flags=re.M)
    total = 0
    for name, size in re.findall(r"^ \.(\S+) +0x[0-9a-f]+ +0x([0-9a-f]+) \S*firmware\.o$", text, re.M):
        if name.startswith(("text", "rodata")) and not name.endswith((".serve", ".config", ".on_event")):
            total += int(size, 16)
    return total


def build(name):
    tools, flags = BUILDS[name]
    elf = f"{WORK}{name}.elf"
    objects = []
    for source in ("examples/firmware.c", "tests/firmware/board.c"):
        objects.append(f"{WORK}{name}-{os.path.basename(source)[:-2]}.o")
        output(tools + "gcc", *FLAGS, *flags, "-c", source, "-o", objects[-1])
    output(tools + "gcc", *FLAGS, *flags, f"-Wl,-Map={elf}.map", *objects, "-o", elf)
    text, data = output(tools + "size", elf).splitlines()[1].split()[:2]
    found[name] = int(text) + int(data)
    symbols = output(tools + "nm", "-S", elf)
    names = set(re.findall(r"(\S+)$", symbols, re.M))
    for what, pattern in UNWANTED.items():
        guilty = sorted(each for each in names if re.fullmatch(pattern, each))
        if guilty and name != "m4-fast":
            found.setdefault("linked", {}).setdefault(what, []).append(f"{name}: {' '.join(guilty)}")
    if name == "m4":
        found["library"] = library(elf + ".map")
        found["ram"] = int(re.search(r"^\S+ (\S+) \S engine$", symbols, re.M).group(1), 16)
    return {line.split()[-1]: int(line.split()[0], 16) for line in symbols.splitlines()}


# --- an emulated board --------------------------------------------------------------------------------------------

class Board:
    def __init__(self, name, machine, symbols):
        self.name, self.symbols, self.deepest, self.line = name, symbols, 0, None
        self.paths = [f"{WORK}{name}.{end}" for end in ("uart", "control", "stack")]
        for path in self.paths:
            if os.path.exists(path):
                os.remove(path)
        self.process = subprocess.Popen(
            ["qemu-system-arm", "-M", machine, "-display", "none", "-monitor", "none", "-kernel", f"{WORK}{name}.elf",
             "-chardev", f"socket,id=line,path={self.paths[0]},server=on,wait=off", "-serial", "chardev:line",
             "-qmp", f"unix:{self.paths[1]},server=on,wait=off", "-S"])
        self.control = self.attach(self.paths[1]).makefile("rw")
        self.answer("QMP")
        self.ask("qmp_capabilities")

    @staticmethod
    def attach(path):
        for _ in range(400):
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(60)
            try:
                line.connect(path)
                return line
            except OSError:
                line.close()
                time.sleep(0.05)
        raise TimeoutError(path)

    def answer(self, key, value=None):
        while True:
            said = json.loads(self.control.readline())
            if key in said and (value is None or said[key] == value):
                return said
            if "error" in said:
                raise RuntimeError(said)

    def ask(self, command, **arguments):
        self.control.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.control.flush()
        if command == "system_reset":
            return self.answer("event", "RESET")
        return self.answer("return")

    def measure(self):
        """How much of the stack is no longer painted."""
        start, top = (self.symbols[name] for name in ("board_end", "board_top"))
        self.ask("memsave", val=start, size=top - start, filename=self.paths[2])
        with open(self.paths[2], "rb") as file:
            stack = file.read()
        painted = 0
        while stack[painted:painted + 4] == b"\xc5" * 4:
            painted += 4
        if painted:  # else it has not run yet
            self.deepest = max(self.deepest, len(stack) - painted)

    def start(self):
        """Begins anew, with nothing on the line."""
        self.ask("stop")
        self.measure()
        if self.line:
            self.line.close()
        self.line = self.attach(self.paths[0])
        self.ask("system_reset")
        self.ask("cont")

    def read(self, size):
        got = b""
        while len(got) < size:
            part = self.line.recv(size - len(got))
            if not part:
                break
            got += part
        return got

    def items(self, count, masked):
        """So many control frames and whole messages, without masks; None where one is masked the wrong way."""
        got, kind, message = [], 0, b""
        while len(got) < count:
            header = self.read(2)
            if len(header) < 2 or (header[1] >> 7) != masked:
                return None
            size = header[1] & 127
            if size > 125:
                size = int.from_bytes(self.read({126: 2, 127: 8}[size]), "big")
            key = self.read(4) if masked else bytes(4)
            part = bytes(byte ^ key[k & 3] for k, byte in enumerate(self.read(size)))
            if header[0] & 8:
                got.append((header[0], part))
                continue
            kind, message = (header[0] & 15, part) if header[0] & 15 else (kind, message + part)
            if header[0] & 0x80:
                got.append((0x80 | kind, message))
        return got

    def head(self):
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            got += self.read(1) or b"\r\n\r\n"
        return got.decode()

    def end(self):
        self.ask("stop")
        self.measure()
        self.process.kill()
        self.process.wait(20)


# --- the protocol -------------------------------------------------------------------------------------------------

def head(*lines):
    return "\r\n".join(lines + ("", "")).encode()


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = head("GET / HTTP/1.1", "Host: 192.168.4.1", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")
FIREFOX = head("GET /chat HTTP/1.1", "Host: 192.168.4.1",
               "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Accept: */*",
               "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate", "Sec-WebSocket-Version: 13",
               "Origin: http://192.168.4.1", "Sec-WebSocket-Protocol: echo",
               "Sec-WebSocket-Extensions: permessage-deflate", f"Sec-WebSocket-Key: {KEY}", "DNT: 1",
               "Cookie: session=0123456789abcdef0123456789abcde",
               "Connection: keep-alive, Upgrade", "Pragma: no-cache", "Cache-Control: no-cache", "Upgrade: websocket")
CHROMIUM = head("GET /chat HTTP/1.1", "Host: 192.168.4.1", "Connection: Upgrade", "Pragma: no-cache",
                "Cache-Control: no-cache", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
                "like Gecko) Chrome/126.0.0.0 Safari/537.36", "Upgrade: websocket", "Origin: http://192.168.4.1",
                "Sec-WebSocket-Version: 13", "Accept-Encoding: gzip, deflate", "Accept-Language: en-US,en;q=0.9",
                f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
                "Sec-WebSocket-Protocol: chat, echo")


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def frames(data):
    """The frames of a stream without masks."""
    out, i = [], 0
    while i < len(data):
        size, start = data[i + 1] & 127, i + 2
        extended = {126: 2, 127: 8}.get(size, 0)
        if extended:
            size = int.from_bytes(data[start:start + extended], "big")
        start += extended
        out.append((data[i], data[start:start + size]))
        i = start + size
    return out


def cases(board):
    """All but those of messages that are too long: in chunks none is; and those that cases.c leaves out."""
    output("cc", "-O1", "tests/firmware/cases.c", "-o", WORK + "cases")
    left_out = {"a message over the limit: in chunks none is": 0, "more bytes than a board's line carries in time": 0}
    limit, long = left_out
    for line in output(WORK + "cases").splitlines():
        name, *columns = line.split("\t")
        to_server, to_client, back = (bytes.fromhex(column) for column in columns or ("", "", ""))
        if back and not back.endswith(b"\x88\x02\x03\xf1"):
            yield name, to_server, to_client, frames(back)
        elif back or columns:
            left_out[limit] += 1
        else:
            left_out[long] += 1
    for why, count in left_out.items():
        print(f"left out: firmware: {board.name}: {count} wire cases: {why}")


def shake(board, request=PLAIN):
    board.start()
    board.line.sendall(request)
    return board.head()


def run_cases(board, client):
    for name, to_server, to_client, wanted in cases(board):
        if client:
            key = meet(board)
            board.line.sendall(answer(key) + to_client)
            board.read(11)  # hello
        else:
            shake(board)
            board.line.sendall(to_server)
        got = board.items(len(wanted), client)
        expect(f"{board.name}: case {name}", got == wanted, (got, wanted))


def run_server(board):
    expect("Firefox's head has 532 bytes", len(FIREFOX) == 532, len(FIREFOX))
    for name, request, protocol in (("plain", PLAIN, ""), ("Firefox", FIREFOX, "echo"), ("Chromium", CHROMIUM, "echo")):
        got = shake(board, request)
        wanted = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                  f"Sec-WebSocket-Accept: {accept(KEY)}"]
        wanted += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
        expect(f"{board.name}: head: {name}", got == head(*wanted).decode(), got)
        board.line.sendall(masked(0x81, "Grüße".encode()) + masked(0x82, bytes(range(256))) + masked(0x89, b"?"))
        got = board.items(3, False)
        expect(f"{board.name}: echo: {name}", got == [(0x81, "Grüße".encode()), (0x82, bytes(range(256))),
                                                      (0x8a, b"?")], got)
    board.line.sendall(masked(0x82, bytes(range(256)) * 39))
    expect(f"{board.name}: echo of 9984 bytes", board.items(1, False) == [(0x82, bytes(range(256)) * 39)])
    board.line.sendall(masked(0x88, b"\x03\xe8"))
    expect(f"{board.name}: close", board.read(4) == b"\x88\x02\x03\xe8")
    board.line.sendall(PLAIN)  # the next connection, without a reset
    expect(f"{board.name}: the next connection", board.head().startswith("HTTP/1.1 101 "))
    for status, old, new in ((403, b"//192.168.4.1", b"//elsewhere.org"), (400, b"Host:", b"Hos :"),
                             (426, b"Version: 13", b"Version: 12"), (400, KEY.encode(), b"short"),
                             (400, b"; client_max", b"; =client_max"),
                             (431, b"\r\nOrigin", b"\r\nX: " + 800 * b"x" + b"\r\nOrigin")):
        got = shake(board, CHROMIUM.replace(old, new))
        expect(f"{board.name}: status {status}", got.startswith(f"HTTP/1.1 {status} "), got)
    if board.name == "m4":  # its clock is slow where the machine is busy; one board is enough
        board.start()
        board.line.sendall(PLAIN[:60])
        expect(f"{board.name}: an unfinished head is refused in time", board.head().startswith("HTTP/1.1 408 "))


def masked(first, payload, key=b"\x12\x9a\x5c\xe7"):
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([first]) + size + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def meet(board):
    """A client's head; its key."""
    board.start()
    return re.search("Sec-WebSocket-Key: (.*)\r", board.head()).group(1)


def answer(key, *more):
    return head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Accept: " + accept(key), *more)


def run_client(board):
    key = meet(board)
    board.line.sendall(answer(key))
    expect(f"{board.name}: hello", board.items(1, True) == [(0x81, b"hello")])
    for name, text in (("a wrong accept", answer(KEY)), ("a protocol that was not offered",
                                                         answer(key, "Sec-WebSocket-Protocol: echo")),
                       ("404", head("HTTP/1.1 404 Not Found", "Content-Length: 0"))):
        meet(board)
        board.line.sendall(text)
        got = board.head()  # of the next attempt: nothing was sent to this server
        expect(f"{board.name}: {name}", got.startswith("GET / HTTP/1.1\r\n"), got)
    run_echo(board)


def run_echo(board):
    """Against examples/echo.c: a hundred echoes of one another, until the server shuts down."""
    server = subprocess.Popen(["build/echo", "0"], stdout=subprocess.PIPE, text=True)
    port = int(re.search(r":(\d+)/", server.stdout.readline()).group(1))
    peer = socket.create_connection(("127.0.0.1", port), 20)
    board.start()
    peer.sendall(board.head().encode())
    to_board, to_server, shut = b"", b"", False
    lines = {peer: board.line, board.line: peer}
    while True:
        for line in select.select(list(lines), [], [], 20)[0]:
            part = line.recv(4096)
            to_board, to_server = (to_board + part, to_server) if line is peer else (to_board, to_server + part)
            lines[line].sendall(part)
        if to_board.count(b"\x81\x05hello") >= 100 and not shut:
            server.send_signal(signal.SIGTERM)
            shut = True
        if server.poll() is not None or not lines:
            break
    status = server.wait(20)
    peer.close()
    expect(f"{board.name}: with examples/echo.c", status == 0 and to_board.count(b"\x81\x05hello") >= 100,
           (status, to_board[:200]))


# --- the loop on lwIP's sockets: linked, without lwIP itself; make lwip runs it on a host --------------------------

ON_LWIP = (  # as FIGURES: of README's first program, on TCP alone; it prints integers and texts only
    ("loop-pico", "README's echo on lwIP, M4, picolibc, -flto", 54569, 27060, 28000),
    ("loop", "README's echo on lwIP, M4, newlib-nano", 54569, 33720, 28000),
    ("conn", "RAM of a connection of its loop", None, 192, 200))
LOOP_LIBRARIES = {"loop": [*NANO, "--specs=nosys.specs"],
                  "loop-pico": [*PICO, "-flto", "-DPICOLIBC_INTEGER_PRINTF_SCANF"]}


def build_loop():
    lwip, source = "build/lwip/source/", WORK + "loop.c"
    if not shutil.which(ARM + "gcc") or subprocess.run(["tests/lwip/run", "source"], check=False).returncode:
        return
    with open("README.md", encoding="utf-8") as readme, open(source, "w", encoding="utf-8") as file:
        start = "#define WS_IMPLEMENTATION\n"
        file.write(start + readme.read().split(start)[1].split("```")[0])
        file.write("extern const char conn[sizeof(ws_conn)];\nconst char conn[sizeof(ws_conn)] = {1};\n")
    for name, library in LOOP_LIBRARIES.items():
        flags = [*M4, *library, "-Os", "-ffunction-sections", "-fdata-sections", "-DNDEBUG", "-I.", "-DWS_LWIP",
                 "-DWS_MINIMAL", "-DWS_NO_TRANSPORT", "-DWS_SMALL", "-Drand=board_rand", "-isystem", "tests/lwip",
                 "-isystem", lwip + "src/include", "-isystem", lwip + "port/include"]
        output(ARM + "gcc", *flags, "-c", source, "-o", f"{WORK}{name}.o")
        output(ARM + "gcc", *flags, f"{WORK}{name}.o", "-nostartfiles", "-Wl,--gc-sections,-e,main",
               "-Wl,--unresolved-symbols=ignore-all", "-o", f"{WORK}{name}.elf")
        text, data = output(ARM + "size", f"{WORK}{name}.elf").splitlines()[1].split()[:2]
        found[name] = int(text) + int(data)
    symbols = output(ARM + "nm", "-S", WORK + "loop.o")
    found["conn"] = int(re.search(r"^\S+ (\S+) \S conn$", symbols, re.M).group(1), 16)


def build_16():
    """The engine where int and size_t have 16 bits: compiled only, without a warning."""
    flags = ["-mmcu=atmega1284p", "-std=c99", "-Os", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-I.",
             "-DWS_NO_NET", "-DWS_NO_JSON", "-DWS_NO_DEFLATE", "-DWS_SMALL", "-DWS_NO_ALLOC", "-DNDEBUG",
             "-DWS_IMPLEMENTATION", "-x", "c", "ws.h", "-c", "-o", WORK + "avr.o"]
    if not shutil.which("avr-gcc"):
        counts["skipped"] += 1
        print("skipped firmware: 16 bit: no avr-gcc")
        return
    for role in SERVER, CLIENT, []:
        said = subprocess.run(["avr-gcc", *flags, *role], capture_output=True, text=True, check=False)
        expect(f"16 bit: {role}", said.returncode == 0 and not said.stderr, said.stderr)


# --- the whole ----------------------------------------------------------------------------------------------------

def report():
    print(f"\n{'figure':42} {'at first':>9} {'last':>7} {'now':>7} {'target':>7}")
    for name, title, first, last, target in FIGURES + ON_LWIP:
        now = found.get(name)
        if now is None:
            counts["skipped"] += 1
            print(f"{title:42} {first or '':>9} {last:>7} {'-':>7} {target:>7}")
            continue
        print(f"{title:42} {first or '':>9} {last:>7} {now:>7} {target:>7}  {'met' if now <= target else 'not met'}")
        frame = 40 if name.startswith("stack") else 0  # the tick's interrupt may come at the deepest place, or not
        expect(f"{title} has grown", now <= last + frame, (last, now))
    print("For comparison: wslay with picohttpparser and a SHA-1 by hand, without a strict handshake: 9397 of flash.")
    for what in UNWANTED:
        who = found.get("linked", {}).get(what, [])
        print(f"{what + ' linked':42} {'; '.join(who) if who else 'no'}")
        expect(f"{what} is linked", not who, who)


def title():
    """The figures in ws.h's first comment are true, and not much larger than what was measured."""
    with open("ws.h", encoding="utf-8") as file:
        said = re.search(r"\n   FIRMWARE .*?\n\n", file.read(), re.S).group()
    for name, words in (("m4", "of flash as a server"), ("m4-client", "as a client"), ("m4-both", "with both roles"),
                        ("m4-fast", "without WS_SMALL"), ("ram", "of RAM besides"), ("stack", "of stack")):
        figure = int(re.search(r"([\d,]+) (?:bytes )?" + words, said).group(1).replace(",", ""))
        if name in found:
            expect(f"ws.h says {figure} {words}", found[name] <= figure <= found[name] * 1.05 + 40, found[name])


def main():
    os.makedirs(WORK, exist_ok=True)
    symbols = {}
    build_loop()
    build_16()
    for name, (tools, _) in BUILDS.items():
        if shutil.which(tools + "gcc"):
            symbols[name] = build(name)
        else:
            counts["skipped"] += 1
            print(f"skipped firmware: {name}: no {tools}gcc")
    for name, machine in (("m4", "mps2-an386"), ("m4-client", "mps2-an386"), ("m0", "microbit"),
                          ("m0-client", "microbit")):
        if name not in symbols or not shutil.which("qemu-system-arm"):
            counts["skipped"] += 1
            print(f"skipped firmware: {name} does not run: no qemu-system-arm")
            continue
        client = name.endswith("client")
        board = Board(name, machine, symbols[name])
        try:
            (run_client if client else run_server)(board)
            run_cases(board, client)
            board.end()
        except (OSError, RuntimeError) as error:
            expect(f"{name} runs", False, error)
            board.process.kill()
        if name.startswith("m4"):
            found["stack-client" if client else "stack"] = board.deepest
    report()
    title()
    print(", ".join(f"{number} {word}" for word, number in counts.items() if number or word != "skipped"))
    return counts["failed"] > 0


sys.exit(main())
