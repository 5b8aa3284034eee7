#!/usr/bin/python3
"""Debian's python3-websockets with the echo server on several threads: the system deals the connections out."""
import asyncio
import json
import signal
import sys

sys.dont_write_bytecode = True
from kit import example, expect, finish, part, run, stop

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


async def visit(url, number):
    """A connection that stays open: the thread that serves it, and whether its echoes come."""
    socket = await asyncio.wait_for(websockets.connect(url), 60)
    hello = json.loads(await asyncio.wait_for(socket.recv(), 60))
    good = True
    for count in range(20):
        text = f"{number}: {count}"
        await socket.send(text)
        good = good and await asyncio.wait_for(socket.recv(), 60) == text
    return socket, hello, good


async def several(threads):
    process, url = await example("build/threads", "0", "--threads", str(threads))
    visits = await asyncio.gather(*(visit(url, number) for number in range(100)))
    used = {hello["thread"] for _, hello, _ in visits}
    expect(f"{threads} threads: all echoes come", all(good for _, _, good in visits))
    expect(f"{threads} threads: each says how many", {hello["of"] for _, hello, _ in visits} == {threads})
    expect(f"{threads} threads: every one serves", used == set(range(1, threads + 1)), used)
    process.send_signal(signal.SIGTERM)
    codes = []
    for socket, _, _ in visits:
        try:
            await asyncio.wait_for(socket.recv(), 60)
        except websockets.ConnectionClosed:
            codes.append(socket.close_code)
    expect(f"{threads} threads: all are closed with 1012", codes == [1012] * 100, codes)
    status = await asyncio.wait_for(process.wait(), 60)  # a second signal would end it at once
    expect(f"{threads} threads: it ends with status 0", status == 0, status)


async def errors():
    status, out, error = await run("build/threads", "--threads", "0")
    expect("no threads: usage", status == 2 and b"" == out and "--threads" in error, error)
    process, url = await example("build/echo", "0")
    status, _, error = await run("build/threads", url.rstrip("/").split(":")[-1], "--threads", "2")
    expect("a port in use is said", status == 1 and "in use" in error, error)
    await stop(process)


async def main():
    await part(several, 1)
    await part(several, 4)
    await part(errors)


finish(main())
