"""Sockets that are logged in and say nothing, held by a process of their own: what they cost, and what traders beside them notice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.gateways import PATH, Pipe, login_words

AT_ONCE: Final = 100
_LOGIN: Final = b'{"type":"welcome","user":"bench"'


class Socket(WSListener):
    """Logs in; *welcome* is there when it is. Then it hands on what it hears."""

    def __init__(self, words: dict[str, str], heard: Callable[[bytes], None] = lambda _: None) -> None:
        super().__init__()
        self._words, self._heard = words, heard
        self.transport: WSTransport
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        self.transport = transport
        transport.send(WSMsgType.TEXT, msgspec.json.encode({"op": "login", **self._words}))

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        payload = frame.get_payload_as_bytes()
        if self.welcome.done():
            self._heard(payload)
        elif payload.startswith(_LOGIN):
            self.welcome.set_result(None)


def hold(pipe: Pipe, port: int, key: str, secret: str, count: int) -> None:
    """Say "ready" when so many are logged in, and hold them until told to end."""
    uvloop.run(_hold(pipe, port, key, secret, count))


async def _hold(pipe: Pipe, port: int, key: str, secret: str, count: int) -> None:
    for first in range(0, count, AT_ONCE):
        some = [Socket(login_words(key, secret, f"idle{place}")) for place in range(first, min(count, first + AT_ONCE))]
        await asyncio.gather(*(connected(port, each) for each in some))
        await asyncio.gather(*(each.welcome for each in some))
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)


async def connected(port: int, socket: Socket) -> None:
    """Open it; it logs in by itself."""
    await ws_connect(partial(_itself, socket), f"ws://127.0.0.1:{port}{PATH}", websocket_handshake_timeout=60, read_buffer_init_size=1_024)


def _itself(socket: Socket) -> Socket:
    """What picows calls to make a listener."""
    return socket


def resident_bytes() -> int:
    """Of this process; what the system keeps for its sockets is not in it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
