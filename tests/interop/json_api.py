#!/usr/bin/python3
"""Debian's python3-websockets against json_api.c: every rule of the JSON-RPC 2.0 specification that a peer can see."""
import asyncio
import json
import shutil
import subprocess
import sys
import urllib.request

sys.dont_write_bytecode = True
from kit import example, expect, finish, part, stop

try:
    import websockets
except ImportError:
    print("no python3-websockets")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def error(code, id=None):
    return lambda answer: answer["jsonrpc"] == "2.0" and answer["error"]["code"] == code and answer["id"] == id \
        and "result" not in answer


def result(value, id=1):
    return lambda answer: answer == {"jsonrpc": "2.0", "result": value, "id": id}


def request(method, params="[]", id='"id":1,'):
    return f'{{"jsonrpc":"2.0",{id}"method":"{method}","params":{params}}}'


CASES = (
    ("add by place", request("add", "[19,23]"), result(42)),
    ("add by name", request("add", '{"b":2,"a":0.5,"c":null}'), result(2.5)),
    ("sum of an array", request("sum", "[1,2,3]"), result(6)),
    ("sum by name", request("sum", '{"numbers":[1,2,3.5]}'), result(6.5)),
    ("echo", request("echo", '[{"a":[1,null,"\\u20ac"]}]'), result({"a": [1, None, "\u20ac"]})),
    ("repeat", request("repeat", '["\\"h",3]'), result('"h"h"h')),
    ("a text as id", request("sum", id='"id":"\\u00e4\\"",'), result(0, '\u00e4"')),
    ("null as id", request("sum", id='"id":null,'), result(0, None)),
    ("no JSON", '{"jsonrpc": "2.0", "method": "foobar, "params": "bar"', error(-32700)),
    ("an empty text", "", error(-32700)),
    ("a batch that is no JSON", '[{"jsonrpc":"2.0","method":"sum"},', error(-32700)),
    ("a method that is no text", '{"jsonrpc":"2.0","method":1,"params":"bar"}', error(-32600)),
    ("the wrong version", '{"jsonrpc":"1.0","method":"sum","id":7}', error(-32600, 7)),
    ("params that are a text", '{"jsonrpc":"2.0","method":"sum","params":"x","id":7}', error(-32600, 7)),
    ("an id that is an object", '{"jsonrpc":"2.0","method":"sum","id":{}}', error(-32600)),
    ("an id that is true", '{"jsonrpc":"2.0","method":"sum","id":true}', error(-32600)),
    ("a number", "7", error(-32600)),
    ("an empty batch", "[]", error(-32600)),
    ("an unknown method", request("fly"), error(-32601, 1)),
    ("too few params", request("add", "[1]"), error(-32602, 1)),
    ("too many params", request("add", "[1,2,3]"), error(-32602, 1)),
    ("a text for a number", request("add", '[1,"2"]'), error(-32602, 1)),
    ("an infinite sum", request("add", "[1e308,1e308]"), error(-32602, 1)),
    ("too long an answer", request("repeat", '["ha",1000000]'), error(-32603, 1)),
    ("too long once escaped", request("repeat", '["\\"",32000]'), error(-32603, 1)),
    ("too long a batch", "[" + ",".join([request("repeat", '["x",30000]')] * 3) + "]",
     lambda answer: [len(one.get("result", "")) for one in answer] == [30000, 30000, 0]
     and error(-32603, 1)(answer[2])),
    ("an id that leaves no room", request("fly", id='"id":"' + "x" * 65470 + '",'), error(-32603)),
    ("a batch of numbers", "[1,2,3]", lambda answer: len(answer) == 3 and all(map(error(-32600), answer))),
    ("a mixed batch", f'[{request("sum", "[1]")},{request("sum", id="")},{request("fly")},1]',
     lambda answer: len(answer) == 3 and result(1)(answer[0]) and error(-32601, 1)(answer[1])
     and error(-32600)(answer[2])))


async def protocol(url):
    socket = await websockets.connect(url + "rpc")
    for name, text, good in CASES:
        await socket.send(text)
        answer = await asyncio.wait_for(socket.recv(), 60)
        expect(name, good(json.loads(answer)), answer[:200])
    for text in ("1.50e+3", "123456789012345678901234567890", '"\\u0041"'):
        await socket.send(request("sum", id=f'"id":{text},'))
        answer = await asyncio.wait_for(socket.recv(), 60)
        expect(f"the id {text} comes back as it was", answer.endswith(f'"id":{text}}}'), answer)
    for text in (request("sum", id=""), request("fly", id=""), request("add", id=""),
                 f'[{request("sum", id="")},{request("fly", id="")}]'):
        await socket.send(text)
    await socket.send(request("echo", '["next"]'))
    answer = await asyncio.wait_for(socket.recv(), 60)
    expect("notifications get nothing", result("next")(json.loads(answer)), answer)
    await socket.send(b"{}")
    await asyncio.wait_for(socket.wait_closed(), 60)
    expect("binary gets 1003", socket.close_code == 1003, socket.close_code)


async def metrics(url):
    base = url.replace("ws", "http", 1)
    try:
        await asyncio.to_thread(urllib.request.urlopen, base + "nowhere")
    except urllib.error.HTTPError:
        pass
    text = (await asyncio.to_thread(urllib.request.urlopen, base + "metrics")).read()
    expect("the figures count what was answered", b"\nws_accepted_total 3\n" in text and b"\nws_open " in text, text)
    expect("refusals are split by the class of their status", b'\n# TYPE ws_refused_total counter\n'
           b'ws_refused_total{status="4xx"} 1\nws_refused_total{status="5xx"} 0\n' in text, text)
    helps = [line.split(b" ", 3)[3] for line in text.splitlines() if line.startswith(b"# HELP ")]
    expect("each figure says what it is", len(helps) == 11 and len(set(helps)) == 11, helps)
    if not shutil.which("promtool"):
        return print("no promtool: its check is skipped")
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    expect("promtool has no complaint", check.returncode == 0, check.stdout + check.stderr)


async def main():
    server, url = await example("build/json_api", "0")
    await part(protocol, url)
    await part(metrics, url)
    expect("json_api ends with status 0", await stop(server) == 0)


finish(main())
