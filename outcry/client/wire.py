"""One WebSocket: opened, logged in, and what it says in order. Who reads slowly makes the venue wait, and nothing piles up here."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from weakref import WeakSet

import msgspec
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from outcry.client.credentials import Credentials
from outcry.client.errors import Closed, Problem
from outcry.client.retry import Again, error_of, patiently, unavailable

PATH: Final = "/v1/ws"  # that is signed, whatever a proxy makes of it
MOST_FRAME_BYTES: Final = 2**26
MOST_WAITING: Final = 1_024
FEW_WAITING: Final = 256
QUIET_S: Final = 10.0
_LOGIN: Final = "login"


class Lost(Exception):
    """The connection has ended, and why."""


class Head(msgspec.Struct):
    """What every message begins with."""

    type: str
    id: str = ""
    channel: str = ""
    symbol: str = ""
    problem: Problem | None = None
    reason: str = ""


class Said(NamedTuple):
    """A message: its head, and all of it. head None: a binary frame."""

    head: Head | None
    payload: bytes


class Welcome(msgspec.Struct):
    """Who the connection belongs to. session: of rows of batches; "0": none."""

    user: str = ""
    accounts: list[int] = []
    session: str = "0"
    partition: int = 0


class Wire(WSListener):
    """One connection."""

    def __init__(self) -> None:
        super().__init__()
        self._transport: WSTransport | None = None
        self._frames: deque[tuple[bytes, bool]] = deque()
        self._woken = asyncio.Event()
        self._is_paused = self._is_over = False
        self._why = "the connection was lost"
        self.welcome = Welcome()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        if frame.msg_type == WSMsgType.CLOSE:
            said = frame.get_close_message()
            self._why = said.decode() if said else self._why
            transport.disconnect()
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._frames.append((frame.get_payload_as_bytes(), frame.msg_type == WSMsgType.TEXT))
            self._woken.set()
            if len(self._frames) > MOST_WAITING and not self._is_paused:
                self._is_paused = True
                transport.underlying_transport.pause_reading()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 # see WSListener
        """See WSListener."""
        self._is_over = True
        self._woken.set()

    def say(self, **words: Any) -> None:
        """Send a message; those that are None or empty are left out. Raises Lost."""
        self._send(WSMsgType.TEXT, msgspec.json.encode({name: value for name, value in words.items() if value is not None and value != ""}))

    def send(self, frame: bytes) -> None:
        """Send a binary frame. Raises Lost."""
        self._send(WSMsgType.BINARY, frame)

    def _send(self, kind: WSMsgType, payload: bytes) -> None:
        if self._is_over or self._transport is None:
            raise Lost(self._why)
        self._transport.send(kind, payload)

    async def next(self) -> Said:
        """The next message. Raises Lost."""
        while not self._frames:
            if self._is_over:
                raise Lost(self._why)
            self._woken.clear()
            await self._woken.wait()
        payload, is_text = self._frames.popleft()
        if self._is_paused and len(self._frames) < FEW_WAITING:
            self._is_paused = False
            if not self._is_over and self._transport is not None:
                self._transport.underlying_transport.resume_reading()
        return Said(msgspec.json.decode(payload, type=Head) if is_text else None, payload)

    async def begin(self, credentials: Credentials | None, *, cancel_on_disconnect: bool, partition: int) -> None:
        """Wait until we are let in, and say who we are. Raises Lost, Again, ApiError."""
        if not self.is_open:  # picows tells nobody when the connection ends within the handshake
            raise Lost("the connection was lost within the handshake")
        head, _ = await self.next()
        if head is None or head.type != "welcome":
            raise Lost(head.reason if head else self._why)
        if credentials is None:
            return
        signed = credentials.sign("GET", PATH)
        self.say(op="login", id=_LOGIN, **signed, cancel_on_disconnect=cancel_on_disconnect, partition=partition)
        head, payload = await self.next()
        if head is None or head.id != _LOGIN:
            raise Lost(head.reason if head else self._why)
        if head.problem is not None:
            raise error_of(head.problem)
        self.welcome = msgspec.json.decode(payload, type=Welcome)

    @property
    def is_open(self) -> bool:
        """Whether the handshake succeeded, and the connection has not ended since."""
        return self._transport is not None and not self._is_over

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        if not self._is_over and self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()


class Dialer:
    """Opens connections to a venue. credentials: who connects; None: nobody in particular."""

    def __init__(
        self, address: str, credentials: Credentials | None, *, patience_s: float, timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        self._address, self._credentials, self._tls = address, credentials, tls
        self._patience_s, self._timeout_s = patience_s, timeout_s
        self._wires: WeakSet[Wire] = WeakSet()
        self._is_closed = False

    def close(self) -> None:
        """End all connections, and open no more."""
        self._is_closed = True
        for wire in tuple(self._wires):
            wire.close()

    async def connect(self, *, cancel_on_disconnect: bool = False, partition: int = 0) -> Wire:
        """A connection, logged in, which is closed by whoever has it (or by `with`). Raises Unavailable, Denied, Closed."""
        if not self._address:
            raise ValueError("this client has no address of a WebSocket; right would be for example AsyncClient(rest, ws='ws://…/v1/ws')")
        try:
            async for attempt in patiently(self._patience_s):
                with attempt:
                    if self._is_closed:
                        raise Closed("this client was closed; right would be a new one")
                    wire = await self._once(cancel_on_disconnect=cancel_on_disconnect, partition=partition)
                    self._wires.add(wire)
                    return wire
        except Again as again:
            raise unavailable(again) from again
        raise AssertionError("the last attempt returned or raised")

    async def _once(self, *, cancel_on_disconnect: bool, partition: int) -> Wire:
        """Raises Again, ApiError."""
        wire = Wire()
        try:
            async with asyncio.timeout(self._timeout_s):
                await ws_connect(
                    lambda: wire,
                    self._address,
                    ssl_context=self._tls,
                    websocket_handshake_timeout=self._timeout_s,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=QUIET_S,
                    auto_ping_reply_timeout=self._timeout_s,
                    max_frame_size=MOST_FRAME_BYTES,
                )
                await wire.begin(self._credentials, cancel_on_disconnect=cancel_on_disconnect, partition=partition)
        except (OSError, WSError, TimeoutError, Lost) as error:
            wire.close()
            raise Again(Problem("not connected", 0, f"{type(error).__name__} {error}".strip()), may_be_done=False) from error
        except BaseException:
            wire.close()
            raise
        return wire
