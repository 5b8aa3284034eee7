#!/usr/bin/python3
"""The short examples against Debian's python3-websockets: token, pool, pump; names in rooms; hosts; options of all."""
import asyncio
import json
import os
import sys

sys.dont_write_bytecode = True
from kit import CERT, KEY, example, expect, finish, part, run, skip, stop, with_tls

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

FILE = "build/interop/pumped"


async def connect(url, **more):
    return await asyncio.wait_for(websockets.connect(url, max_size=None, **more), 60)


async def heard(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 60))


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
        await sockets[1].send("200000")
    replies = 0  # the workers may answer some questions before the last ones come
    while "error" not in await heard(sockets[1]):
        replies += 1
    expect("pool: beyond what may wait it says so", replies < 300 - 256)
    await sockets[1].close()  # answers to one who left reach nobody
    await sockets[0].send("10")
    while (answer := await heard(sockets[0])).get("below") != 10:
        pass
    expect("pool: it goes on", answer["primes"] == 4)
    expect("pool: it ends with status 0", await stop(process) == 0)


async def pump():
    os.makedirs(os.path.dirname(FILE), exist_ok=True)
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
    await asyncio.wait_for(quick.wait_closed(), 60)
    expect("pump: then it closes", quick.close_code == 1000)
    os.truncate(FILE, 0)
    expect("pump: an empty file is an empty message", await (await connect(url)).recv() == b"")
    os.remove(FILE)
    gone = await connect(url)
    await asyncio.wait_for(gone.wait_closed(), 60)
    expect("pump: a file that is gone is said", gone.close_code == 1011)
    expect("pump: it ends with status 0", await stop(process) == 0)


async def rooms():
    process, url = await example("build/rooms", "0")
    ann = await connect(url + "ws/den/Ann")
    first = await heard(ann)
    bob = await connect(url + "ws/den/Bob")
    await heard(bob)
    await heard(ann)
    await ann.send("/name Anna \"the\" Great")
    renamed = {**first, "type": "renamed", "name": "Anna \"the\" Great", "text": "Ann", "members": 2}
    expect("rooms: a new name is one message to all", (await heard(ann), await heard(bob)) == (renamed, renamed))
    await ann.send("two\nlines\r\n\tand a tab")
    said = await heard(bob)
    expect("rooms: the new name is used", said["name"] == "Anna \"the\" Great" and said["id"] == first["id"], said)
    expect("rooms: line breaks stay", said["text"] == "two\nlines\r\n\tand a tab", said)
    await ann.close()
    left = await heard(bob)
    expect("rooms: and is the one that leaves", left == {**renamed, "type": "left", "text": "", "members": 1}, left)
    for name in ("", "x" * 129):
        unnamed = await connect(url + "ws/attic")
        await unnamed.send("/name " + name)
        await asyncio.wait_for(unnamed.wait_closed(), 60)
        expect(f"rooms: a name of {len(name)} bytes is refused", unnamed.close_code == 1008, unnamed.close_code)
    await bob.close()
    expect("rooms: it ends with status 0", await stop(process) == 0)


async def page_status(port, to, host):
    """What a page gets that a browser fetched from that Host."""
    reader, writer = await asyncio.open_connection(to, port)
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return int(line.split()[1])


async def hosts():
    """Against DNS rebinding: a foreign name leads nowhere, unless the server listens on all addresses."""
    pages = [(name, "127.0.0.1") for name in ("dashboard", "htmx", "json_api", "rooms", "session")]
    for name, host in pages + [("chat", host) for host in ("127.0.0.1", "localhost", "127.0.0.2", "::1", "0.0.0.0")]:
        process, url = await example(f"build/{name}", "0", "--host", host)
        own, port = url.removeprefix("ws://").rstrip("/").rsplit(":", 1)
        to = "127.0.0.1" if host == "0.0.0.0" else host
        for asked, wanted in ((own, 200), ("localhost", 200), ("127.0.0.1", 200), ("[::1]", 200),
                              ("rebound.example", 200 if host == "0.0.0.0" else 403)):
            status = await page_status(port, to, asked)
            expect(f"{name}: --host {host}: the Host {asked} gets {wanted}", status == wanted, status)
        await stop(process)


SERVERS = (("chat",), ("dashboard",), ("echo",), ("gateway",), ("gateway", "ws://127.0.0.1:1/"), ("htmx",),
           ("json_api",), ("pool",), ("pump", FILE), ("rooms",), ("session",), ("threads",), ("token",))
VALUES = {"dashboard": "--every", "gateway": "--ca", "htmx": "--scripts", "threads": "--threads",
          "wscat": "-H --subprotocol --origin --wait --proxy --ca --cert --key"}
SERVER_VALUES = "--host "
TLS_VALUES = "--cert --key "  # where TLS is built in
NUMBERS = {"dashboard": ("--every", ("9", "3600001", "1s", "-5", "", "99999999999999999999")),
           "threads": ("--threads", ("0", "257", "2x", "-1", "", "99999999999999999999")),
           "wscat": ("--wait", ("1s", "-1", "", "nan"))}


async def refused(name, *words):
    """Status 2, nothing but errors, and these begin with the program's name."""
    try:
        status, out, error = await run(f"build/{name}", *words, within=10)
    except asyncio.TimeoutError:
        return "it serves"
    return error if status == 2 and out == b"" and error.startswith(name + ": ") else f"status {status}, {out} {error}"


async def helps():
    for name in sorted({words[0] for words in SERVERS} | {"client", "firmware", "unit_test", "wscat"}):
        for word in ("-h", "--help"):
            status, out, error = await run(f"build/{name}", word)
            expect(f"{name}: {word} is help", (status, error) == (0, "") and out.startswith(b"usage: " + name.encode()),
                   (status, out, error))
        for word in ("--nonsense", "-x"):
            error = await refused(name, word)
            expect(f"{name}: {word} is unknown", f"{name}: \"{word}\" is " in error and "usage: " in error, error)
        serves = name not in ("client", "firmware", "unit_test", "wscat")
        values = SERVER_VALUES + (TLS_VALUES if b"--cert" in out else "") if serves else ""
        for option in (values + VALUES.get(name, "")).split():
            error = await refused(name, option)
            expect(f"{name}: {option} needs a value", f"{name}: \"{option}\" needs a value" in error, error)


async def ports():
    for words in SERVERS:
        for port in ("80x", "x80", "65536", "99999", "99999999999999999999", "-1", "+80", " 80", "8e3", "0x50", ""):
            error = await refused(*words, port)
            expect(f"{' '.join(words)}: \"{port}\" is no port", f"\"{port}\"" in error and "65535" in error, error)
    for name, (option, values) in NUMBERS.items():
        for value in values:
            error = await refused(name, *(["ws://127.0.0.1:1/"] if name == "wscat" else []), option, value)
            expect(f"{name}: {option} \"{value}\" is refused", f"\"{value}\"" in error and option in error, error)


async def wanted():
    error = await refused("pump")
    expect("pump: a file is needed", "\"FILE\" is needed" in error, error)
    status, _, error = await run("build/pump", "no such file")
    expect("pump: a file that is not there is named", status == 1 and error == "pump: \"no such file\" cannot be read: "
           "No such file or directory\n", error)
    status, _, error = await run("build/pump", "examples")
    expect("pump: nor can a folder be read", status == 1 and ": Is a directory" in error, error)
    _, out, _ = await run("build/token", "--help")
    expect("token: its help tells of path and token", b" /ws/" in out and b"?token=ann-secret" in out, out)
    error = await refused("gateway")
    expect("gateway: a URL is needed", "\"URL\" is needed" in error, error)
    for url in ("http://127.0.0.1/", "127.0.0.1:9001"):
        error = await refused("gateway", url)
        expect(f"gateway: {url} is no URL", f"\"{url}\"" in error and "wss://" in error, error)
    error = await refused("wscat")
    expect("wscat: a URL is needed", "\"URL\" is needed" in error, error)
    error = await refused("wscat", "ws://127.0.0.1/", "ws://127.0.0.2/")
    expect("wscat: a second URL is too many", "ws://127.0.0.2/" in error, error)
    error = await refused("wscat", "ws://127.0.0.1/", "-H", "no colon")
    expect("wscat: a header without a colon", "\"no colon\"" in error and "Name: value" in error, error)
    error = await refused("wscat", "wss://127.0.0.1/", "--key", "Makefile")
    expect("wscat: a key needs its certificate", "--key" in error and "--cert" in error, error)
    if with_tls():
        error = await refused("echo", "--key", KEY)
        expect("echo: a key needs its certificate", "\"--key\" needs --cert beside it" in error, error)
    error = await refused("client", "ws://127.0.0.1/", "hello", "world")
    expect("client: a third word is too many", "\"world\"" in error, error)


async def dashes():
    process, url = await example("build/echo", "0")
    for words in (("--", url, "-5"), (url, "--", "--help"), (url, "--", "--")):
        result = await run("build/client", *words)
        expect(f"client: {' '.join(words)}", result == (0, words[2].encode() + b"\n", ""), result)
    error = await refused("client", url, "-5")
    expect("client: -5 is not an option", "\"-5\" is not an option" in error, error)
    error = await refused("client", "--", url, "hello", "-h")
    expect("client: a third word is too many behind --, too", "\"-h\" is one word too many" in error, error)
    await stop(process)


async def files():
    if not with_tls():
        skip("no TLS: the files of wscat")
        return
    for options, words in ((("--ca", "no such file"), "--ca no such file cannot be read: No such"),
                           (("--ca", "Makefile"), "--ca Makefile holds no usable CA"),
                           (("--cert", "no such file"), "--cert no such file cannot be read: No such"),
                           (("--cert", "Makefile", "--key", KEY), "--cert Makefile holds no usable certificate"),
                           (("--cert", CERT, "--key", "no such file"), "--key no such file cannot be read: No such")):
        status, _, error = await run("build/wscat", "wss://127.0.0.1:1/", *options)
        expect(f"wscat: {' '.join(options)}", status == 1 and error.startswith("wscat: " + words), (status, error))


async def verbose():
    """With --verbose every server, and wscat, logs what happens on stderr."""
    for words in SERVERS:
        if words == ("gateway",):  # needs a URL
            continue
        if words[0] == "pump":
            words = ("pump", "Makefile")
        process, url = await example(f"build/{words[0]}", *words[1:], "0", "--verbose", errors=asyncio.subprocess.PIPE)
        own, port = url.removeprefix("ws://").rstrip("/").rsplit(":", 1)
        _, writer = await asyncio.open_connection(own, port)
        name = "%s:%u" % writer.get_extra_info("sockname")
        writer.write(b"GET /no/such/path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        wanted = [f" accepted: {name}\n", " bytes: GET /no/such/path HTTP/1.1\n", " refused 4"]
        log = ""
        while any(line not in log for line in wanted):
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            log += line.decode()
            if not line:
                break
        expect(f"{words[0]}: --verbose logs a connection, its request and the refusal",
               all(line in log for line in wanted), log)
        writer.close()
        await stop(process)
    process, url = await example("build/echo", "0")
    status, out, log = await run("build/wscat", url, "--verbose", "--wait", "0.3", data=b"hello\n")
    expect("wscat: --verbose logs the answer and both frames", status == 0 and out == b"hello\n" and all(
        line in log for line in (": HTTP/1.1 101 ", " opened\n", " out text 5 bytes\n", " in text 5 bytes\n",
                                 " closed 1000 by us, in 1 messages ")), log)
    await stop(process)


async def main():
    await part(token)
    await part(pool)
    await part(pump)
    await part(rooms)
    await part(hosts)
    for function in (helps, ports, wanted, dashes, files, verbose):
        await part(function)


finish(main())
