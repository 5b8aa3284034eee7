#!/usr/bin/python3
"""examples/wscat.c as a program: pipes, files, terminals, signals, options. The peer is python3-websockets."""
import asyncio
import os
import pty
import signal
import sys
import time

sys.dont_write_bytecode = True
from kit import expect, finish, free_ports, part, run, start

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

got = []  # the messages of the latest connection
ends = []  # and how each ended


async def serve_one(socket, path):
    got.clear()
    if path == "/hostile":
        await socket.send("\x1b[31mred\x07 \u009b31m\u0085 \x7f\r \u00e9\tA")
        await socket.send(["split \u00e9", "\x1b]0;title\x07"])
        await socket.close(4000, "\x1b[2Jgone")
    elif path == "/bytes":
        await socket.send(b"\x1b[31m\xff")
        await socket.close(1000)
    elif path == "/flood":
        try:
            for number in range(100000):
                await socket.send(f"line {number}")
                if number % 100 == 0:
                    await asyncio.sleep(0)  # send does not wait while the peer reads: a close would be read after all
        except websockets.exceptions.ConnectionClosed:
            pass
    elif path == "/late":
        await socket.recv()
        await asyncio.sleep(0.6)
        await socket.send("late")
    elif path == "/tardy":  # reads nothing for a while
        await asyncio.sleep(1)
    async for message in socket:
        got.append(message)
        if path == "/":
            await socket.send(message)
    ends.append(socket.close_code)


async def cat(url, *options, data=b"", wait="0.3", **more):
    return await run("build/wscat", url, "--wait", wait, *options, data=data, **more)


async def lines(url):
    status, out, errors = await cat(url, data=b"one\n\ntwo\nno newline")
    expect("lines, an empty one, one without its end", out == b"one\n\ntwo\nno newline\n", out)
    expect("each was a message", got == ["one", "", "two", "no newline"], got)
    expect("status 0, the code on stderr", status == 0 and errors == "closed with 1000\n", (status, errors))
    status, out, _ = await cat(url, data=b"\n" * 20000)
    expect("20,000 empty lines", out == b"\n" * 20000 and status == 0, len(out))
    big = os.urandom(6 << 20).hex().encode()
    status, out, _ = await cat(url, wait="5", data=big + b"\nshort\n" + big)
    expect("lines of 12 MiB", out == big + b"\nshort\n" + big + b"\n" and status == 0, len(out))
    status, out, errors = await cat(url, data=b"good\nb\xc3\x28d\nnever sent\n")
    expect("a line that is not UTF-8 is an error", status == 1 and "line 2 is not UTF-8" in errors, errors)
    expect("and nothing behind it is sent", got == ["good"], got)
    status, out, errors = await cat(url, data=b"nul \0 byte\r\n")
    expect("a zero byte and a carriage return", out == b"nul \0 byte\r\n" and status == 0, out)
    status, out, errors = await cat(url)
    expect("no input at all", out == b"" and status == 0 and not got, (out, errors))
    began = time.monotonic()
    status, out, _ = await cat(url.rstrip("/") + "/late", data=b"x\n", wait="1.5")
    expect("--wait waits for what comes late", out.startswith(b"late\n") and status == 0, out)
    expect("and then for quiet", time.monotonic() - began > 2, time.monotonic() - began)
    status, out, _ = await cat(url.rstrip("/") + "/late", data=b"x\n", wait="0")
    expect("--wait 0 does not", out == b"" and status == 0, out)


async def binary(url):
    data = os.urandom(3 << 20)
    status, out, _ = await cat(url, "--binary", data=data)
    expect("--binary: a pipe comes back byte for byte", out == data and status == 0, len(out))
    expect("as one message", got == [data], len(got))
    with open("build/interop/input", "wb") as file:
        file.write(data)
    with open("build/interop/input", "rb") as file:
        process = await start("build/wscat", url, "--binary", "--wait", "0.3", stdin=file,
                              stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    expect("so does a file", out == data and process.returncode == 0, len(out))
    status, out, _ = await cat(url, "--binary")
    expect("nothing is no message", got == [] and status == 0, got)
    status, out, _ = await cat(url + "bytes", wait="inf")
    expect("without --binary bytes are counted", out == b"<6 bytes>\n" and status == 0, out)


async def slow(url):
    data = b"\n".join(b"x" * 5000 for _ in range(4000)) + b"\n"
    status, _, _ = await cat(url + "tardy", data=data)
    expect("20 MB to a slow reader arrive", [len(each) for each in got] == [5000] * 4000 and status == 0, len(got))


async def terminal(url, path, *options, typed=b"", close_input=True):
    """Runs it on a terminal of its own: what the terminal shows, and the status."""
    master, slave = pty.openpty()
    process = await start("build/wscat", url + path, *options, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.set_blocking(master, False)
    shown, turn = b"", 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            piece = os.read(master, 65536)
            if not piece:
                break
            shown += piece
        except BlockingIOError:
            if process.returncode is not None:
                break
            await asyncio.sleep(0.02)
        except OSError:
            break
        if turn == 0 and b"connected" in shown and typed:
            os.write(master, typed)
            turn = 1
        if turn == 1 and close_input and shown.count(b"hello") == 2:
            os.write(master, b"\x04")
            turn = 2
    await asyncio.wait_for(process.wait(), 60)
    os.close(master)
    return process.returncode, shown


async def terminals(url):
    status, shown = await terminal(url, "", typed=b"hello\n")
    expect("on a terminal it talks", shown.count(b"hello\r\n") == 2 and status == 0, shown)
    status, shown = await terminal(url, "hostile")
    expect("a peer cannot steer the terminal", b"\x1b" not in shown and b"\x07" not in shown and b"\xc2" not in shown
           and b"\x7f" not in shown and b"\x9b" not in shown, shown)
    expect("but all of it is shown", b"^[[31mred^G" in shown and "^?^M \u00e9" in shown.decode(errors="replace")
           and "split \u00e9^[]0;title^G".encode() in shown, shown)
    expect("nor can its reason", b"4000: ^[[2Jgone" in shown and status == 1, shown)
    status, shown = await terminal(url, "bytes", "--binary")
    expect("bytes are not written to a terminal", b"<6 bytes>\r\n" in shown and b"\x1b" not in shown, shown)


async def signals(url):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = await start("build/wscat", url + "flood", stdin=asyncio.subprocess.PIPE,
                              stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        await asyncio.wait_for(process.stdout.readline(), 60)
        ends.clear()
        process.send_signal(number)
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        for _ in range(3000):
            if ends:
                break
            await asyncio.sleep(0.02)
        expect(f"{number.name} closes with 1000", ends == [1000] and process.returncode == 0, (ends, errors))
    port = free_ports(1)[0]
    arrived = asyncio.Event()

    async def never(*_):
        arrived.set()
        await asyncio.sleep(60)

    listener = await asyncio.start_server(never, "127.0.0.1", port)
    process = await start("build/wscat", f"ws://127.0.0.1:{port}/", stdin=asyncio.subprocess.PIPE,
                          stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    await asyncio.wait_for(arrived.wait(), 60)
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    expect("Ctrl-C before it is connected ends it with 1", process.returncode == 1, (process.returncode, errors))
    listener.close()
    status, out, errors = await run("sh", "-c", 'build/wscat "$1" | head -n 3', "sh", url + "flood")
    expect("a reader who has seen enough", out == b"line 0\nline 1\nline 2\n" and "1000" in errors, (out, errors))
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            process = await start("build/wscat", url + "flood", stdin=asyncio.subprocess.PIPE, stdout=full,
                                  stderr=asyncio.subprocess.PIPE)
            _, errors = await asyncio.wait_for(process.communicate(), 60)
        expect("a full disk is an error", process.returncode == 1 and b"No space" in errors, errors)
    status, out, errors = await run("sh", "-c", 'exec build/wscat "$1" --wait 0.3 <&- >&- 2>&-', "sh", url)
    expect("without any standard stream it ends well", status == 0, (status, errors))


async def usage(url):
    status, out, errors = await run("build/wscat", "--help")
    expect("--help", status == 0 and out.startswith(b"usage: wscat URL") and not errors, errors)
    for words in ((), (url, "--nonsense"), (url, "-H"), (url, "-H", "no colon"), (url, "--ca"), (url, url),
                  (url, "--wait", "long"), (url, "--wait", "-1")):
        status, _, errors = await run("build/wscat", *words)
        expect(f"bad usage is 2: {' '.join(words[1:])}", status == 2 and errors.startswith("wscat: "), errors)
    for bad in ("nonsense", "ftp://localhost/", "ws://", "ws://localhost:99999/", "ws://localhost/#part"):
        status, _, errors = await run("build/wscat", bad)
        expect(f"not a URL to connect to: {bad}", status == 1 and errors.startswith("wscat: "), errors)
    status, _, errors = await cat(url, "-H", "Bad: a\r\nInjected: b")
    expect("a header with a line break is refused", status == 1 and errors, errors)
    status, _, errors = await cat("ws://no-such-host.invalid/")
    expect("a name without an address", status == 1 and "no-such-host.invalid" in errors, errors)


async def main():
    async with websockets.serve(serve_one, "127.0.0.1", 0, max_size=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for function in (lines, binary, slow, terminals, signals, usage):
            await part(function, url)


finish(main())
