#!/usr/bin/python3
"""examples/gateway.c between clients and servers of python3-websockets and of our own."""
import asyncio
import subprocess
import sys

sys.dont_write_bytecode = True
from kit import (CA, CERT, KEY, drive, example, expect, finish, free_ports, part, run, server_context, skip, stop,
                 with_tls)

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

MESSAGES, SIZE = 60, 1000000  # more than the system's buffers hold
upstreams = asyncio.Queue()  # each connection that the upstream got, and how it ended


async def serve_one(socket):
    await upstreams.put(socket)
    async for message in socket:
        if message == "close me":
            await socket.close(4002, "as you wish")
        elif message == "vanish":
            socket.transport.abort()
        else:
            await socket.send(message)


async def gateway(url, *options):
    return await example("build/gateway", url, "0", *options, errors=subprocess.PIPE)


async def latest():
    socket = await asyncio.wait_for(upstreams.get(), 60)
    while not upstreams.empty():
        socket = upstreams.get_nowait()
    return socket


async def ended(socket):
    await asyncio.wait_for(socket.wait_closed(), 60)
    return socket.close_code, socket.close_reason


async def codes(port):
    program, url = await gateway(f"ws://127.0.0.1:{port}/")
    async with websockets.connect(url) as socket:
        await socket.send("x")
        await socket.recv()
        upstream = await latest()
        await socket.close(4001, "enough")
        end = await ended(upstream)
        expect("the client's close reaches the upstream", end == (4001, "enough"), end)
    socket = await websockets.connect(url)
    await socket.send("close me")
    end = await ended(socket)
    expect("the upstream's close reaches the client", end == (4002, "as you wish"), end)
    socket = await websockets.connect(url)
    await socket.send("vanish")
    end = await ended(socket)
    expect("an upstream that vanishes is 1014", end[0] == 1014, end)
    await latest()
    socket = await websockets.connect(url)
    await socket.send("x")
    await socket.recv()
    upstream = await latest()
    socket.transport.abort()
    end = await ended(upstream)
    expect("a client that vanishes is 1001", end[0] == 1001, end)
    socket = await websockets.connect(url)
    await socket.send("x")
    await socket.recv()
    upstream = await latest()
    await socket.write_frame(True, 8, b"")
    end = await ended(upstream)
    expect("a close without a code stays one", end[0] == 1005 and (await ended(socket))[0] == 1005, end)
    socket = await websockets.connect(url)
    await socket.send("x")
    await socket.recv()
    status = await stop(program)
    end = await ended(socket)
    expect("its end closes with 1012", end[0] == 1012 and status == 0, (end, status))


async def flood(socket):
    for _ in range(MESSAGES):
        await socket.send(bytes(SIZE))


def memory(program):
    """The most that it ever had, in MB."""
    with open(f"/proc/{program.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


async def early():
    """The upstream takes its time: what the client says meanwhile waits."""
    go_on = asyncio.Event()

    async def hesitate(_path, _headers):
        await go_on.wait()

    async with websockets.serve(serve_one, "127.0.0.1", 0, process_request=hesitate) as server:
        program, url = await gateway(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        socket = await websockets.connect(url)
        for number in range(200):
            await socket.send(str(number))
        second = await websockets.connect(url, compression=None)
        rest = asyncio.create_task(flood(second))
        await asyncio.sleep(0.3)
        expect("a client waits for its upstream", not rest.done(), "all of it was taken")
        third = await websockets.connect(url)
        await third.send("never mind")
        third.transport.abort()
        go_on.set()
        sizes = [len(await asyncio.wait_for(second.recv(), 60)) for _ in range(MESSAGES)]
        await rest
        expect("what waited arrives", sizes == [SIZE] * MESSAGES, sizes)
        back = [await asyncio.wait_for(socket.recv(), 60) for _ in range(200)]
        expect("early messages arrive in order", back == [str(number) for number in range(200)], back)
        await socket.close()
        status = await stop(program)
        expect("it ends with status 0", status == 0, status)


async def slow():
    """The upstream does not read. Nothing is compressed: zeros would fit into the system's buffers."""
    stalled, enough, over, sizes = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    async def sleep(socket):
        await socket.recv()
        socket.transport.pause_reading()
        stalled.set()
        await enough.wait()
        socket.transport.resume_reading()
        async for message in socket:
            sizes.append(len(message))
        over.set()

    async with websockets.serve(sleep, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=1) as server:
        program, url = await gateway(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        socket = await websockets.connect(url, compression=None)
        await socket.send("the upstream is open")
        await asyncio.wait_for(stalled.wait(), 60)
        rest = asyncio.create_task(flood(socket))
        await asyncio.sleep(1)
        expect("a client waits for an upstream that does not read", not rest.done(), "all of it was taken")
        enough.set()
        await asyncio.wait_for(rest, 60)
        await socket.close()
        await asyncio.wait_for(over.wait(), 60)
        expect("all of it arrives", sizes == [SIZE] * MESSAGES, len(sizes))
        if sys.platform == "linux":
            expect("the gateway held little of it", memory(program) < 40, memory(program))
        await stop(program)


async def failing():
    port = free_ports(1)[0]
    program, url = await gateway(f"ws://127.0.0.1:{port}/")
    end = await ended(await websockets.connect(url))
    expect("an upstream that is not there is 1014", end[0] == 1014 and end[1], end)
    await stop(program)
    errors = (await program.stderr.read()).decode()
    expect("its log says which", f"127.0.0.1:{port}" in errors, errors)
    for words, wanted in (((), "\"URL\" is needed"), (("ftp://a/",), "ftp://a/"), (("ws://a", "ws://b"), "ws://b"),
                          (("ws://a", "--nonsense"), "--nonsense"), (("nonsense",), "nonsense"),
                          (("ws://a", "80x"), "80x")):
        status, _, errors = await run("build/gateway", *words)
        expect("bad usage: " + wanted, status == 2 and wanted in errors, errors)
    status, out, _ = await run("build/gateway", "--help")
    expect("--help", status == 0 and out.startswith(b"usage: gateway URL"), out)
    for words in (("ws://a", "0", "--host", "nowhere.invalid"), ("ws://a", str(port), "--host", "127.0.0.1")):
        taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
        status, _, errors = await run("build/gateway", *words)
        taken.close()
        expect(f"where it cannot listen it says so: {words[1:]}", status == 1 and words[3] in errors, errors)
    for words in (("ws://a:99999/",), ("ws://",)):
        program, url = await gateway(*words)
        end = await ended(await websockets.connect(url))
        expect(f"an upstream like {words[0]} is 1014", end[0] == 1014, end)
        await stop(program)


async def untrusted(url):
    program, gate = await gateway(url)
    end = await ended(await websockets.connect(gate))
    await stop(program)
    errors = (await program.stderr.read()).decode()
    expect("an upstream that cannot be trusted is 1014", end[0] == 1014 and "certificate" in errors, (end, errors))
    expect("its log names the option, not a field", "--ca" in errors and "tls." not in errors, errors)
    program, gate = await gateway(url, "--insecure")
    status, out, _ = await run("build/wscat", gate, "--wait", "0.3", data=b"hi\n")
    expect("with --insecure it is used", out == b"hi\n" and status == 0, out)
    await stop(program)


async def main():
    async with websockets.serve(serve_one, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        program, url = await gateway(f"ws://127.0.0.1:{port}/")
        await part(drive, "through it to ws", url)
        await stop(program)
        await part(codes, port)
    for function in (early, slow, failing):
        await part(function)
    if not with_tls():
        skip("wss: no openssl here, or built without")
        return
    echo, url = await example("build/echo", "0", "--cert", CERT, "--key", KEY)
    url = url.replace("127.0.0.1", "localhost")
    program, gate = await gateway(url, "--ca", CA)
    await part(drive, "through it to our wss", gate)
    await stop(program)
    await part(untrusted, url)
    await stop(echo)
    async with websockets.serve(serve_one, "127.0.0.1", 0, max_size=None, ssl=server_context()) as server:
        program, gate = await gateway(f"wss://localhost:{server.sockets[0].getsockname()[1]}/", "--ca", CA)
        await part(drive, "through it to another's wss", gate)
        await stop(program)


finish(main())
