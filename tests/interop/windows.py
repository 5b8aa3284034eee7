#!/usr/bin/python3
"""Across the boundary: examples as programs of Windows, under wine; their peers are this system's."""
import asyncio
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import sys
import termios

sys.dont_write_bytecode = True
from kit import drive, example, expect, finish, part, run, skip, start, stop

try:
    import websockets
except ImportError:
    websockets = None

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


async def wscat_there():
    """A client of Windows, echo here: lines, bytes, the end of the input, Ctrl-C, a server that leaves."""
    server, url = await example("build/echo", "0")
    status, out, errors = await run(*there("wscat"), url, "--wait", "0.3", data=b"one\r\n\xc3\xa9\n\nno end")
    expect("wscat on Windows, echo here: lines", (status, out, errors) ==
           (0, b"one\r\n\xc3\xa9\r\n\r\nno end\r\n", "closed with 1000\r\n"), (status, out, errors))
    status, out, errors = await run(*there("wscat"), url, "--wait", "0.3")
    expect("wscat on Windows: no input at all", (status, out) == (0, b""), (status, out, errors))
    status, out, errors = await run(*there("short_wscat"), url, "--wait", "0.3", data=b"one\r\ntwo\r\n")
    expect("wscat on Windows, whose posts fail now and then", (status, out) == (0, b"one\r\ntwo\r\n"),
           (status, out, errors))
    data = os.urandom(400000) + b"\r\n\x1a\n"
    status, out, errors = await run(*there("wscat"), url, "--wait", "1", "--binary", data=data)
    expect("wscat on Windows: bytes stay what they are", (status, out) == (0, data), (status, len(out), errors))
    pipe = asyncio.subprocess.PIPE
    for why in ("Ctrl-C", "the server leaves"):
        client = await start(*there("wscat"), url, "--wait", "inf", stdin=pipe, stdout=pipe, stderr=pipe)
        for line in (b"first\r\n", b"second\r\n"):
            client.stdin.write(line)
            expect(f"wscat on Windows answers line by line, then {why}", await client.stdout.readline() == line)
        code = b"1000" if why == "Ctrl-C" else b"1012"
        (client if why == "Ctrl-C" else server).send_signal(signal.SIGINT)
        told = await client.stderr.readline()
        status = await asyncio.wait_for(client.wait(), 60)  # although its input goes on
        expect(f"wscat on Windows, {why}: closed with {code.decode()}", told.startswith(b"closed with " + code)
               and status == (why != "Ctrl-C"), (status, told))


async def wscat_typed():
    """On a terminal, as wine shows it: one character at a time."""
    server, url = await example("build/echo", "0")
    master, slave = pty.openpty()
    client = await start("setsid", "--ctty", *there("wscat"), url, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.set_blocking(master, False)
    shown, typed = b"", [(b"Enter ends", "hello \u00e9\r".encode()), (b"hello \xc3\xa9\r\r\nhello \xc3\xa9\r", b"\x03")]
    while True:
        ended = client.returncode is not None  # asked before what it wrote last is read
        try:
            shown += os.read(master, 65536)
        except BlockingIOError:
            if ended:
                break
            await asyncio.sleep(0.02)
        except OSError:
            break
        shown = re.sub(rb"\x1b\[[0-9?]*[A-Zhl]", lambda found: b" " if found[0] == b"\x1b[1C" else b"", shown)
        if typed and typed[0][0] in shown and not termios.tcgetattr(master)[3] & termios.ECHO:
            os.write(master, typed.pop(0)[1])
    status = await client.wait()
    os.close(master)
    expect("wscat on Windows, typed: the line comes back, Ctrl-C closes", not typed and b"closed with 1000" in shown
           and status == 0, (status, typed, shown))
    server.kill()


def waiting(socket):
    """How many bytes have arrived in the system's buffer of a socket."""
    return int.from_bytes(fcntl.ioctl(socket.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)


async def wscat_waits():
    """Its peer reads nothing for a while: the input waits, and all of it arrives."""
    if not websockets:
        skip("no python3-websockets")
        return
    got = []

    async def tardy(socket, *_):
        held, before = 0, -1
        while not held or held != before:  # until nothing more arrives
            await asyncio.sleep(0.5)
            before, held = held, waiting(socket.transport.get_extra_info("socket"))
        async for message in socket:
            got.append(message)

    data = b"\n".join(b"x" * 5000 for _ in range(2000)) + b"\n"
    async with websockets.serve(tardy, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        status, _, errors = await run(*there("wscat"), url, "--wait", "1", data=data, within=140)
    expect("wscat on Windows: 10 MB to a slow reader arrive", [len(each) for each in got] == [5000] * 2000
           and status == 0, (status, len(got), errors))


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
    for each in (echo_there, echo_here, rooms_there, wscat_there, wscat_typed, wscat_waits):
        await part(each)


finish(main())
