"""Attackers of a port, as a process of their own: `python -m support.attackers KIND PORT COUNT PATH`; JSON comes out.

They speak raw TCP: no library stands between them and the rules that they break.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

AT_ONCE = 300
GIVE_UP_S = 40.0
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


async def attack(kind: str, port: int, count: int, path: str = "/ws") -> dict[str, Any]:
    """Run an attack in a process of its own, and tell what came of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.attackers",
        *(kind, str(port), str(count), path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        out, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0
    result: dict[str, Any] = json.loads(out)
    return result


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """All that still comes, until the server ends the connection in whatever way."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def dribble(port: int, text: bytes, every_s: float) -> float:
    """Send a byte now and then until the server has enough: how long that took (s)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    opened = time.monotonic()
    closed = asyncio.create_task(until_closed(reader))
    for byte in text:
        if closed.done():
            break
        writer.write(bytes([byte]))
        await asyncio.wait([closed], timeout=every_s)
    async with asyncio.timeout(GIVE_UP_S):
        await closed
    writer.transport.abort()
    return time.monotonic() - opened


async def knock(port: int, path: str) -> int:
    """One complete handshake: the status of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE.format(path=path).encode())
    async with asyncio.timeout(GIVE_UP_S):
        answer = await until_closed(reader)
    writer.transport.abort()
    return int(answer.split(b" ")[1]) if answer else 0


async def swell(port: int, path: str) -> int:
    """A handshake whose headers don't end: the bytes that it could send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    closed = asyncio.create_task(until_closed(reader))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode())
    sent = 0
    for n in range(4000):
        if closed.done():
            break
        line = f"X-{n}: ".encode() + b"x" * 8000 + b"\r\n"
        writer.write(line)
        sent += len(line)
        try:
            await writer.drain()
        except ConnectionError:
            break
    writer.transport.abort()
    await closed
    return sent


def ping() -> bytes:
    """A client's frame that asks for as many bytes back."""
    return b"\x89\xfd" + bytes(4) + bytes(125)


async def deaf(port: int, path: str) -> int:
    """A session that asks for answers and reads none: the bytes that it could send."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, UPGRADE.format(path=path).encode())
    assert (await loop.sock_recv(sock, 12)).startswith(b"HTTP/1.1 101")
    burst, sent = ping() * 500, 0
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                await loop.sock_sendall(sock, burst)
                sent += len(burst)
    except ConnectionError:
        return sent
    finally:
        sock.close()


def frame(opcode: int, payload: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    """A client's frame (its mask is zero); `length` is what its header claims."""
    claimed = len(payload) if length is None else length
    return bytes([opcode | (0x80 if fin else 0), 0xFF]) + claimed.to_bytes(8, "big") + bytes(4) + payload


LARGEST = 1 << 17
"""Bytes of the largest message that is taken."""
GIANTS: dict[str, bytes] = {
    "binary": frame(2, bytes(2 << 20)),
    "text": frame(1, b'{"a":"' + b"x" * (2 << 20) + b'"}'),
    "claims 2**62 bytes": frame(2, bytes(1 << 20), length=1 << 62),
    "empty fragments": frame(1, b"{", fin=False) + frame(0, b"", fin=False) * 4000 + frame(0, b"}"),
    "fragments": frame(2, bytes(1000), fin=False) + frame(0, bytes(1000), fin=False) * 3000,
    "brackets": frame(1, b"[" * (LARGEST // 2) + b"]" * (LARGEST // 2)),
    "empty lists": frame(1, b"[" + b"[]," * 40_000 + b"[]]"),
    "many keys": frame(1, b"{" + b",".join(b'"%d":1' % n for n in range(10_000)) + b"}"),
    "long numbers": frame(1, b"[" + b",".join([b"9" * 4000] * 30) + b"]"),
    "noise": frame(2, os.urandom(LARGEST)),
}


async def giant(port: int, path: str, number: int) -> int:
    """One giant message: the close code that answered it, 1000 if it was borne."""
    name = list(GIANTS)[number % len(GIANTS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE.format(path=path).encode())
    await reader.readuntil(b"\r\n\r\n")
    try:
        writer.write(GIANTS[name] + frame(8, b"\x03\xe8"))
        await writer.drain()
    except ConnectionError:
        pass
    async with asyncio.timeout(GIVE_UP_S):
        answer = await until_closed(reader)
    writer.transport.abort()
    return int.from_bytes(answer[2:4], "big") if answer[:1] == b"\x88" else 0


async def _many(count: int, one: Callable[[int], Awaitable[Any]], at_once: int) -> list[Any]:
    places = asyncio.Semaphore(at_once)

    async def placed(number: int) -> Any:
        async with places:
            try:
                return await one(number)
            except OSError as error:
                return type(error).__name__

    return await asyncio.gather(*(placed(number) for number in range(count)))


async def _run(kind: str, port: int, count: int, path: str) -> dict[str, Any]:
    began = time.monotonic()
    match kind:
        case "dribble":
            half = UPGRADE.format(path=path).encode()[:-2]
            found = await _many(count, lambda _: dribble(port, half, 0.3), count)
            return {"longest_s": max(found), "closed": len(found)}
        case "silence":
            found = await _many(count, lambda _: dribble(port, b"", 0.3), count)
            return {"longest_s": max(found), "closed": len(found)}
        case "knock":
            found = await _many(count, lambda _: knock(port, path), AT_ONCE)
            return {"statuses": Counter(map(str, found)), "took_s": time.monotonic() - began}
        case "swell":
            found = await _many(count, lambda _: swell(port, path), AT_ONCE)
            return {"most_sent": max(found)}
        case "deaf":
            found = await _many(count, lambda number: deaf(port, path.replace("N", str(number))), AT_ONCE)
            return {"most_sent": max(found)}
        case "giant":
            found = await _many(count, lambda number: giant(port, path.replace("N", str(number)), number), 3)
            return {"codes": Counter(map(str, found))}
    raise ValueError(f"no attack {kind!r}")


def main() -> None:
    kind, port, count, path = sys.argv[1:]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    sys.stdout.write(json.dumps(asyncio.run(_run(kind, int(port), int(count), path))) + "\n")


if __name__ == "__main__":
    main()
