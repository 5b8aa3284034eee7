#!/usr/bin/python3
"""Who reads slowly but steadily gets everything, past every deadline: directly, behind haproxy and behind nginx."""
import asyncio
import os
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
from kit import CERT, KEY, example, expect, finish, has, part, run, served, skip, stop, with_tls

WORK = os.path.abspath("build/interop/slow") + "/"
SIZE, RATE, PIECE = 6 << 20, 350000, 8192  # bytes, bytes a second, bytes at a time
TLS_MOST = 13000  # bytes that TLS adds to SIZE, with its handshake: 10,300 to 12,800
# What the proxies themselves hold back is little: less than a reader takes within the server's deadlines.
NGINX = """
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 400; }}
http {{
  access_log off; proxy_buffering off; proxy_set_header Host $http_host; default_type application/octet-stream;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  map $http_upgrade $upgrade {{ default upgrade; '' ''; }}
  server {{ listen 127.0.0.1:{port} sndbuf=64k; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
           proxy_set_header Connection $upgrade; location / {{ proxy_pass {scheme}://{place}; }} }}
  server {{ listen 127.0.0.1:{other} sndbuf=64k; location / {{ proxy_pass {scheme}://{place}; }} }}
}}
"""
HAPROXY = """
global
  maxconn 400
  tune.sndbuf.client 65536
  tune.rcvbuf.server 65536
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
listen plain
  bind 127.0.0.1:{port}
  bind 127.0.0.1:{other}
  server it {place} {secure}
"""
data = b""


class Stalled(Exception):
    """No byte came for 20 s, after as many as the argument says."""


class Reader:
    """Asks for a path, and takes what comes at RATE."""

    async def begin(self, place, path, *lines):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.socket.setblocking(False)
        self.loop = asyncio.get_running_loop()
        host, port = place.split(":")
        await self.loop.sock_connect(self.socket, (host, int(port)))
        await self.send("\r\n".join((f"GET {path} HTTP/1.1", f"Host: {place}", *lines, "", "")).encode())
        self.taken, self.start, self.rest = 0, time.monotonic(), b""
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            self.head += await self.some(4096)
        self.head, _, self.rest = self.head.partition(b"\r\n\r\n")
        return self

    async def send(self, bytes_):
        await self.loop.sock_sendall(self.socket, bytes_)

    async def some(self, most):
        if self.rest:
            got, self.rest = self.rest[:most], self.rest[most:]
            return got
        try:
            got = await asyncio.wait_for(self.loop.sock_recv(self.socket, min(most, PIECE)), 20)
        except asyncio.TimeoutError:
            raise Stalled(self.taken) from None
        if not got:
            raise EOFError(f"the end after {self.taken} bytes")
        self.taken += len(got)
        await asyncio.sleep(self.start + self.taken / RATE - time.monotonic())
        return got

    async def exactly(self, size):
        got = bytearray()
        while len(got) < size:
            got += await self.some(size - len(got))
        return bytes(got)

    async def frame(self):
        """The next frame that is no ping: its first byte and its payload."""
        while True:
            first, size = await self.exactly(2)
            if size > 125:
                size = int.from_bytes(await self.exactly(2 if size == 126 else 8), "big")
            payload = await self.exactly(size)
            if first != 0x89:
                return first, payload
            await self.send(bytes((0x8A, 0x80 | size, 0, 0, 0, 0)) + payload)  # the mask is zero

    def end(self):
        self.socket.close()


UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


async def answer(name, place, path, *lines):
    reader = await Reader().begin(place, path, *lines)
    expect(f"{name}: {path} arrives whole", await reader.exactly(SIZE) == data)
    reader.end()


async def message(name, place, path):
    reader = await Reader().begin(place, path, *UPGRADE)
    expect(f"{name}: {path}, a message arrives whole", await reader.frame() == (0x82, data))
    if path == "/close":
        end = await reader.frame()
        expect(f"{name}: {path}, and the close", end == (0x88, b"\x03\xe8that is all"), end)
        await reader.send(b"\x88\x82\0\0\0\0\x03\xe8")
    else:
        await reader.send(b"\x82\x83\0\0\0\0abc")
        back = await reader.frame()
        expect(f"{name}: {path}, and the connection is still good", back == (0x82, b"abc"), back)
    reader.end()


async def holds_back(proxy, server, passed):
    """Whether this process has read more of each of its TLS connections to the server, by the system's account, than
    it has passed on: then not the server stalls. haproxy 2.6.12 keeps the last bytes of an answer to itself now and
    then, if the machine has much to do."""
    if not has("ss"):
        return False
    _, out, _ = await run("ss", "-tniHOp", "dst", server)
    lines = [line for line in out.decode().splitlines() if f"pid={proxy.pid}," in line]
    arrived = [re.search(r"bytes_received:(\d+)", line) for line in lines]
    return bool(lines) and all(line.split()[1] == "0" and got and int(got[1]) - TLS_MOST > passed
                               for line, got in zip(lines, arrived))


async def all_ways(name, place, other, holds=None):
    """place: keeps its connections to the server; other: may speak HTTP/1.0 there, and end each. holds: says whether
    a stall is the proxy's fault; then it is asked again, twice at most."""
    def safe(function, *arguments):
        async def tried(more):
            try:
                await asyncio.wait_for(function(name, *arguments), 60)
            except Stalled as problem:
                if not more or not holds or not await holds(problem.args[0]):
                    expect(f"{name}: {arguments[1:]}", False, problem)
                    return
                print(f"        {name}: {arguments[1:]}: the proxy passed on {problem.args[0]} bytes of more; again")
                await tried(more - 1)
            except Exception as problem:
                expect(f"{name}: {arguments[1:]}", False, problem)
        return tried(2)
    await asyncio.gather(safe(answer, place, "/body"), safe(answer, place, "/large.bin"),
                         safe(answer, other, "/body", "Connection: close"),
                         safe(answer, other, "/large.bin", "Connection: close"),
                         safe(message, place, "/close"), safe(message, place, "/stay"), safe(message, place, "/room"))


async def proxied(name, program, words, template, place, secure):
    def command(port, other):
        path = WORK + name.replace(" ", "-") + ".conf"
        text = template.format(port=port, other=other, place=place, scheme="https" if secure else "http",
                               secure="ssl verify none" if secure else "")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return (has(program), *words, path)
    proxy, ports = await served(2, command)
    await all_ways(name, *(f"127.0.0.1:{port}" for port in ports),
                   (lambda passed: holds_back(proxy, place, passed)) if program == "haproxy" and secure else None)
    await stop(proxy)


async def main():
    global data
    os.makedirs(WORK, exist_ok=True)
    servers = [await example("build/slow", WORK)]
    with open(WORK + "large.bin", "rb") as file:
        data = file.read()
    parts = [part(all_ways, "direct", *([servers[0][1].split("/")[2]] * 2))]
    if with_tls():
        servers.append(await example("build/slow", WORK, "--cert", CERT, "--key", KEY))
    else:
        skip("wss: no openssl here, or built without")
    for _, url in servers:
        place, secure = url.split("/")[2], url.startswith("wss")
        for program, words, template in (("haproxy", ("-db", "-q", "-f"), HAPROXY),
                                         ("nginx", ("-p", WORK, "-e", "stderr", "-c"), NGINX)):
            if not has(program):
                skip("no " + program)
                continue
            name = program + (" and TLS" if secure else "")
            parts.append(part(proxied, name, program, words, template, place, secure))
    await asyncio.gather(*parts)  # all at once: each takes as long as its bytes
    for process, _ in servers:
        expect("the server ends with status 0", await stop(process) == 0)


finish(main())
