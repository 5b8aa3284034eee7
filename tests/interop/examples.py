#!/usr/bin/python3
"""The short examples against Debian's python3-websockets: token, pool, pump. And which ports all of them refuse."""
import asyncio
import json
import os
import sys

sys.dont_write_bytecode = True
from kit import example, expect, finish, part, run, stop

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

FILE = "build/interop/pumped"


async def connect(url, **more):
    return await asyncio.wait_for(websockets.connect(url, max_size=None, **more), 10)


async def heard(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def status_of(url, **more):
    try:
        await (await connect(url, **more)).close()
        return 101
    except websockets.InvalidStatusCode as refused:
        return refused.status_code


async def token():
    process, url = await example("build/token", "0")
    bearer = {"extra_headers": {"Authorization": "Bearer bob-secret"}}
    ann = await connect(url + "ws/lobby?token=ann-secret")
    bob = await connect(url + "ws/lobby", **bearer)
    expect("token: who has one is known", (await heard(ann), await heard(bob)) == ({"hello": "Ann"}, {"hello": "Bob"}))
    await ann.send("a \"quoted\" line\nand another")
    said = {"from": "Ann", "text": "a \"quoted\" line\nand another"}
    expect("token: both get what one says", (await heard(ann), await heard(bob)) == (said, said))
    for query in ("", "?token=", "?token=ann-secre", "?token=ann-secrets", "?token=Ann-secret"):
        expect(f"token: \"{query}\" is refused", await status_of(url + "ws/lobby" + query) == 401)
    expect("token: another scheme is refused",
           await status_of(url + "ws/lobby", extra_headers={"Authorization": "Basic Ym9iLXNlY3JldA=="}) == 401)
    await ann.close()
    await bob.close()
    expect("token: it ends with status 0", await stop(process) == 0)


async def pool():
    process, url = await example("build/pool", "0")
    sockets = [await connect(url) for _ in range(20)]
    for number, socket in enumerate(sockets):
        for below in (number, 1000 * number):
            await socket.send(str(below))
    good = True
    for number, socket in enumerate(sockets):
        answers = sorted([await heard(socket), await heard(socket)], key=lambda answer: answer["below"])
        good = good and answers == [{"below": below, "primes": sum(
            all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(2, below))} for below in
            sorted((number, 1000 * number))]
    expect("pool: every question has its answer", good)
    await sockets[0].send("-1")
    expect("pool: what is no number is refused", "error" in await heard(sockets[0]))
    for _ in range(300):
        await sockets[1].send("500000")
    expect("pool: beyond what may wait it says so", "error" in await heard(sockets[1]))
    await sockets[1].close()  # answers to one who left reach nobody
    await sockets[0].send("10")
    while (answer := await heard(sockets[0])).get("below") != 10:
        pass
    expect("pool: it goes on", answer["primes"] == 4)
    expect("pool: it ends with status 0", await stop(process) == 0)


async def pump():
    content = os.urandom(1 << 20) * 32
    with open(FILE, "wb") as file:
        file.write(content)
    process, url = await example("build/pump", FILE, "0")
    quick = await connect(url)
    slow = await connect(url, max_queue=1)
    got = await asyncio.wait_for(quick.recv(), 30)
    expect("pump: a file of 32 MiB arrives", got == content)
    with open(f"/proc/{process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    expect("pump: without being held in memory", peak < 16 << 10, peak)
    expect("pump: a slow reader gets all of it", await asyncio.wait_for(slow.recv(), 30) == content)
    await asyncio.wait_for(quick.wait_closed(), 10)
    expect("pump: then it closes", quick.close_code == 1000)
    os.truncate(FILE, 0)
    expect("pump: an empty file is an empty message", await (await connect(url)).recv() == b"")
    os.remove(FILE)
    gone = await connect(url)
    await asyncio.wait_for(gone.wait_closed(), 10)
    expect("pump: a file that is gone is said", gone.close_code == 1011)
    expect("pump: it ends with status 0", await stop(process) == 0)


async def options():
    for name in ("token", "pool"):
        status, out, _ = await run(f"build/{name}", "-h")
        expect(f"{name}: -h is help", status == 0 and out.startswith(b"usage:"))
    for words in (("chat",), ("dashboard",), ("echo",), ("gateway",), ("gateway", "ws://127.0.0.1:1/"), ("htmx",),
                  ("json_api",), ("pool",), ("pump", FILE), ("rooms",), ("session",), ("threads",), ("token",)):
        for port in ("80x", "x80", "65536", "99999", "99999999999999999999", "-1", "+80", " 80", "8e3", "0x50", ""):
            try:
                status, _, error = await run(f"build/{words[0]}", *words[1:], port)
            except asyncio.TimeoutError:
                status, error = "it serves", ""
            expect(f"{' '.join(words)}: \"{port}\" is no port", status == 2 and f"\"{port}\"" in error, (status, error))
    status, _, error = await run("build/pump")
    expect("pump: a file is needed", status == 2 and "usage:" in error)
    status, _, error = await run("build/pump", "no such file")
    expect("pump: a file that is not there is said", status == 1 and "\"no such file\"" in error, error)


async def main():
    await part(token)
    await part(pool)
    await part(pump)
    await part(options)


finish(main())
