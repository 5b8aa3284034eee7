#!/usr/bin/python3
"""Debian's Tornado, which answers a compression offer with the bare name: an echo server for our client, and its
client."""
import asyncio
import os
import sys

sys.dont_write_bytecode = True
from kit import CA, drive, example, expect, finish, part, run, server_context, skip, stop, with_tls

try:
    from tornado import httpserver, netutil, web, websocket
except ImportError:
    print("no python3-tornado")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

seen = []  # of each connection that ended: its subprotocol; bytes in frames, in messages, each way


class Echo(websocket.WebSocketHandler):
    def initialize(self, compression=None):
        self.compression = compression

    def get_compression_options(self):
        return self.compression

    def check_origin(self, origin):
        return True

    def select_subprotocol(self, subprotocols):
        return "chat" if "chat" in subprotocols else None

    def open(self, *_args, **_more):
        self.counts = self.ws_connection

    async def on_message(self, message):
        await self.write_message(message, isinstance(message, bytes))

    def on_close(self):
        if self.close_code and self.close_code != 1000:  # a server may answer with the code alone; this one says 1000
            expect(f"close {self.close_code} has its reason", self.close_reason == "because", self.close_reason)
        counts = self.counts
        seen.append((counts.selected_subprotocol, counts._wire_bytes_in, counts._message_bytes_in,
                     counts._wire_bytes_out, counts._message_bytes_out))


def serve(context=None):
    application = web.Application([("/plain", Echo), ("/deflate", Echo, {"compression": {}}),
                                   ("/best", Echo, {"compression": {"compression_level": 9, "mem_level": 9}})],
                                  websocket_max_message_size=64 << 20)
    server = httpserver.HTTPServer(application, ssl_options=context)
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    return sockets[0].getsockname()[1]


def saved(compressed):
    """Whether the large connections that have ended took fewer bytes than their messages have, both ways."""
    large = [each for each in seen if each[2] > 1 << 20]
    return bool(large) and all((each[1] < each[2] / 2 and each[3] < each[4] / 2) == compressed for each in large)


async def ours(url, *options):
    """Our client in its three ways with compression, and the server with and without."""
    for path, way, compressed in (("plain", None, False), ("plain", "context", False), ("deflate", "off", False),
                                  ("deflate", None, True), ("deflate", "context", True), ("best", None, True),
                                  ("best", "context", True)):
        seen.clear()
        name = f"{url[:3]} {path}, ours {way or 'without context'}"
        deflate = ("--deflate", way) if way else ()
        await drive(name, f"{url}/{path}", "--subprotocols", "other, chat", *deflate, *options)
        expect(f"{name}: what is compressed", saved(compressed), seen)
        expect(f"{name}: the subprotocol", {each[0] for each in seen} == {"chat"}, seen)
    for path in ("plain", "deflate"):
        for deflate in ((), ("--deflate",)):
            status, out, errors = await run("build/wscat", f"{url}/{path}", "--wait", "0.3", *deflate, *options,
                                            data=b"hi\n" * 500)
            expect(f"{url[:3]} {path}, {' '.join(('wscat', *deflate))}", status == 0 and out == b"hi\n" * 500,
                   (status, errors))


async def theirs(url, compression):
    """Tornado's client and our server. The client reads over "no_context_takeover" in an answer, so that with
    compression it gets along with servers alone that keep the context."""
    socket = await websocket.websocket_connect(url, compression_options=compression, max_message_size=64 << 20)
    name = f"its client, {'with' if compression is not None else 'without'} compression"
    good = True
    for data in ("h\u00e9llo", "the same text " * 1000, "the same text " * 1000, os.urandom(100000), bytes(1 << 20)):
        await socket.write_message(data, isinstance(data, bytes))
        good = good and await asyncio.wait_for(socket.read_message(), 60) == data
    expect(f"{name}: echoes", good)
    socket.close(4001, "because")
    end = await asyncio.wait_for(socket.read_message(), 60)
    expect(f"{name}: close 4001", end is None and socket.close_code == 4001, (end, socket.close_code))


async def main():
    await part(ours, f"ws://127.0.0.1:{serve()}")
    server, url = await example("build/wpt", "tests/interop/wpt")
    await part(theirs, url.partition("?")[0] + "echo_raw", None)
    await part(theirs, url.partition("?")[0] + "echo_context", {})
    await stop(server)
    if not with_tls():
        skip("wss: no openssl here, or built without")
        return
    await part(ours, f"wss://localhost:{serve(server_context())}", "--ca", CA)


finish(main())
