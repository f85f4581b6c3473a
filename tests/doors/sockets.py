"""A client of WebSockets for tests: what it was sent, in order."""

from __future__ import annotations

import asyncio
import hmac
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from adapters.doors.ws.packed import inflate
from adapters.registry.credentials import Issued
from tests.doors.house import NONCES
from tests.waiting import PATIENCE_S

Message = dict[str, Any]


def signed(issued: Issued, method: str = "GET", path: str = "/v1/ws") -> dict[str, str]:
    """The words of a login by key."""
    time_ns, nonce = str(time.time_ns()), f"{next(NONCES)}"
    signature = b64encode(hmac.digest(b64decode(issued.secret), f"{time_ns}\n{nonce}\n{method}\n{path}\n".encode(), "sha256")).decode()
    return {"key": issued.key, "time": time_ns, "nonce": nonce, "signature": signature}


class Door(Protocol):
    """What a socket is opened to."""

    @property
    def ws_port(self) -> int:
        """Where it listens, on loopback."""


class Socket(WSListener):
    """One connection.

    closed  with which code and words it was ended; None: it is open, or ended without
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: asyncio.Queue[Message | bytes] = asyncio.Queue()
        self.transport: WSTransport
        self.closed: tuple[int, str] | None = None
        self.ended = asyncio.Event()
        self.is_msgpack = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.CLOSE:
            self.closed = WSCloseCode(frame.get_close_code()).value, (frame.get_close_message() or b"").decode()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            payload = inflate(payload, 2**24) if frame.rsv1 else payload
            if frame.msg_type == WSMsgType.TEXT:
                self.messages.put_nowait(msgspec.json.decode(payload))
            else:
                self.messages.put_nowait(payload if payload[:4] == b"OUTK" else msgspec.msgpack.decode(payload))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended.set()

    def say(self, **words: Any) -> None:
        """Send an object."""
        self.transport.send(WSMsgType.TEXT, msgspec.json.encode(words))

    async def next(self) -> Message:
        """The next message."""
        found = await asyncio.wait_for(self.messages.get(), PATIENCE_S)
        assert isinstance(found, dict)
        return found

    async def frame(self) -> bytes:
        """The next message, which is no object."""
        found = await asyncio.wait_for(self.messages.get(), PATIENCE_S)
        assert isinstance(found, bytes)
        return found

    async def until(self, **words: Any) -> Message:
        """The next message that says so; others are passed over."""
        while True:
            found = await asyncio.wait_for(self.messages.get(), PATIENCE_S)
            if isinstance(found, dict) and all(found.get(key) == value for key, value in words.items()):
                return found

    async def asks(self, **words: Any) -> Message:
        """The answer to an object."""
        name = f"{next(NONCES)}"
        self.say(id=name, **words)
        return await self.until(id=name)

    async def done(self, **words: Any) -> Message:
        """As asks; it is done."""
        answer = await self.asks(**words)
        assert answer["type"] == "done", answer
        found: Message = answer["done"]
        return found

    async def problem(self, **words: Any) -> Message:
        """As asks; it is not."""
        answer = await self.asks(**words)
        assert answer["type"] == "problem", answer
        found: Message = answer["problem"]
        return found

    async def logged_in(self, issued: Issued, **words: Any) -> Self:
        """Log in by key."""
        answer = await self.asks(op="login", **signed(issued), **words)
        assert answer["type"] == "welcome", answer
        return self

    async def is_ended(self) -> tuple[int, str] | None:
        """Wait until it is, and how."""
        await asyncio.wait_for(self.ended.wait(), PATIENCE_S)
        return self.closed


@asynccontextmanager
async def connected(house: Door, **headers: str) -> AsyncIterator[Socket]:
    """A socket that was welcomed."""
    async with reached(f"ws://127.0.0.1:{house.ws_port}/v1/ws", None, **headers) as made:
        yield made


@asynccontextmanager
async def reached(url: str, tls: ssl.SSLContext | None = None, **headers: str) -> AsyncIterator[Socket]:
    """As connected, at a URL."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport, made = await ws_connect(Socket, url, ssl_context=tls, extra_headers=named)
    assert isinstance(made, Socket)
    try:
        yield made
    finally:
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        await made.is_ended()


def run(test: Coroutine[Any, Any, None]) -> None:
    """A test in a loop."""
    asyncio.run(asyncio.wait_for(test, 50))
