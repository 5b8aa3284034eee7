#!/usr/bin/python3
"""Debian's python3-websockets as a client of the echo server, over ws and wss, and as an unkind member of rooms."""
import asyncio
import json
import os
import signal
import sys

sys.dont_write_bytecode = True
from kit import CERT, KEY, client_context, example, expect, finish, part, skip, with_tls

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

secure = None  # for wss: an ssl.SSLContext
compression = "deflate"


async def connect(url, **more):
    context = secure if url.startswith("wss:") else None
    more = {"compression": compression, **more}
    return await asyncio.wait_for(websockets.connect(url, max_size=None, ssl=context, **more), 60)


async def echo(socket, message):
    await socket.send(message)
    return await asyncio.wait_for(socket.recv(), 30)


async def messages(url):
    socket = await connect(url)
    expect("text", await echo(socket, "h\u00e9llo \U0001f600") == "h\u00e9llo \U0001f600")
    expect("binary", await echo(socket, bytes(range(256))) == bytes(range(256)))
    for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20, 16 << 20):
        data = os.urandom(size)
        expect(f"binary of {size} bytes", await echo(socket, data) == data)
        text = "\u20ac" * (size // 3) + "x" * (size % 3)
        expect(f"text of {size} bytes", await echo(socket, text) == text)
    expect("text in fragments", await echo(socket, ["one ", "", "two ", "three"]) == "one two three")
    parts = [os.urandom(1000) for _ in range(2000)]
    expect("binary in 2,000 fragments", await echo(socket, parts) == b"".join(parts))
    await asyncio.wait_for(await socket.ping(b"are you there"), 60)
    expect("ping", True)
    for number in range(1000):
        await socket.send(str(number))
    back = [await asyncio.wait_for(socket.recv(), 60) for _ in range(1000)]
    expect("1,000 messages keep their order", back == [str(number) for number in range(1000)])
    await socket.close()
    expect("close", socket.close_code == 1000, socket.close_code)


async def plain(url):
    """The same without permessage-deflate."""
    global compression
    compression = None
    socket = await connect(url)
    expect("none is chosen unasked", not socket.extensions)
    await socket.close()
    await messages(url)
    compression = "deflate"


async def unasked(url):
    """A server without --deflate chooses none, though it is offered."""
    socket = await connect(url)
    expect("none is chosen by default", not socket.extensions, socket.extensions)
    expect("and echoes are whole", await echo(socket, "the same text " * 1000) == "the same text " * 1000)
    await socket.close()


async def closing(url):
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 3999, 4000, 4999):
        socket = await connect(url)
        await socket.close(code, "because")
        expect(f"close {code} comes back", socket.close_code == code, socket.close_code)
    socket = await connect(url)
    await socket.write_frame(True, 8, b"")
    await asyncio.wait_for(socket.wait_closed(), 60)
    expect("an empty close comes back", socket.close_code == 1005, socket.close_code)


async def failing(url):
    cases = (("bad UTF-8", True, 1, b"ab\xffcd", 1007), ("a reserved opcode", True, 3, b"", 1002),
             ("a lone continuation", True, 0, b"x", 1002), ("a ping of 126 bytes", True, 9, bytes(126), 1002),
             ("a ping in fragments", False, 9, b"", 1002), ("close code 1005", True, 8, b"\x03\xed", 1002),
             ("one byte of close code", True, 8, b"\x03", 1002),
             ("16 MiB and a byte", True, 2, bytes((16 << 20) + 1), 1009))
    for name, final, opcode, data, code in cases:
        socket = await connect(url)
        try:  # by hand: the library itself would refuse to send that
            frame = websockets.frames.Frame(opcode, data, final)
            frame.check = lambda: None
            socket.transport.write(frame.serialize(mask=True))
            await asyncio.wait_for(socket.recv(), 60)
        except websockets.exceptions.ConnectionClosed as closed:
            got = closed.rcvd.code if closed.rcvd else 1006
            expect(f"{name} gets {code}", got == code, got)
        else:
            expect(f"{name} gets {code}", False, "no close")


async def handshake(url):
    socket = await connect(url, subprotocols=["a", "b"])
    expect("no subprotocol is chosen", socket.subprotocol is None)
    names = [extension.name for extension in socket.extensions]
    expect("permessage-deflate is chosen", names == ["permessage-deflate"], names)
    await socket.close()
    socket = await connect(url, origin="https://elsewhere.example")
    expect("any origin may connect", await echo(socket, "x") == "x")
    await socket.close()
    try:
        await connect(url + "unknown")
        expect("an unknown path is 404", False)
    except websockets.exceptions.InvalidStatusCode as refused:
        expect("an unknown path is 404", refused.status_code == 404, refused.status_code)


async def crowd(url):
    async def one(number):
        socket = await connect(url)
        good = True
        for turn in range(20):
            text = f"{number} {turn} " + "x" * (number * 10)
            good = good and await echo(socket, text) == text
        await socket.close()
        return good
    results = await asyncio.gather(*(one(number) for number in range(100)))
    expect("100 connections at once", all(results), results.count(False))


async def slow_reader(url):
    """Sends 64 MiB before it reads: the server must stop reading, and lose nothing."""
    socket = await connect(url, max_queue=1, read_limit=4096)
    data = os.urandom(1 << 20)

    async def write():
        for number in range(64):
            await socket.send(number.to_bytes(4, "big") + data)
    writer = asyncio.ensure_future(write())
    await asyncio.sleep(1)
    good = True
    for number in range(64):
        good = good and await asyncio.wait_for(socket.recv(), 30) == number.to_bytes(4, "big") + data
    await writer
    expect("a slow reader gets everything in order", good)
    await socket.close()


async def shutdown(url, server):
    sockets = [await connect(url) for _ in range(10)]
    server.send_signal(signal.SIGTERM)
    for socket in sockets:
        await asyncio.wait_for(socket.wait_closed(), 60)
    codes = {socket.close_code for socket in sockets}
    expect("the server's end closes all with 1012", codes == {1012}, codes)
    status = await asyncio.wait_for(server.wait(), 60)
    expect("it ends with status 0", status == 0, status)


async def rooms(url):
    async def hear(socket):
        return json.loads(await asyncio.wait_for(socket.recv(), 60))
    ann = await connect(url + "ws/den/Ann")
    joined = await hear(ann)
    expect("a member hears that it joined", joined["type"] == "joined" and joined["members"] == 1, joined)
    odd = '"}\\ \u20ac {"type":"left"} \t\r\n\x01\x7f\u2028'
    await ann.send(odd + "\0behind a zero, where a text in C ends")
    said = await hear(ann)
    expect("odd text arrives as it is", said == {**joined, "type": "say", "text": odd}, said)
    await ann.send("\\\"" * 2048)
    expect("4,096 bytes that all need a backslash", (await hear(ann))["text"] == "\\\"" * 2048)
    guest = await connect(url + "ws/den")
    expect("one without a name is a guest", (await hear(guest))["name"] == "guest")
    expect("the others hear of it", (await hear(ann))["members"] == 2)
    guest.transport.abort()
    left = await hear(ann)
    expect("one that vanishes has left", left["type"] == "left" and left["members"] == 1, left)
    odd = await connect(url + "ws/den/%22%7D%0A%5C%C3%A4")
    name = (await hear(odd))["name"]
    expect("a name with quotes", name == '"}\n\\\u00e4' and (await hear(ann))["name"] == name, name)
    await odd.close()
    await hear(ann)
    for what, path, message, code in (("a long name", "ws/den/" + "x" * 129, None, 1008),
                                      ("binary", "ws/attic", b"x", 1003), ("too much", "ws/attic", "x" * 4097, 1009)):
        socket = await connect(url + path)
        if message:
            await socket.send(message)
        await asyncio.wait_for(socket.wait_closed(), 60)
        expect(f"{what} gets {code}", socket.close_code == code, socket.close_code)
    try:
        await connect(url + "ws/den/%FF")
        status = 101
    except websockets.exceptions.InvalidStatusCode as refused:
        status = refused.status_code
    expect("a name that is not UTF-8 gets 400", status == 400, status)
    await ann.send("end")
    expect("of all that the room heard nothing", (await hear(ann))["text"] == "end")
    await ann.close()


async def serve(words, path, functions):
    server, url = await example(*words)
    for function in functions:
        await part(function, url)
    await part(shutdown, url + path, server)


async def main():
    global secure
    await part(serve, ("build/echo", "0"), "", (unasked,))
    await part(serve, ("build/echo", "0", "--deflate"), "",
               (messages, plain, closing, failing, handshake, crowd, slow_reader))
    await part(serve, ("build/rooms", "0"), "ws/den", (rooms,))
    if not with_tls():
        skip("wss: no openssl here, or built without")
        return
    secure = client_context()
    files = ("--cert", CERT, "--key", KEY)
    await part(serve, ("build/echo", "0", "--deflate", *files), "", (messages, closing, failing, crowd, slow_reader))
    await part(serve, ("build/rooms", "0", *files), "ws/den", (rooms,))


finish(main())
