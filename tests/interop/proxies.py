#!/usr/bin/python3
"""Our client and server through nginx, haproxy and a CONNECT proxy (tinyproxy)."""
import asyncio
import http.client
import os
import sys

sys.dont_write_bytecode = True
from kit import (CA, CERT, KEY, TLS, client_context, drive, example, expect, finish, free_ports, has, part, run, served,
                 skip, stop, with_tls)

try:
    import websockets
except ImportError:
    websockets = None

WORK = "build/interop/"
NGINX = """
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 400; }}
http {{
  access_log off; proxy_http_version 1.1; proxy_read_timeout 60s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  map $http_upgrade $upgrade {{ default upgrade; '' close; }}
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade; proxy_set_header Host $http_host;
  server {{ listen 127.0.0.1:{plain}; location / {{ proxy_pass http://{echo}; }}
           location /rooms/ {{ proxy_pass http://{rooms}/; }} }}
  {secure}
}}
"""
NGINX_TLS = """
  ssl_certificate {cert}; ssl_certificate_key {key};
  server {{ listen 127.0.0.1:{ended} ssl; location / {{ proxy_pass http://{echo}; }}
           location /rooms/ {{ proxy_pass http://{rooms}/; }} }}
  server {{ listen 127.0.0.1:{begun}; location / {{ proxy_pass https://{wss};
           proxy_ssl_verify on; proxy_ssl_verify_depth 3;
           proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost; proxy_ssl_server_name on; }} }}
"""
HAPROXY = """
global
  maxconn 400
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
listen plain
  bind 127.0.0.1:{plain}
  server echo {echo} check inter 200ms
{secure}
"""
HAPROXY_TLS = """
listen ended
  bind 127.0.0.1:{ended} ssl crt {both} alpn h2,http/1.1
  server echo {echo}
listen begun
  bind 127.0.0.1:{begun}
  server echo {wss} ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost check inter 200ms
"""
NGINX_FORWARD = """
daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 400; }}
http {{
  access_log off; proxy_http_version 1.1;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  map $http_forwarded $before {{ default "$http_forwarded, "; '' ''; }}
  map $http_upgrade $upgrade {{ default upgrade; '' close; }}
  server {{ listen 127.0.0.1:{x}; location / {{ proxy_pass http://{by_x};
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Proto $scheme; }} }}
  server {{ listen 127.0.0.1:{rfc}; location / {{ proxy_pass http://{by_rfc};
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade;
    proxy_set_header Forwarded '${{before}}for="$remote_addr:$remote_port";host="$http_host";proto=$scheme'; }} }}
}}
"""
HAPROXY_FORWARD = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen x
  bind 127.0.0.1:{x}
  option forwardfor
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Host inner
  server forward {by_x}
listen rfc
  bind 127.0.0.1:{rfc}
  http-request add-header Forwarded for=%[src];host=\\"%[req.hdr(host)]\\"
  http-request set-header Host inner
  server forward {by_rfc}
listen one
  bind 127.0.0.1:{one}
  server forward {by_proxy} send-proxy
listen two
  bind 127.0.0.1:{two}
  server forward {by_proxy} send-proxy-v2
"""
TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
LogFile "{log}"
{more}
"""


def write(name, text):
    os.makedirs(os.path.dirname(WORK + name) or ".", exist_ok=True)
    with open(WORK + name, "w", encoding="ascii") as file:
        file.write(text)
    return os.path.abspath(WORK + name)


async def cat(url, *options, data=b"hi\n"):
    return await run("build/wscat", url, "--wait", "0.3", *options, data=data)


class Servers:
    """The examples behind the proxies."""

    async def begin(self):
        self.tls = with_tls()
        self.echo, self.url = await example("build/echo", "0")
        self.rooms, rooms = await example("build/rooms", "0")
        self.places = {"echo": self.url.split("/")[2], "rooms": rooms.split("/")[2],
                       "cert": os.path.abspath(CERT), "key": os.path.abspath(KEY), "ca": os.path.abspath(CA),
                       "both": os.path.abspath(TLS + "server.both"), "wss": ""}
        if self.tls:
            self.secure, self.secure_url = await example("build/echo", "0", "--cert", CERT, "--key", KEY)
            self.places["wss"] = self.secure_url.split("/")[2]
        return self


async def reverse(name, servers, command):
    """What holds for any reverse proxy."""
    proxy, ports = await served(3 if servers.tls else 1, command)
    plain = f"ws://127.0.0.1:{ports[0]}/"
    await drive(f"{name}, ws", plain)
    if servers.tls:
        await drive(f"{name}, wss ends there", f"wss://localhost:{ports[1]}/", "--ca", CA)
        await drive(f"{name}, wss begins there", f"ws://127.0.0.1:{ports[2]}/")
    status, _, errors = await cat(plain + "unknown")
    expect(f"{name}: 404 comes through", status == 1 and "404" in errors, errors)
    if websockets:
        urls = [(plain, None)]
        if servers.tls:
            urls.append((f"wss://localhost:{ports[1]}/", client_context()))
        for url, context in urls:
            data = os.urandom(1 << 20)
            async with websockets.connect(url, ssl=context, max_size=None) as socket:
                await socket.send(data)
                expect(f"{name}: another client, 1 MiB, {url[:3]}", await socket.recv() == data)
        socket = await websockets.connect(plain)
        await stop(servers.echo)
        await asyncio.wait_for(socket.wait_closed(), 60)
        expect(f"{name}: the server's end comes through as 1012", socket.close_code == 1012, socket.close_code)
    await stop(servers.echo)
    status, _, errors = await cat(plain)
    expect(f"{name}: without a server 502 or 503", status == 1 and ("502" in errors or "503" in errors), errors)
    return proxy, ports


async def nginx():
    if not has("nginx"):
        skip("no nginx")
        return
    servers = await Servers().begin()

    def command(plain, ended=0, begun=0):
        ports = {"plain": plain, "ended": ended, "begun": begun}
        secure = NGINX_TLS.format(**ports, **servers.places) if servers.tls else ""
        path = write("nginx/nginx.conf", NGINX.format(secure=secure, **ports, **servers.places))
        return has("nginx"), "-p", os.path.dirname(path) + "/", "-c", path, "-e", "stderr"
    proxy, ports = await reverse("nginx", servers, command)
    page = f"http://127.0.0.1:{ports[0]}"
    status, _, errors = await cat(f"ws://127.0.0.1:{ports[0]}/rooms/ws/den", "--origin", page)
    expect("nginx: a page of the same origin", status == 0, errors)
    status, _, errors = await cat(f"ws://127.0.0.1:{ports[0]}/rooms/ws/den", "--origin", "http://other.example")
    expect("nginx: a page of another", status == 1 and "403" in errors, errors)
    if servers.tls:
        page = f"https://localhost:{ports[1]}"
        status, _, errors = await cat(f"wss://localhost:{ports[1]}/rooms/ws/den", "--origin", page, "--ca", CA)
        expect("nginx: a page of the same origin, https up to nginx", status == 0, errors)
    await stop(proxy)


async def haproxy():
    if not has("haproxy"):
        skip("no haproxy")
        return
    servers = await Servers().begin()

    def command(plain, ended=0, begun=0):
        ports = {"plain": plain, "ended": ended, "begun": begun}
        secure = HAPROXY_TLS.format(**ports, **servers.places) if servers.tls else ""
        path = write("haproxy/haproxy.cfg", HAPROXY.format(secure=secure, **ports, **servers.places))
        return has("haproxy"), "-db", "-q", "-f", path
    proxy, _ = await reverse("haproxy", servers, command)
    await stop(proxy)


def ask(port, host, headers):
    """The address of a client on 127.0.0.2, as the server behind the proxy sees it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 30, source_address=("127.0.0.2", 0))
    connection.request("GET", "/peer", headers={"Host": host, **headers})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


async def named(name, port, lies):
    """A proxy names the client, whatever the client says of itself."""
    host = f"127.0.0.1:{port}"
    peer = await asyncio.to_thread(ask, port, host, {})
    expect(f"{name}: the client's address", peer.split(":")[0] == "127.0.0.2", peer)
    peer = await asyncio.to_thread(ask, port, host, lies)
    expect(f"{name}: a client that lies", peer.split(":")[0] == "127.0.0.2", peer)
    if not websockets:
        return
    async with websockets.connect(f"ws://{host}/", local_addr=("127.0.0.2", 0), extra_headers=lies,
                                  origin=f"http://{host}") as client:
        peer = await client.recv()
        expect(f"{name}: a WebSocket of the same origin", peer.split(":")[0] == "127.0.0.2", peer)
    try:
        await websockets.connect(f"ws://{host}/", origin="http://other.example")
        status = 101
    except websockets.InvalidStatusCode as refusal:
        status = refusal.status_code
    expect(f"{name}: a page of another origin", status == 403, status)


async def forward():
    lies = {"X-Forwarded-For": "6.6.6.6", "Forwarded": 'for=6.6.6.6, for="'}
    servers = [await example("build/forward", how) for how in ("for", "forwarded", "proxy")]
    by_x, by_rfc, by_proxy = (url.split("/")[2] for _, url in servers)

    def nginx_command(x, rfc):
        path = write("nginx_forward/nginx.conf", NGINX_FORWARD.format(x=x, rfc=rfc, by_x=by_x, by_rfc=by_rfc))
        return has("nginx"), "-p", os.path.dirname(path) + "/", "-c", path, "-e", "stderr"

    def haproxy_command(x, rfc, one, two):
        path = write("haproxy_forward/haproxy.cfg", HAPROXY_FORWARD.format(
            x=x, rfc=rfc, one=one, two=two, by_x=by_x, by_rfc=by_rfc, by_proxy=by_proxy))
        return has("haproxy"), "-db", "-q", "-f", path

    for proxy, command, ways in (("nginx", nginx_command, ("X-Forwarded-For", "Forwarded")),
                                 ("haproxy", haproxy_command, ("X-Forwarded-For", "Forwarded", "PROXY", "PROXY 2"))):
        if not has(proxy):
            skip(f"no {proxy}")
            continue
        process, ports = await served(len(ways), command)
        for way, port in zip(ways, ports):
            await named(f"{proxy}, {way}", port, lies)
        await stop(process)


async def connect():
    if not has("tinyproxy"):
        skip("no tinyproxy")
        return
    servers = await Servers().begin()

    def command(port, more="BasicAuth ann secret"):
        log = os.path.abspath(WORK + f"tinyproxy/{port}.log")
        path = write(f"tinyproxy/{port}.conf", TINYPROXY.format(port=port, log=log, more=more))
        return has("tinyproxy"), "-d", "-c", path
    proxy, (port,) = await served(1, command)
    via = ("--proxy", f"http://ann:secret@127.0.0.1:{port}")
    await drive("CONNECT, ws", servers.url, *via)
    if servers.tls:
        await drive("CONNECT, wss", servers.secure_url.replace("127.0.0.1", "localhost"), "--ca", CA, *via)
        status, out, errors = await cat(servers.secure_url, *via)
        expect("CONNECT: the certificate is verified", status == 1 and not out and "certificate" in errors, errors)
    for what, user, answer in (("wrong", "ann:guess@", "401"), ("no", "", "407")):  # so says this proxy
        status, out, errors = await cat(servers.url, "--proxy", f"http://{user}127.0.0.1:{port}")
        expect(f"CONNECT: {what} credentials are refused", status == 1 and not out and answer in errors, errors)
        expect("and the sentence names the proxy", "proxy" in errors and str(port) in errors, errors)
    other = free_ports(1)[0]
    status, out, errors = await cat(f"ws://127.0.0.1:{other}/", *via)
    expect("CONNECT: a server that is not there", status == 1 and "proxy" in errors.lower(), errors)
    await stop(proxy)
    status, out, errors = await cat(servers.url, *via)
    expect("CONNECT: a proxy that is not there", status == 1 and str(port) in errors, errors)
    proxy, (port,) = await served(1, lambda port: command(port, "ConnectPort 443"))
    status, out, errors = await cat(servers.url, "--proxy", f"http://127.0.0.1:{port}")
    expect("CONNECT: a port that the proxy forbids", status == 1 and "403" in errors, errors)
    await stop(proxy)


async def main():
    for function in (nginx, haproxy, forward, connect):
        await part(function)
    if not websockets:
        skip("no python3-websockets")
    if not with_tls():
        skip("wss: no openssl here, or built without")


finish(main())
