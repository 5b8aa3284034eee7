"""What the parts in Python share: counting, programs and their end, ports, certificates."""
import asyncio
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys

TLS = "build/interop/tls/"
CA, CERT, KEY = TLS + "ca.pem", TLS + "server.pem", TLS + "server.key"
counts = {"passed": 0, "failed": 0, "skipped": 0}
prefix = os.path.basename(sys.argv[0]).split(".")[0]
logging.disable(logging.CRITICAL)  # handlers whose connection broke are part of the tests
held = []  # sockets of free_ports
running = []  # subprocesses; all are killed in the end, by their own ids


def expect(name, good, detail=""):
    counts["passed" if good else "failed"] += 1
    print(("ok      " if good else "FAILED  ") + f"{prefix}: {name}" + ("" if good else f": {detail!r}"), flush=True)


def skip(name):
    counts["skipped"] += 1
    print(f"skipped {prefix}: {name}", flush=True)


def has(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def with_tls():
    """Whether the examples speak TLS and there are certificates; makes them when run missed that."""
    if not has("openssl"):
        return False
    if not os.path.exists(TLS + "client.both"):
        subprocess.run(["tests/interop/certificates"], check=True)
    probe = subprocess.run(["build/echo", "0", "--cert", "/dev/null", "--key", "/dev/null"], capture_output=True,
                           check=False, timeout=10)
    return b"is not an option" not in probe.stderr


def server_context(clients=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    if clients:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context():
    return ssl.create_default_context(cafile=CA)


async def start(*words, **more):
    process = await asyncio.create_subprocess_exec(*words, **more)
    running.append(process)
    return process


async def example(*words, errors=None):
    """Starts one of the examples on a free port; returns it and the URL that it printed."""
    process = await start(*words, stdout=asyncio.subprocess.PIPE, stderr=errors)
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    if not line:
        raise RuntimeError(" ".join(words) + " does not start")
    return process, line.decode().strip().replace("http", "ws", 1)


async def stop(process, number=signal.SIGTERM, within=60):
    if process.returncode is None:
        process.send_signal(number)
    return await asyncio.wait_for(process.wait(), within)


async def run(*words, data=b"", within=60, **more):
    """Runs a program to its end: status, output and errors as bytes, text."""
    pipe = asyncio.subprocess.PIPE
    process = await start(*words, stdin=pipe, stdout=pipe, stderr=pipe, **more)
    out, errors = await asyncio.wait_for(process.communicate(data), within)
    return process.returncode, out, errors.decode(errors="replace")


async def drive(name, url, *options):
    """The driver's whole suite; its counts become part of ours."""
    status, out, errors = await run("build/driver", f"{prefix}: {name}", url, *options, within=100)
    lines = out.decode(errors="replace").splitlines()
    words = lines[-1].split() if lines else []
    print("\n".join(lines[:-1]), flush=True)
    if len(words) == 4 and status in (0, 1):
        counts["passed"] += int(words[0])
        counts["failed"] += int(words[2])
    if len(words) != 4 or status not in (0, 1) or errors:
        expect(f"{name}: the driver ends well", False, (status, errors))


def free_ports(number):
    """Ports that nobody listens on. They stay bound until this program ends, so that the system gives them to nobody
    else; whoever is to listen on one sets SO_REUSEADDR, as servers do."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    held.extend(sockets)
    return [each.getsockname()[1] for each in sockets]


async def served(number, command, seconds=10):
    """Starts what cannot take port 0: command(*ports) gives its words. Again when a port was taken."""
    for _ in range(3):
        ports = free_ports(number)
        process = await start(*command(*ports), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(seconds * 20):
            if process.returncode is not None:
                break
            try:
                for port in ports:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return process, ports
            except OSError:
                await asyncio.sleep(0.05)
    raise RuntimeError(command(*ports)[0] + " does not start")


async def part(function, *arguments):
    try:
        await asyncio.wait_for(function(*arguments), 150)
    except Exception as problem:  # a part that breaks is one failure, the others still run
        expect(function.__name__, False, problem)


def finish(main):
    """Runs main() and ends with the closing line."""
    async def whole():
        try:
            await main
        finally:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    asyncio.run(whole())
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    sys.exit(1 if counts["failed"] else 0)
