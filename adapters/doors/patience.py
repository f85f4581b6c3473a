"""HTTP for the unknown: a client that is slow, silent or endless costs us little, and others nothing.

    half-open  connections whose request is not here whole: half_open of them; beyond, the one that began first gives way
    idle       between two requests: keep_alive_s; beyond *connections* in all, the one that is idle longest gives way
    a request  is here request_s after its first byte (of a new connection: after it was made), or the connection ends
    its head   has head_bytes at most, and is refused else; while it is not whole it takes one read of the socket more at most
    an answer  is made and taken within answer_s, or the connection ends

What uvicorn does not do by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SWEEP_S: Final = 0.5
LOOKS_EVERY_S: Final = 0.02


@dataclass
class Patience:
    """Of one server. For its event loop.

    ends  connections, and when each is cut unless it goes on (loop.time())
    """

    connections: int = 8_192
    half_open: int = 1_024
    head_bytes: int = 16_384
    request_s: float = 10.0
    answer_s: float = 90.0
    keep_alive_s: int = 30
    ends: dict[Patient, float] = field(default_factory=dict)
    begun: dict[Patient, None] = field(default_factory=dict)  # half-open, the one that began first is first
    idle: dict[Patient, None] = field(default_factory=dict)  # likewise
    is_leaving: bool = False

    def protocol(self) -> type[Patient]:
        """What uvicorn makes of each connection."""

        class Bound(Patient):
            patience = self

        return Bound

    async def sweep(self) -> None:
        """Cut those whose time is over, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = loop.time()
            for connection in [each for each, end_s in self.ends.items() if end_s < now_s]:
                connection.cut()

    async def leave(self, within_s: float) -> None:
        """Each connection ends with its next answer, be it the one that is under way; until none is left, or that time is over.

        Who keeps connections for later ends them himself when he has not used them for a while: were it us, what he sends just then would
        be lost, and nobody could say whether it was done.
        """
        self.is_leaving = True
        for each in self.ends:
            if each.cycle is not None:
                each.cycle.keep_alive = False
        end_s = asyncio.get_running_loop().time() + within_s
        while self.ends and asyncio.get_running_loop().time() < end_s:  # noqa: ASYNC110 # once in a gateway's life
            await asyncio.sleep(LOOKS_EVERY_S)

    def make_room(self) -> None:
        """For one more."""
        if len(self.begun) >= self.half_open:
            next(iter(self.begun)).cut()
        elif len(self.ends) >= self.connections and self.idle:
            next(iter(self.idle)).cut()


class Patient(HttpToolsProtocol):
    """One connection, of uvicorn's kind."""

    patience: ClassVar[Patience]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._is_in_head = False

    def cut(self) -> None:
        """End it at once, whatever it says."""
        self._forget()
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._begin(self.patience.request_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.transport.is_closing():
            return
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.patience.head_bytes and not self.transport.is_closing():
                self.send_400_response(f"the head of a request has {self.patience.head_bytes} bytes at most")

    def on_message_begin(self) -> None:
        """See httptools.HttpRequestParser."""
        self._is_in_head, self._head_bytes = True, 0
        is_answering = bool(self.cycle) and not self.cycle.response_complete
        if self not in self.patience.begun:
            self._begin(self.patience.answer_s if is_answering else self.patience.request_s)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See httptools.HttpRequestParser."""
        self._is_in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.patience.head_bytes:
            raise ValueError("uvicorn answers 400")
        super().on_headers_complete()
        if self.patience.is_leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """See httptools.HttpRequestParser."""
        self.patience.begun.pop(self, None)
        self._until(self.patience.answer_s)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        if self in self.patience.begun or self not in self.patience.ends:
            return
        is_idle = self.cycle.response_complete
        self._until(self.patience.keep_alive_s if is_idle else self.patience.answer_s)
        if is_idle:
            self.patience.idle[self] = None

    def _begin(self, seconds: float) -> None:
        self.patience.idle.pop(self, None)
        self.patience.make_room()
        self.patience.begun[self] = None
        self._until(seconds)

    def _until(self, seconds: float) -> None:
        self.patience.ends[self] = self.loop.time() + seconds

    def _forget(self) -> None:
        for each in (self.patience.ends, self.patience.begun, self.patience.idle):
            each.pop(self, None)
