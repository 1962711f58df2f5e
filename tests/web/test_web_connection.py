"""Connections that are slow, that are no HTTP, and that are too many."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

pytest.importorskip("uvicorn", reason="unrolled[serve] is not installed")

import uvicorn
from uvicorn.server import ServerState

from unrolled.web import connection

HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"
PATIENCE = 0.4
"""Seconds, here."""
LARGE = 32 << 20
"""Bytes of an answer: more than the sockets between hold."""


async def answer(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * PATIENCE)
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def talk(monkeypatch, speak):
    """Have a client speak to a server of connections."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", PATIENCE)
    monkeypatch.setattr(connection, "READ_SECONDS", PATIENCE)
    faults, writers = [], []

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        config = uvicorn.Config(answer, lifespan="off", log_level="critical", timeout_keep_alive=60)
        state = ServerState()
        server = await loop.create_server(
            lambda: connection.Connection(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            port = server.sockets[0].getsockname()[1]

            async def connect():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                return reader, writer

            connect.port, connect.connections = port, state.connections
            await asyncio.wait_for(speak(connect), timeout=30)
            for writer in writers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    asyncio.run(run())
    assert faults == []


async def closed(reader):
    """Wait for the other side to close, and give what it said before."""
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


async def ask(reader, writer, path=b"/"):
    writer.write(HEAD.replace(b"/", path, 1) + b"\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(2) == b"ok"


def test_a_connection_that_asks_nothing_is_closed(monkeypatch):
    async def speak(connect):
        reader, _ = await connect()
        assert await closed(reader) == b""

    talk(monkeypatch, speak)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_head_that_comes_drop_by_drop_is_cut_off_at_any_request(monkeypatch, before):
    async def speak(connect):
        reader, writer = await connect()
        for _ in range(before):
            await ask(reader, writer)
        cut = asyncio.ensure_future(closed(reader))
        dropped = 0
        while not cut.done():
            with contextlib.suppress(ConnectionError):
                writer.write(HEAD[dropped : dropped + 1] or b"x")
                await writer.drain()
            dropped += 1
            assert dropped < 1000
            await asyncio.sleep(PATIENCE / 10)
        assert dropped > 3

    talk(monkeypatch, speak)


def test_a_body_that_nobody_reads_holds_no_connection(monkeypatch):
    async def speak(connect):
        reader, writer = await connect()
        writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
        await reader.readuntil(b"ok")
        cut = asyncio.ensure_future(closed(reader))
        while not cut.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"x")
                await writer.drain()
            await asyncio.sleep(PATIENCE / 10)

    talk(monkeypatch, speak)


def test_an_answer_may_take_longer_than_a_head_and_others_follow_it(monkeypatch):
    async def speak(connect):
        reader, writer = await connect()
        for path in (b"/slow", b"/", b"/slow"):
            await ask(reader, writer, path)

    talk(monkeypatch, speak)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"X: " + b"x" * 100_000,
    ],
)
def test_what_is_no_http_is_refused_as_all_else_is(monkeypatch, said):
    async def speak(connect):
        reader, writer = await connect()
        writer.write(said)
        head, _, body = (await closed(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/json" in head
        assert b"x-content-type-options: nosniff" in head.lower()
        assert json.loads(body)["error"]["code"] == "bad_request"

    talk(monkeypatch, speak)


def test_a_body_that_breaks_off_its_form_after_the_answer_is_no_fault(monkeypatch):
    async def speak(connect):
        reader, writer = await connect()
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"ok")
        writer.write(b"no chunk\r\n")
        assert await closed(reader) == b""

    talk(monkeypatch, speak)


def test_too_many_connections_are_told_so(monkeypatch):
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 1)

    async def speak(connect):
        first = await connect()
        await ask(*first)
        reader, writer = await connect()
        writer.write(HEAD + b"\r\n")
        head, _, body = (await closed(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1" in head
        assert json.loads(body)["error"]["code"] == "busy"
        await ask(*first)

    talk(monkeypatch, speak)


@contextlib.asynccontextmanager
async def asking(connect, path, times):
    """Ask, and read nothing of the answers: a stream of asyncio's would."""
    with socket.socket() as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", connect.port))
        await loop.sock_sendall(client, (HEAD.replace(b"/", path, 1) + b"\r\n") * times)
        yield loop, client


@pytest.mark.parametrize("times", [1, 3])  # closed with bytes that wait; in the midst of an answer
def test_a_client_that_reads_nothing_is_given_up(monkeypatch, times):
    async def speak(connect):
        async with asking(connect, b"/large", times):
            while not connect.connections:
                await asyncio.sleep(PATIENCE / 10)
            while connect.connections:
                await asyncio.sleep(PATIENCE / 10)

    talk(monkeypatch, speak)


def test_a_client_that_reads_slowly_gets_all_of_its_answer(monkeypatch):
    async def speak(connect):
        async with asking(connect, b"/large", 1) as (loop, client):
            began, read = loop.time(), 0
            while read < LARGE:
                chunk = await loop.sock_recv(client, LARGE // 100)
                assert chunk
                read += len(chunk)
                while loop.time() - began < 5 * PATIENCE * read / LARGE:
                    await asyncio.sleep(PATIENCE / 100)
            assert loop.time() - began > 4 * PATIENCE

    talk(monkeypatch, speak)
