#!/usr/bin/python3
"""Across the boundary: examples as programs of Windows, under wine; their peers are this system's."""
import asyncio
import json
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True
from kit import drive, example, expect, finish, part, run, start, stop

os.environ["WINEDEBUG"] = "-all"


def there(name):
    """The words that run an example of Windows."""
    return ("wine", f"build/windows/{name}.exe")


async def echo_there():
    """A server of Windows: the whole suite of the driver, with and without compression, and wscat."""
    server, url = await example(*there("echo"), "0", errors=asyncio.subprocess.DEVNULL)
    await drive("echo on Windows", url)
    await drive("echo on Windows, compressed", url, "--deflate", "context")
    status, out, errors = await run("build/wscat", url, "--wait", "0.3", data=b"one\n\xc3\xa9\nthree\n")
    expect("wscat here, echo on Windows", (status, out) == (0, b"one\n\xc3\xa9\nthree\n"), (status, out, errors))
    pipe = asyncio.subprocess.PIPE
    member = await start("build/wscat", url, "--wait", "inf", stdin=pipe, stdout=pipe, stderr=pipe)
    member.stdin.write(b"here\n")
    expect("it is connected", await member.stdout.readline() == b"here\n")
    status = await stop(server, signal.SIGINT)
    told = await member.stderr.read()
    expect("Ctrl-C on Windows: a close with 1012, and status 0", (status, told[:16]) == (0, b"closed with 1012"),
           (status, told))


async def echo_here():
    """A client of Windows: the driver's suite, and the example that waits."""
    server, url = await example("build/echo", "0")
    status, out, errors = await run(*there("driver"), "windows: echo here", url, within=140)
    lines = out.decode(errors="replace").split("\r\n")
    for line in lines[:-2]:
        name, good = line[8:], line.startswith("ok ")
        expect(name, good, line)
    expect("a client of Windows, echo here: the driver ends well", status == 0 and lines[-2].endswith(" 0 failed"),
           (status, lines[-2:], errors))
    status, out, errors = await run(*there("client"), url, "hello")
    expect("client on Windows, echo here", (status, out) == (0, b"hello\r\n"), (status, out, errors))
    server.kill()


async def said(member, **wanted):
    """Reads what a member of a room is told until that comes."""
    while True:
        line = await asyncio.wait_for(member.stdout.readline(), 60)
        if not line:
            return False
        told = json.loads(line)
        if all(told.get(key) == value for key, value in wanted.items()):
            return True


async def rooms_there():
    """Two members from here in a room of a server on Windows: each sees the other come, speak and leave."""
    server, url = await example(*there("rooms"), "0", errors=asyncio.subprocess.DEVNULL)
    pipe = asyncio.subprocess.PIPE
    names, members = ("Ann", "Bob"), []
    for name in names:
        members.append(await start("build/wscat", f"{url}ws/lobby/{name}", "--wait", "inf", stdin=pipe, stdout=pipe,
                                   stderr=asyncio.subprocess.DEVNULL))
        expect(f"{name} sees {name} join", await said(members[-1], type="joined", name=name))
    expect("Ann sees Bob join", await said(members[0], type="joined", name="Bob", members=2))
    for speaker, name in zip(members, names):
        speaker.stdin.write(f"{name} says \u00fc\n".encode())
        for listener, reader in zip(members, names):
            expect(f"{reader} reads {name}", await said(listener, type="say", name=name, text=f"{name} says \u00fc"))
    members[1].terminate()
    expect("Ann sees Bob leave", await said(members[0], type="left", name="Bob", members=1))
    status, out, errors = await run("curl", "-s", url.replace("ws", "http", 1))
    expect("the page comes from Windows", b"</html>" in out or b"<script" in out, (status, out[:100], errors))
    server.kill()


async def main():
    if not shutil.which("wine"):
        raise RuntimeError("no wine")
    for each in (echo_there, echo_here, rooms_there):
        await part(each)


finish(main())
