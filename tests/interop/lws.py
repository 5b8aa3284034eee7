#!/usr/bin/python3
"""Our client against Debian's libwebsockets test server, over ws and wss."""
import os
import sys

sys.dont_write_bytecode = True
from kit import CA, CERT, KEY, expect, finish, has, part, run, served, skip, stop, with_tls


async def cat(url, protocol, *options, data=b"", wait="0.5"):
    return await run("build/wscat", url, "--subprotocol", protocol, "--wait", wait, *options, data=data)


async def suite(url, *tls):
    status, out, errors = await run("sh", "-c", 'build/wscat "$@" | head -n 20', "sh", url, "--wait", "10",
                                    "--subprotocol", "dumb-increment-protocol", *tls)
    numbers = out.decode().split()
    expect("dumb-increment counts", numbers == [str(i) for i in range(20)], (numbers, errors))
    expect("a closed pipe ends it with 1000", "1000" in errors, errors)
    status, out, errors = await cat(url, "lws-mirror-protocol", *tls, data="h\u00e9llo\nworld\n".encode())
    expect("lws-mirror sends back", out.decode() == "h\u00e9llo\nworld\n" and status == 0, (out, errors))
    lines = [f"{i} " + "x" * (i * 35 % 4000) for i in range(25)]  # its ring holds no more
    status, out, errors = await cat(url, "lws-mirror-protocol", *tls, data="\n".join(lines).encode())
    same = out.decode().replace("\n", "") == "".join(lines)  # it cuts messages where its buffer ends
    expect("25 lines keep their order", same and status == 0, (len(out), errors))
    status, out, errors = await cat(url, "x-unknown", *tls, data=b"hi\n")
    expect("an unknown subprotocol is refused", status == 1 and not out, (status, out, errors))


async def main():
    if not has("libwebsockets-test-server"):
        skip("no libwebsockets-test-server")
        return
    program = ("libwebsockets-test-server", "--interface=lo")
    server, (port,) = await served(1, lambda port: (*program, f"--port={port}"))
    await part(suite, f"ws://127.0.0.1:{port}/")
    await part(suite, f"ws://127.0.0.1:{port}/", "--deflate")
    await stop(server)
    if not with_tls():
        skip("wss: no openssl here, or built without")
        return
    files = (f"--ssl-cert={os.path.abspath(CERT)}", f"--ssl-key={os.path.abspath(KEY)}")
    server, (port,) = await served(1, lambda port: (*program, f"--port={port}", "--ssl", *files))
    await part(suite, f"wss://localhost:{port}/", "--ca", CA, "--deflate")
    await stop(server)


finish(main())
