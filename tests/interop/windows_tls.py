#!/usr/bin/python3
"""wss:// across the boundary: one end is a program of Windows, under wine, and OpenSSL for mingw-w64 is in it."""
import asyncio
import os
import sys

sys.dont_write_bytecode = True
from kit import CA, CERT, KEY, drive, example, expect, finish, part, run, with_tls

os.environ["WINEDEBUG"] = "-all"
THERE = "build/windows_tls/windows/"


async def echo_there():
    """A server of Windows: the whole suite of the driver, and wscat."""
    server, url = await example("wine", THERE + "echo.exe", "0", "--cert", CERT, "--key", KEY,
                                errors=asyncio.subprocess.DEVNULL)
    await drive("echo on Windows, TLS", url, "--ca", CA)
    status, out, errors = await run("build/wscat", url, "--ca", CA, "--wait", "2", data=b"one\n\xc3\xa9\n")
    expect("wscat here, echo on Windows, TLS", (status, out) == (0, b"one\n\xc3\xa9\n"), (status, out, errors))
    server.kill()


async def echo_here():
    """A client of Windows: the driver's suite; and one whose system does not know the certificate's CA."""
    server, url = await example("build/echo", "0", "--cert", CERT, "--key", KEY)
    status, out, errors = await run("wine", THERE + "driver.exe", "echo here, TLS", url, "--ca", CA, within=140)
    lines = out.decode(errors="replace").split("\r\n")
    for line in lines[:-2]:
        expect(line[8:], line.startswith("ok "), line)
    expect("a client of Windows, TLS: the driver ends well", status == 0 and lines[-2].endswith(" 0 failed"),
           (status, lines[-2:], errors))
    status, out, errors = await run("wine", THERE + "client.exe", url, "hello")
    expect("client on Windows, echo here: a CA that nobody named", status == 1 and "certificate" in errors,
           (status, out, errors))
    server.kill()


async def main():
    if not with_tls():
        raise RuntimeError("no TLS here")
    for each in (echo_there, echo_here):
        await part(each)


finish(main())
