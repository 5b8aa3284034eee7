#!/usr/bin/python3
"""cluster.c: rooms over three servers and a redis-server, which are killed, replaced, stopped and started meanwhile."""
import asyncio
import json
import os
import signal
import sys
import tempfile
import urllib.request

sys.dont_write_bytecode = True
from kit import example, expect, finish, free_ports, has, part, run, start, stop

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

ROOMS, MEMBERS = 20, 300
FOLDER = tempfile.TemporaryDirectory()


async def redis(port, *more):
    process = await start("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                          "--appendonly", "no", "--dir", FOLDER.name, *more, stdout=asyncio.subprocess.DEVNULL)
    for _ in range(200):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return process
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError("redis-server does not start")


async def ask(port, *words):
    """The lines that redis-cli prints."""
    return (await run("redis-cli", "-p", str(port), *words))[1].decode().split()


async def server(redis_port, name, port=0, errors=None):
    return await example("build/cluster", str(port), "--redis", f"redis://127.0.0.1:{redis_port}/2", "--name", name,
                         errors=errors)


class Member:
    """Talks in a room. logs: what it heard, (type, id, text), a list for each of its connections."""

    def __init__(self, url, room, name):
        self.url, self.room, self.name = url, room, name
        self.logs, self.notices, self.said, self.unknown, self.members = [], [], [], [], 0
        self.news, self.socket, self.outcome = asyncio.Event(), None, None  # of the latest: back, refused, unknown
        self.stuck = self.ended = False
        self.task = asyncio.ensure_future(self.live())

    async def live(self):
        while not self.ended:
            try:
                async with websockets.connect(f"{self.url}ws/{self.room}/{self.name}", max_queue=None,
                                              compression=None) as socket:
                    self.logs.append([])
                    self.socket = socket
                    async for line in socket:
                        self.hear(json.loads(line))
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                await asyncio.sleep(0.1)
            self.socket, self.outcome = None, self.outcome or "unknown"
            self.news.set()

    def hear(self, message):
        self.members = message["members"]
        if message["id"] == "server":
            self.notices.append(message["text"])
            self.outcome = "refused" if "not sent" in message["text"] else self.outcome
            self.outcome = "unknown" if "not known" in message["text"] else self.outcome
            if "lost each other" in message["text"]:
                self.logs[-1].append(("gap", "", ""))
        else:
            self.logs[-1].append((message["type"], message["id"], message["text"]))
            if self.said and message["text"] == self.said[-1] and message["type"] == "say":
                self.outcome = "back"
        self.news.set()

    async def until(self, condition, seconds=20):
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return True

    def heard(self, text):
        return any(text == each[2] for each in self.logs[-1])

    async def say(self, text):
        """Says this, and waits until it is known what became of it."""
        self.said.append(text)
        self.outcome = None
        try:
            await self.socket.send(text)
        except websockets.WebSocketException:
            self.outcome = "unknown"
        if not await self.until(lambda: self.outcome, 30):
            self.stuck = True
        elif self.outcome != "back":
            if self.outcome == "unknown":
                self.unknown.append(text)
            self.said.pop()
        return self.outcome

    async def until_heard(self, text):
        """Says it again while servers do not reach each other yet."""
        await self.until(lambda: self.socket and self.logs[-1])
        for _ in range(100):
            if await self.say(text) == "back":
                return True
            await asyncio.sleep(0.1)
        return False

    async def talk(self, going):
        number = 0
        while going() and not self.stuck:
            if not self.socket or not self.logs[-1]:
                self.news.clear()
                await self.news.wait()
                continue
            number += 1
            if await self.say(f"{self.name} {number}") != "back":
                await asyncio.sleep(0.2)

    async def end(self):
        self.ended = True
        if self.socket:
            await self.socket.close()
        await self.task

    def stretches(self):
        """What it heard others say: a list for each connection, cut where it was told that servers lost each other."""
        found = []
        for log in self.logs:
            found.append([])
            for kind, _, text in log:
                if kind == "gap":
                    found.append([])
                elif kind == "say":
                    found[-1].append(text)
        return found


async def small():
    """Two members, on two servers: what they see; what Redis holds."""
    port = free_ports(1)[0]
    database = await redis(port)
    (one, one_url), (two, two_url) = await server(port, "one"), await server(port, "two")
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(one_url.replace("ws", "http", 1)).read())
    expect("the page shows the server's name", b"<span id=server>one</span>" in page)
    ann = Member(one_url, "a%20%22room%22%0d", "Ann%0a")
    expect("a member hears that it has joined", await ann.until(lambda: ann.logs and ann.logs[0]))
    expect("what it says comes back", await ann.until_heard("hello"))
    bob = Member(two_url, "a%20%22room%22%0d", "Bob")
    expect("and so does one on another server", await bob.until_heard("hi"))
    expect("both are counted", await ann.until(lambda: ann.members == 2))
    expect("the first thing that a member hears is that it has joined",
           await bob.until(lambda: bob.logs and bob.logs[0] and bob.logs[0][0][0] == "joined"))
    hurtful = "a \"b\"\r\n$5\r\n*1\r\n\\ \u20ac {\"type\":\"left\"}"
    expect("what one says comes back to it", await ann.say(hurtful) == "back")
    expect("and reaches the other server", await bob.until(lambda: bob.heard(hurtful)))
    long = "\x01" * 4096
    expect("a long text, too", await ann.say(long) == "back" and await bob.until(lambda: bob.heard(long)))
    await ann.socket.send("/name Anna")
    expect("a change of name", await bob.until(lambda: ("renamed", ann.logs[0][0][1], "Ann\n") in bob.logs[0]))
    cleo = Member(one_url, "other", "Cleo")
    expect("another room", await cleo.until(lambda: cleo.members == 1))
    expect("a server subscribes to the rooms that it has members of",
           await ask(port, "pubsub", "numsub", "rooms/other") == ["rooms/other", "1"])
    ids = {ann.logs[0][0][1], bob.logs[0][0][1], cleo.logs[0][0][1]}
    expect("ids differ over all servers", len(ids) == 3, ids)
    await bob.end()
    expect("who leaves is not counted any more", await ann.until(lambda: ann.members == 1))
    await cleo.end()
    for _ in range(100):
        channels = await ask(port, "pubsub", "channels")
        if len(channels) < 3:
            break
        await asyncio.sleep(0.05)
    expect("an empty room is unsubscribed and leaves nothing",
           "rooms/other" not in channels and await ask(port, "-n", "2", "exists", "rooms/other") == ["0"])
    two.kill()
    await two.wait()
    await ann.end()
    expect("it ends with status 0", await stop(one) == 0)
    expect("and is not alive in Redis then", len(await ask(port, "-n", "2", "keys", "rooms/alive/*")) == 1)
    await stop(database)


async def unanswered():
    """A server that died is counted until its key expires; a Redis that does not answer is noticed."""
    port = free_ports(1)[0]
    database = await redis(port)
    (one, one_url), (two, two_url) = await server(port, "one"), await server(port, "two")
    ann, bob = Member(one_url, "lobby", "Ann"), Member(two_url, "lobby", "Bob")
    await ann.until_heard("hello")
    await ann.until(lambda: ann.members == 2)
    two.kill()
    await two.wait()
    bob.ended = True
    for _ in range(25):
        await ann.say(f"still {ann.members}?")
        if ann.members == 1:
            break
        await asyncio.sleep(1)
    expect("members of a server that died are counted no longer", ann.members == 1)
    database.send_signal(signal.SIGSTOP)
    expect("a Redis that does not answer: members are told",
           await ann.until(lambda: any("lost each other" in text for text in ann.notices)))
    expect("what they say is refused", await ann.say("hello?") == "refused")
    cleo = Member(one_url, "lobby", "Cleo")
    expect("who comes meanwhile is in the room, and is told",
           await cleo.until(lambda: cleo.notices and cleo.logs[0][0][0] == "joined" and cleo.members == 2))
    database.send_signal(signal.SIGCONT)
    expect("when it answers again, members are told",
           await ann.until(lambda: any("found each other" in text for text in ann.notices)))
    expect("and heard", await cleo.until_heard("here") and await ann.until(lambda: ann.heard("here")))
    expect("all are counted", ann.members == 2, ann.members)
    for member in (ann, cleo):
        await member.end()
    await stop(one)
    await stop(database)


def check_room(members):
    """Each message once, in one order. Redis promises no more than that nothing is missing between two gaps."""
    whole = [member.stretches() for member in members if len(member.logs) == 1]
    problems = [f"{len(each)} stretches" for each in whole if len(each) != 2]
    before, after = (max((each[i] for each in whole), key=len) for i in (0, -1))
    order = before + after
    place = {text: number for number, text in enumerate(order)}
    if len(place) != len(order):
        problems.append("a message came twice")
    for each in whole:
        if each[0] != before[:len(each[0])] or len(before) - len(each[0]) > len(members):
            problems.append(f"{len(each[0])} for {len(before)} before the gap")
        if each[-1] != after:
            problems.append(f"{len(each[-1])} for {len(after)} after the gap")
    for member in members:
        problems += [f"{member.name} is stuck"] * member.stuck
        problems += [f"\"{text}\" is lost" for text in member.said if text not in place]
        for heard in member.stretches():
            first = place.get(heard[0], -1) if heard else 0
            if heard != order[first:first + len(heard)]:
                problems.append(f"{member.name} heard another order")
    return problems, len(order)


async def goes_on(title, members, messages=5):
    """Each of them says so many more that come back."""
    wanted = [len(member.said) + messages for member in members]
    done = [await member.until(lambda: len(member.said) > size, 60) for member, size in zip(members, wanted)]
    expect(title, all(done), done.count(False))


async def crowd():
    """300 members in 20 rooms while a server is killed and replaced, and Redis is stopped and started."""
    port = free_ports(1)[0]
    database = await redis(port)
    servers = [await server(port, name, errors=asyncio.subprocess.DEVNULL) for name in "ABC"]
    members = [Member(servers[number % 3][1], f"room{number // 3 % ROOMS}", f"m{number}") for number in range(MEMBERS)]
    for member in members:
        await member.until(lambda: member.logs and member.logs[-1] and member.members == MEMBERS // ROOMS
                           or member.logs and len(member.logs[-1]) > 1)
    going = True
    talking = [asyncio.ensure_future(member.talk(lambda: going)) for member in members]
    await goes_on("all talk", members)
    servers[2][0].kill()
    await servers[2][0].wait()
    gone = members[2::3]
    expect("a server's members notice that it died",
           all([await member.until(lambda: not member.socket) for member in gone]))
    await goes_on("the others go on without it", [member for member in members if member not in gone])
    servers[2] = await server(port, "C again", int(servers[2][1].rstrip("/").rsplit(":", 1)[1]),
                              errors=asyncio.subprocess.DEVNULL)
    await goes_on("with a new server all talk", members)
    await stop(database)
    lost = [await member.until(lambda: any("lost" in text for text in member.notices)) for member in members]
    expect("all members are told that Redis is gone", all(lost), lost.count(False))
    database = await redis(port)
    back = [await member.until(lambda: len(member.logs) > 1 or any("found" in text for text in member.notices))
            for member in members]
    expect("all members are told that Redis is back", all(back), back.count(False))
    await goes_on("and talk on", members)
    going = False
    for member in members:
        member.news.set()
    await asyncio.gather(*talking)
    for number in range(ROOMS):  # a last word, so that all have heard everything
        await members[3 * number].until_heard("the end")
        for member in members:
            if member.room == f"room{number}":
                await member.until(lambda: member.heard("the end"))
    total, refused = 0, sum(len(member.unknown) for member in members)
    for number in range(ROOMS):
        problems, size = check_room([member for member in members if member.room == f"room{number}"])
        total += size
        expect(f"room {number}: each message once, in one order", not problems and size > 20, (problems[:5], size))
    counted = [member.members for member in members]
    expect("all members are counted", counted == [MEMBERS // ROOMS] * MEMBERS, sorted(set(counted)))
    print(f"{total} messages to {MEMBERS // ROOMS} members each; of {refused} it was not known whether they were sent")
    for member in members:
        member.ended = True
    await asyncio.gather(*(member.end() for member in members))
    for process, _ in servers:
        expect("a server ends with status 0", await stop(process) == 0)
    await stop(database)


async def options():
    port = free_ports(1)[0]
    database = await redis(port, "--requirepass", "a:b@c%")
    good = f"redis://:a%3Ab%40c%25@127.0.0.1:{port}"
    process, url = await example("build/cluster", "0", "--redis", good)
    ann = Member(url, "lobby", "Ann")
    expect("with a password", await ann.until(lambda: ann.members) and await ann.until_heard("hello"))
    await ann.end()
    await stop(process)
    for bad, says in ((f"redis://:wrong@127.0.0.1:{port}", "WRONGPASS"), (f"redis://127.0.0.1:{port}", "NOAUTH"),
                      (f"{good}/99", "out of range"), (f"redis://127.0.0.1:{free_ports(1)[0]}", "refused")):
        process = await start("build/cluster", "0", "--redis", bad, stdout=asyncio.subprocess.DEVNULL,
                              stderr=asyncio.subprocess.PIPE)
        line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        expect(f"{says}: one line says why, and no password", says in line and "wrong@" not in line, line)
        await stop(process)
    for words, says in ((["--redis", "http://127.0.0.1"], "wants redis://"), (["--redis"], "needs a value"),
                        (["--redis", "redis://h:80x"], "wants redis://"), (["80x"], "not a port from 0 to 65535"),
                        (["--redis", "redis://secret@h"], "wants redis://"),
                        (["--redis", "redis://no.such.host.invalid"], "Redis at no.such")):
        status, out, errors = await run("build/cluster", *words)
        expect(f"{' '.join(words)}: an error that says why", status in (1, 2) and says in errors and not out, errors)
    await stop(database)


async def main():
    if not has("redis-server") or not os.path.exists("build/cluster"):
        print("no redis-server")
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    for each in (options, small, crowd, unanswered):
        await part(each)


finish(main())
