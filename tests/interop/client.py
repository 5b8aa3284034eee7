#!/usr/bin/python3
"""Our client against Debian's python3-websockets, over ws and wss."""
import asyncio
import base64
import os
import sys
from http import HTTPStatus

sys.dont_write_bytecode = True
from kit import CA, TLS, drive, expect, finish, free_ports, part, run, server_context, skip, with_tls

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

seen = {}  # what the server learnt of the latest connection
elsewhere = {}  # path: where it redirects to


async def serve_one(socket, path):
    seen.update(headers=list(socket.request_headers.raw_items()), path=path, close=None)
    name = path.split("?")[0].split("/")[1]
    if name in ("", "echo", "secret", "slow"):
        async for message in socket:
            await socket.send(message)
    elif name == "fragments":
        await socket.send(["one ", "", "two ", "three \u20ac"])
        await socket.send([bytes([i]) * 1000 for i in range(256)])
    elif name == "close":
        code = int(path.split("/")[2])
        if code == 1005:
            await socket.write_frame(True, 8, b"")
        else:
            await socket.close(code, "because \u20ac")
    elif name == "ping":
        pong = await socket.ping(b"are you there")
        await asyncio.wait_for(pong, 60)
        await socket.send("pong came")
    elif name == "subprotocol":
        await socket.send(str(socket.subprotocol))
    elif name == "burst":
        for number in range(1000):
            await socket.send(str(number))
    elif name == "bytes":
        await socket.send(bytes(range(256)))
        await socket.send("text")
    elif name == "vanish":
        await socket.send("last words")
        socket.transport.abort()
    elif name == "wrong":  # by hand: the library itself would refuse to send that
        await socket.send("good so far")
        socket.transport.write({"mask": b"\x81\x81\0\0\0\0x", "utf8": b"\x81\x01\xff", "bit": b"\xa1\x00",
                                "cont": b"\x80\x00"}[path.split("/")[2]])
    elif name == "silent":
        await asyncio.sleep(60)
    await asyncio.wait_for(socket.wait_closed(), 60)
    seen["close"] = (socket.close_code, socket.close_reason)


async def request(path, headers):
    if path in elsewhere:
        return HTTPStatus(302), [("Location", elsewhere[path])], b""
    if path == "/loop":
        return HTTPStatus(301), [("Location", "/loop")], b""
    if path == "/ftp":
        return HTTPStatus(302), [("Location", "ftp://127.0.0.1/")], b""
    if path == "/secret":
        if headers.get("Authorization") != "Basic " + base64.b64encode(b"ann:p:w").decode():
            return HTTPStatus(401), [("WWW-Authenticate", 'Basic realm="interop"')], b"who are you?"
    if path == "/gone":
        return HTTPStatus(410), [], b"no longer here"
    return None


def header(name):
    return [value for key, value in seen["headers"] if key.lower() == name]


async def cat(url, *options, data=b"", wait="0.3"):
    return await run("build/wscat", url, "--wait", wait, *options, data=data)


async def pieces(url, *tls):
    status, out, errors = await cat(url + "fragments", *tls)
    expect("fragments are put together", out.decode() == "one two three \u20ac\n<256000 bytes>\n", out[:100])
    status, out, errors = await cat(url + "fragments", "--binary", *tls)
    wanted = "one two three \u20ac\n".encode() + b"".join(bytes([i]) * 1000 for i in range(256))
    expect("and are written byte for byte", out == wanted, (len(out), errors))
    status, out, errors = await cat(url + "burst", *tls, wait="5")
    expect("1,000 messages", out.decode().split() == [str(i) for i in range(1000)], len(out))
    expect("the server's end is clean", status == 0 and "1000" in errors, (status, errors))
    status, out, errors = await cat(url + "ping", *tls, wait="5")
    expect("pings are answered", out == b"pong came\n", (out, errors))
    data = os.urandom(1 << 20)
    status, out, errors = await cat(url, "--binary", *tls, data=data, wait="3")
    expect("1 MiB through a pipe", out == data and status == 0, (len(out), status, errors))
    text = "\u20ac" * (1 << 20)
    status, out, errors = await cat(url, *tls, data=text.encode(), wait="3")
    expect("a line of 3 MiB", out.decode() == text + "\n" and status == 0, (len(out), status, errors))


async def closing(url, *tls):
    for code in (1000, 1001, 1005, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 3000, 4999):
        status, _, errors = await cat(url + f"close/{code}", *tls, wait="5")
        good = 0 if code in (1000, 1001, 1005) else 1
        reason = "" if code == 1005 else "because \u20ac"
        expect(f"close {code} and its reason", str(code) in errors and reason in errors and status == good,
               (status, errors))
    status, out, errors = await cat(url + "vanish", *tls, wait="5")
    expect("a server that vanishes", out == b"last words\n" and status == 1 and "1006" in errors, (status, errors))
    for what, code in (("mask", 1002), ("utf8", 1007), ("bit", 1002), ("cont", 1002)):
        status, out, errors = await cat(url + "wrong/" + what, *tls, wait="5")
        await asyncio.sleep(0.05)
        expect(f"a broken rule ({what}) gets {code}", seen["close"] and seen["close"][0] == code and status == 1,
               (seen["close"], status, errors))


async def opening(url, *tls):
    host = url.split("/")[2]
    await cat(url + "echo?a=b%20c", "-H", "X-Own: one", "-H", "Cookie: a=b", "--origin", "http://page.example", *tls)
    expect("path and query", seen["path"] == "/echo?a=b%20c", seen["path"])
    expect("own headers", header("x-own") == ["one"] and header("cookie") == ["a=b"], seen["headers"])
    expect("Origin", header("origin") == ["http://page.example"], header("origin"))
    expect("Host with its port", header("host") == [host], header("host"))
    await cat(url + "echo", *tls)
    expect("no Origin by default", header("origin") == [], header("origin"))
    for offer, wanted in (("chat", "chat"), ("other, superchat", "superchat"), ("none", "None")):
        _, out, errors = await cat(url + "subprotocol", "--subprotocol", offer, *tls)
        expect(f"subprotocol of \"{offer}\"", out.decode().strip() == wanted, (out, errors))
    status, _, errors = await cat(url + "gone", *tls)
    expect("a refusal is named", status == 1 and "410" in errors, errors)
    secret = url.replace("://", "://ann:p%3Aw@") + "secret"
    status, out, errors = await cat(secret, *tls, data=b"let me in\n")
    expect("basic credentials", out == b"let me in\n" and status == 0, errors)
    status, _, errors = await cat(url + "secret", *tls)
    expect("none are needed, none given: 401", status == 1 and "401" in errors, errors)


async def redirects(url, other, *tls):
    elsewhere.update({"/a": "/b", "/b": "echo", "/far": other + "echo", "/near": url + "echo"})
    for path in ("a", "near", "far"):
        status, out, errors = await cat(url + path, "-H", "Cookie: a=b", "-H", "X-Own: c", *tls, data=b"hi\n")
        expect(f"redirect /{path}", out == b"hi\n" and status == 0, errors)
        kept = header("cookie") == ["a=b"] and header("x-own") == ["c"]
        gone = header("cookie") == [] and header("x-own") == []
        expect(f"redirect /{path}: headers of its own", gone if path == "far" else kept, seen["headers"])
    for path in ("loop", "ftp"):
        status, _, errors = await cat(url + path, *tls)
        expect(f"redirect /{path} is an error", status == 1 and "redirect" in errors.lower(), errors)


async def certificates(url, port):
    for what, options in (("unknown authority", ("--ca", TLS + "stranger.pem")), ("only the system's roots", ())):
        status, out, errors = await cat(url, *options, data=b"hi\n")
        expect(f"{what}: refused, and said why", status == 1 and not out and "certificate" in errors, errors)
        expect(f"{what}: names the option", "(name its CA in --ca)" in errors, errors)
    status, out, errors = await cat(url, "--insecure", data=b"hi\n")
    expect("--insecure connects all the same", out == b"hi\n" and status == 0, errors)
    for host in ("127.0.0.1", "[::1]"):
        status, out, errors = await cat(f"wss://{host}:{port}/", "--ca", CA, data=b"hi\n")
        expect(f"the address {host} is verified", out == b"hi\n" or (host == "[::1]" and "connect" in errors), errors)
    status, out, errors = await cat(f"wss://127.0.0.2:{port}/", "--ca", CA, data=b"hi\n")
    expect("a name that the certificate lacks", status == 1 and not out and "127.0.0.2" in errors, errors)
    status, out, errors = await cat(url.replace("wss:", "ws:"), data=b"hi\n")
    expect("ws: to a TLS port fails", status == 1 and errors, errors)
    status, out, errors = await cat(url, "--ca", "no/such/file.pem", data=b"hi\n")
    expect("a file that is missing is named", status == 1 and "no/such/file.pem" in errors, errors)


async def mutual():
    async with websockets.serve(serve_one, "127.0.0.1", 0, ssl=server_context(clients=True)) as server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        mine = ("--cert", TLS + "client.pem", "--key", TLS + "client.key")
        status, out, errors = await cat(url, "--ca", CA, *mine, data=b"hi\n")
        expect("a client certificate", out == b"hi\n" and status == 0, errors)
        status, out, errors = await cat(url, "--ca", CA, data=b"hi\n")
        expect("without it the server refuses", not out and status == 1, errors)
        status, out, errors = await cat(url, "--ca", CA, "--cert", TLS + "client.pem", "--key", TLS + "server.key")
        expect("with another's key it says so", status == 1 and "key" in errors, errors)


async def blocking(url, *tls):
    if not tls:
        status, out, errors = await run("build/client", url, "h\u00e9llo")
        expect("client.c", out.decode() == "h\u00e9llo\n" and status == 0 and not errors, (out, errors))
        status, out, errors = await run("build/client", url + "gone", "x")
        expect("client.c is refused", status == 1 and "410" in errors, errors)
        status, out, errors = await run("build/client", url + "close/4001", "x")
        expect("client.c without an answer", status == 1 and "4001" in errors, errors)
    else:
        status, out, errors = await run("build/client", url, "x")
        expect("client.c does not trust our root", status == 1 and "certificate" in errors, errors)
    port = free_ports(1)[0]
    status, out, errors = await run("build/client", f"ws://127.0.0.1:{port}/", "x")
    expect("client.c without a server", status == 1 and f"127.0.0.1:{port}" in errors, errors)


async def main():
    more = {"max_size": None, "process_request": request, "subprotocols": ["superchat", "chat"]}
    secure = with_tls()
    async with websockets.serve(serve_one, "localhost", 0, **more) as one:
        port = one.sockets[0].getsockname()[1]
        plain = f"ws://127.0.0.1:{port}/" if one.sockets[0].family.name == "AF_INET" else f"ws://[::1]:{port}/"
        async with websockets.serve(serve_one, "127.0.0.1", 0, **more) as two:
            other = f"ws://127.0.0.1:{two.sockets[0].getsockname()[1]}/"
            await part(drive, "ws", other)
            for function in (pieces, closing, opening, blocking):
                await part(function, other)
            await part(pieces, other, "--deflate")
            await part(redirects, other, plain)
        if not secure:
            skip("wss: no openssl here, or built without")
            return
        async with websockets.serve(serve_one, "127.0.0.1", 0, ssl=server_context(), **more) as three:
            port = three.sockets[0].getsockname()[1]
            url, tls = f"wss://localhost:{port}/", ("--ca", CA)
            await part(drive, "wss", url, *tls)
            for function in (pieces, closing, opening, blocking):
                await part(function, url, *tls)
            await part(pieces, url, *tls, "--deflate")
            await part(redirects, url, f"wss://127.0.0.1:{port}/", *tls)
            elsewhere["/down"] = plain + "echo"
            status, _, errors = await cat(url.replace("://", "://ann:secret@") + "down", *tls, data=b"hi\n")
            expect("a redirect from wss to ws is refused", status == 1 and "not encrypted" in errors, errors)
            await part(certificates, url, port)
            await part(mutual)


finish(main())
