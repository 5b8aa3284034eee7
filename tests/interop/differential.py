#!/usr/bin/python3
"""The same heads to ws.h, node's HTTP parser and nginx; the same frames to ws.h, npm's ws, python-websockets and
libwebsockets. A row says what each makes of it; where they differ, it says why."""
import asyncio
import os
import sys
import tempfile

sys.dont_write_bytecode = True
from kit import example, expect, finish, has, part, run, served, skip

try:
    import websockets
except ImportError:
    websockets = None

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log error.log crit;
events {{ worker_connections 400; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
  scgi_temp_path s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 yes; }} }}
}}
"""
NEXT = b"GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def get(line=b"", target=b"/", version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\nHost: h\r\n" + line + b"\r\n"


def post(lines, body=b""):
    return b"POST / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n" + body


LF = "nginx takes a bare LF as the end of a line"
HOST = "node leaves Host to the program"
SPACES = "node and nginx skip spaces; RFC 9112 3 has exactly one"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# Behind each head a second request follows, which asks for the end. ws.h, node, nginx: "22" both were answered, "2" the
# first alone, "4" refused (4xx or 5xx), "24" the second was refused; "-" the connection ended without an answer.
HEADS = [
    ("a GET", get(), "22", "22", "22", ""),
    ("a POST with a length", post(b"Content-Length: 3\r\n", b"abc"), "22", "22", "22", ""),
    ("chunks", post(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"), "22", "22", "22", ""),
    ("chunks with extensions", post(CHUNKED, b"3;a=b\r\nabc\r\n0;c\r\n\r\n"), "22", "22", "22", ""),
    ("chunks with trailers", post(CHUNKED, b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"), "22", "22", "22", ""),
    ("a length and chunks", post(b"Content-Length: 3\r\n" + CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("chunks and a length", post(CHUNKED + b"Content-Length: 3\r\n", b"3\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("two equal lengths", post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), "4", "4", "4", ""),
    ("two lengths that differ", post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"), "4", "4", "4", ""),
    ("a list of equal lengths", post(b"Content-Length: 3, 3\r\n", b"abc"), "4", "4", "4", ""),
    ("a length with a sign", post(b"Content-Length: +3\r\n", b"abc"), "4", "4", "4", ""),
    ("a negative length", post(b"Content-Length: -3\r\n", b"abc"), "4", "4", "4", ""),
    ("a length in hex", post(b"Content-Length: 0x3\r\n", b"abc"), "4", "4", "4", ""),
    ("a length with zeros in front", post(b"Content-Length: 0003\r\n", b"abc"), "22", "22", "22", ""),
    ("a length of nothing", post(b"Content-Length: \r\n"), "4", "4", "4", ""),
    ("a length beyond 64 bits", post(b"Content-Length: 18446744073709551619\r\n", b"abc"), "4", "4", "4", ""),
    ("a length with a space inside", post(b"Content-Length: 3 3\r\n", b"abc"), "4", "4", "4", ""),
    ("a length with a tab before it", post(b"Content-Length:\t3\r\n", b"abc"),
     "22", "22", "4", "nginx: a tab is no whitespace before a value"),
    ("a space before the colon", post(b"Content-Length : 3\r\n", b"abc"), "4", "4", "4", ""),
    ("an unknown coding", post(b"Transfer-Encoding: gzip\r\n"), "4", "4", "4", ""),
    ("an unknown coding, then chunks", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
     "4", "22", "4", "node leaves other codings to the program"),
    ("chunks, then an unknown coding", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), "4", "4", "4", ""),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), "4", "4", "4", ""),
    ("chunked in two lines", post(CHUNKED * 2, b"0\r\n\r\n"), "4", "4", "4", ""),
    ("identity", post(b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", b"abc"), "4", "4", "4", ""),
    ("chunked in capitals", post(b"Transfer-Encoding: CHUNKED\r\n", b"0\r\n\r\n"), "22", "22", "22", ""),
    ("xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), "4", "4", "4", ""),
    ("chunked with a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), "4", "4", "4", ""),
    ("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
     "4", "2", "4", "node reads them: RFC 9112 6.1 calls that faulty framing"),
    ("a chunk size with a sign", post(CHUNKED, b"+3\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("a chunk size of 0x3", post(CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("a chunk size with zeros in front", post(CHUNKED, b"0003\r\nabc\r\n0\r\n\r\n"), "22", "22", "22", ""),
    ("a chunk size beyond 64 bits", post(CHUNKED, b"10000000000000003\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("a chunk size, a space", post(CHUNKED, b"3 \r\nabc\r\n0\r\n\r\n"),
     "4", "4", "22", "nginx: RFC 9112 7.1.1 has whitespace there only before a semicolon"),
    ("a chunk that ends with LF", post(CHUNKED, b"3\r\nabc\n0\r\n\r\n"), "4", "4", "22", LF),
    ("a chunk size that ends with LF", post(CHUNKED, b"3\nabc\r\n0\r\n\r\n"), "4", "4", "22", LF),
    ("a chunk without its end", post(CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("a bare CR in an extension", post(CHUNKED, b"3;a\rb\r\nabc\r\n0\r\n\r\n"), "4", "4", "4", ""),
    ("lines that end with LF", b"GET / HTTP/1.1\nHost: h\n\n", "4", "4", "22", LF),
    ("a bare CR in a value", get(b"A: b\rc\r\n"), "4", "4", "4", ""),
    ("a zero in a value", get(b"A: b\0c\r\n"), "4", "4", "4", ""),
    ("a zero in a name", get(b"A\0: b\r\n"), "4", "4", "4", ""),
    ("a tab in a value", get(b"A: b\tc\r\n"), "22", "22", "22", ""),
    ("beyond ASCII in a value", get(b"A: \xe4\r\n"), "22", "22", "22", ""),
    ("beyond ASCII in a name", get(b"\xe4: b\r\n"), "4", "4", "22", "nginx leaves such a line out"),
    ("a folded line", get(b"A: b\r\n c\r\n"), "4", "4", "4", ""),
    ("a first line that is folded", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "4", "4", "4", ""),
    ("a line without a colon", get(b"A\r\n"), "4", "4", "22", "nginx leaves such a line out"),
    ("a line without a name", get(b": b\r\n"), "4", "4", "4", ""),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", "4", "4", "4", ""),
    ("two Hosts", get(b"Host: h\r\n"), "4", "22", "4", "node leaves Host to the program; RFC 9112 3.2 wants 400"),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", "4", "22", "4", HOST),
    ("a Host with a space", b"GET / HTTP/1.1\r\nHost: h x\r\n\r\n", "4", "22", "4", HOST),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
     "4", "22", "4", "node: ws.h and nginx need to know whom it is for"),
    ("an empty line first", b"\r\n" + get(), "22", "22", "22", ""),
    ("HTTP/1.0", get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0"),
     "2", "2", "22", "nginx stays open for keep-alive of HTTP/1.0"),
    ("HTTP/0.9", b"GET /\r\n", "4", "4", "-", "nginx knows HTTP/0.9: its answer is the bare body"),
    ("HTTP/1.2", get(version=b"HTTP/1.2"),
     "22", "4", "22", "node knows no later minor versions; RFC 9110 2.5 wants them taken as 1.1"),
    ("HTTP/2.0", get(version=b"HTTP/2.0"), "4", "4", "4", ""),
    ("http/1.1", get(version=b"http/1.1"), "4", "4", "4", ""),
    ("HTTP/01.1", get(version=b"HTTP/01.1"), "4", "4", "4", ""),
    ("two spaces behind the method", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "4", "22", "22", SPACES),
    ("two spaces behind the target", get(target=b"/ "), "4", "22", "22", SPACES),
    ("a space in the target", get(target=b"/a b"), "4", "4", "4", ""),
    ("a tab in the target", get(target=b"/a\tb"), "4", "4", "4", ""),
    ("a fragment in the target", get(target=b"/a#b"),
     "4", "22", "22", "node and nginx cut it off; RFC 9112 3.2 has none"),
    ("beyond ASCII in the target", get(target=b"/\xc3\xa4"), "4", "4", "22", "nginx takes any byte"),
    ("a bad escape in the target", get(target=b"/%zz"), "4", "22", "4", "node does not decode"),
    ("an escaped zero in the target", get(target=b"/%00"), "4", "22", "4", "node does not decode"),
    ("a target without a slash", get(target=b"a"), "4", "4", "4", ""),
    ("a whole URL", get(target=b"http://h/"), "22", "22", "22", ""),
    ("a method in small letters", b"get / HTTP/1.1\r\nHost: h\r\n\r\n", "4", "4", "4", ""),
    ("a method with a colon", b"G:T / HTTP/1.1\r\nHost: h\r\n\r\n", "4", "4", "4", ""),
    ("a GET with a body", get(b"Content-Length: 3\r\n") + b"abc", "22", "22", "22", ""),
    ("two Connections, one close", get(b"Connection: keep-alive\r\nConnection: close\r\n"),
     "2", "4", "2", "node refuses what follows behind close, before the first answer is out"),
    ("an upgrade to h2c", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
     "22", "2", "22", "node answers, but reads nothing behind an upgrade; the others ignore it"),
    ("a head of 20 KB", get(b"A: " + b"x" * 20000 + b"\r\n"), "4", "4", "4", ""),
    ("500 lines", get(b"A: b\r\n" * 500), "22", "22", "22", ""),
]


def masked(first, payload=b"", mask=True, length=None):
    size = len(payload)
    form = length or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes([first, (0x80 if mask else 0) | (size if form == 7 else 126 if form == 16 else 127)])
    head += size.to_bytes(form // 8, "big") if form > 7 else b""
    key = b"\x11\x22\x33\x44"
    return head + (key + bytes(c ^ key[i & 3] for i, c in enumerate(payload)) if mask else payload)


def close(code, reason=b""):
    return masked(0x88, code.to_bytes(2, "big") + reason)


LWS = "the test server answers no ping that is not alone"
GONE = "lws drops the connection without a close frame"
SHORTEST = "RFC 6455 5.2: the shortest form must be used; the others do not check"

# Behind each a ping follows. ws.h, ws, websockets, lws: "pong", the code of the close frame, or "gone".
FRAMES = [
    ("a text", masked(0x81, b"a"), "pong", "pong", "pong", "pong", ""),
    ("an empty text", masked(0x81), "pong", "pong", "pong", "pong", ""),
    ("a binary", masked(0x82, b"\xff"), "pong", "pong", "pong", "pong", ""),
    ("three fragments", masked(0x01, b"a") + masked(0x00, b"b") + masked(0x80), "pong", "pong", "pong", "pong", ""),
    ("a ping between fragments", masked(0x01, b"a") + masked(0x89) + masked(0x80), "pong", "pong", "pong", "gone", LWS),
    ("a pong that nobody asked for", masked(0x8a, b"x"), "pong", "pong", "pong", "pong", ""),
    ("a ping of 125", masked(0x89, b"x" * 125), "pong", "pong", "pong", "gone", LWS),
    ("a ping of 126", masked(0x89, b"x" * 126), "1002", "1002", "1002", "gone", GONE),
    ("a ping in parts", masked(0x09, b"x"), "1002", "1002", "1002", "1002", ""),
    ("not masked", masked(0x81, b"a", mask=False), "1002", "1002", "1002", "pong", "lws does not check; RFC 6455 5.1"),
    ("a ping that is not masked", masked(0x89, b"a", mask=False), "1002", "1002", "1002", "gone", GONE),
    ("RSV1", masked(0xc1, b"a"), "1002", "1002", "1002", "1002", ""),
    ("RSV2", masked(0xa1, b"a"), "1002", "1002", "1002", "1002", ""),
    ("RSV3", masked(0x91, b"a"), "1002", "1002", "1002", "1002", ""),
    ("RSV1 of a ping", masked(0xc9, b"a"), "1002", "1002", "1002", "1002", ""),
    ("opcode 3", masked(0x83, b"a"), "1002", "1002", "1002", "1002", ""),
    ("opcode 7", masked(0x87), "1002", "1002", "1002", "1002", ""),
    ("opcode 11", masked(0x8b), "1002", "1002", "1002", "1002", ""),
    ("opcode 15", masked(0x8f, b"a"), "1002", "1002", "1002", "1002", ""),
    ("a continuation of nothing", masked(0x80, b"a"), "1002", "1002", "1002", "1002", ""),
    ("a part of nothing", masked(0x00, b"a"), "1002", "1002", "1002", "1002", ""),
    ("a text within a message", masked(0x01, b"a") + masked(0x81, b"b"), "1002", "1002", "1002", "1002", ""),
    ("a binary within a text", masked(0x01, b"a") + masked(0x82, b"b"), "1002", "1002", "1002", "1002", ""),
    ("5 bytes with a length of 16 bits", masked(0x81, b"hello", length=16), "1002", "pong", "pong", "pong", SHORTEST),
    ("5 bytes with a length of 64 bits", masked(0x81, b"hello", length=64), "1002", "pong", "pong", "pong", SHORTEST),
    ("300 bytes with a length of 64 bits", masked(0x82, b"x" * 300, length=64),
     "1002", "pong", "pong", "pong", SHORTEST),
    ("a length of 2^63", b"\x82\xff" + b"\x80" + b"\0" * 7 + b"abcd",
     "1002", "1009", "1009", "gone", "the top bit is no length (RFC 6455 5.2), to ws and websockets it is too long"),
    ("a length of 2^62", b"\x82\xff" + b"\x40" + b"\0" * 7 + b"abcd", "1009", "1009", "1009", "gone", GONE),
    ("text that is not UTF-8", masked(0x81, b"\xff"), "1007", "1007", "1007", "1007", ""),
    ("text that ends inside a character", masked(0x81, b"\xe2\x82"), "1007", "1007", "1007", "1007", ""),
    ("a surrogate", masked(0x81, b"\xed\xa0\x80"), "1007", "1007", "1007", "1007", ""),
    ("an overlong slash", masked(0x81, b"\xc0\xaf"), "1007", "1007", "1007", "1007", ""),
    ("beyond U+10FFFF", masked(0x81, b"\xf4\x90\x80\x80"), "1007", "1007", "1007", "1007", ""),
    ("a character over two fragments", masked(0x01, b"\xc3") + masked(0x80, b"\xa4"),
     "pong", "pong", "pong", "pong", ""),
    ("a close without a code", masked(0x88), "none", "none", "none", "none", ""),
    ("a close of one byte", masked(0x88, b"\x03"), "1002", "1002", "1002", "3", "lws echoes it"),
    ("a close with a reason that is not UTF-8", close(1000, b"\xff"), "1007", "1007", "1007", "gone", GONE),
    ("a close of 126", masked(0x88, b"\x03\xe8" + b"x" * 124), "1002", "1002", "1002", "gone", GONE),
    ("a close with 5000", close(5000), "1002", "1002", "1002", "5000", "lws takes any code from 3000 on"),
] + [(f"a close with {code}", close(code), *[str(code)] * 4, "") for code in (1000, 1001, 1007, 1011, 3000, 4999)
] + [(f"a close with {code}", close(code), *["1002"] * 4, "") for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999)
] + [(f"a close with {code}", close(code), *[str(code)] * 3, "1002", "lws does not know the code")
     for code in (1012, 1014)]


async def heads(port, head, limit):
    """The statuses of the answers, by their first digit."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b""
    try:
        writer.write(head + NEXT)
        await writer.drain()
        while more := await asyncio.wait_for(reader.read(65536), limit):
            data += more
    except (OSError, asyncio.TimeoutError):
        pass
    writer.close()
    found = [each[:1].decode() for each in data.split(b"HTTP/1.1 ")[1:] if each[:1] != b"1"]
    return "".join("4" if each == "5" else each for each in found) or "-"


async def frames(port, path, data, protocol, limit):
    """"pong", the code of the close frame, or "gone"."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    writer.write((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n").encode())
    said = "gone"
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), limit)
        if not head.startswith(b"HTTP/1.1 101"):
            return head[9:12].decode()
        writer.write(data + masked(0x89, b"still?"))
        while said == "gone":
            first, size = await asyncio.wait_for(reader.readexactly(2), limit)
            size = int.from_bytes(await reader.readexactly(2), "big") if size == 126 else size
            payload = await reader.readexactly(size)
            if first == 0x88:
                said = str(int.from_bytes(payload[:2], "big")) if payload else "none"
            elif first == 0x8a and payload == b"still?":
                said = "pong"
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        pass
    writer.close()
    return said


async def compare(kind, names, rows, ask):
    """ask(which, bytes, seconds) gives a verdict; which is a place in names. Only silence is not waited for long."""
    for name, data, *wanted, why in rows:
        said = await asyncio.gather(*(ask(i, data, 3 if wanted[i] in ("gone", "-") else 60) if each
                                      else asyncio.sleep(0) for i, each in enumerate(names)))
        good = all(each is None or each == wish for each, wish in zip(said, wanted))
        expect(f"{kind}, {name}", good, dict(zip(names, said)))
        if len(set(wanted)) > 1 and not why:
            expect(f"{kind}, {name}: why they differ", False)


async def main():
    if not has("node") or not os.path.exists("tests/interop/node_modules/ws"):
        skip("no node, or no npm package ws: run npm ci in tests/interop")
        return
    _, url = await example("build/differential")
    port = int(url.split(":")[2].strip("/"))
    _, (web, npm) = await served(2, lambda *ports: ("node", "tests/interop/differential.js", *map(str, ports)))
    nginx = None
    if has("nginx"):
        folder = tempfile.mkdtemp(dir="build/interop")

        def command(free):
            with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
                file.write(NGINX.format(port=free))
            return (has("nginx"), "-p", os.path.abspath(folder), "-c", "nginx.conf")

        _, (nginx,) = await served(1, command)
    else:
        skip("no nginx")
    ports = (port, web, nginx)
    _, version, _ = await run("node", "--version")
    known = version.startswith(b"v20.")  # others are stricter, or less strict
    names = ("ws.h", "node" if known else None, "nginx" if nginx else None)
    await part(compare, "head", names, HEADS, lambda i, x, limit: heads(ports[i], x, limit))

    async def echo(socket, *_):
        async for message in socket:
            await socket.send(message)

    python = lws = None
    if websockets:
        server = await websockets.serve(echo, "127.0.0.1", 0, compression=None)
        python = server.sockets[0].getsockname()[1]
    else:
        skip("no python-websockets")
    if has("libwebsockets-test-server"):
        _, (lws,) = await served(1, lambda free: ("libwebsockets-test-server", "--interface=lo", f"--port={free}"))
    else:
        skip("no libwebsockets-test-server")
    places = ((port, "/ws", ""), (npm, "/", ""), (python, "/", ""), (lws, "/", "lws-mirror-protocol"))
    names = ("ws.h", "ws", "websockets" if python else None, "lws" if lws else None)
    await part(compare, "frame", names, FRAMES,
               lambda i, x, limit: frames(*places[i][:2], x, places[i][2], limit))


finish(main())
