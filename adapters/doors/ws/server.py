"""Listens, shakes hands, and keeps the number of connections bounded.

Subprotocols: `outcry.json` (else), `outcry.msgpack`. Compression (RFC 7692) by negotiation, without context takeover, so that a message is
compressed once for all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from picows import WSCloseCode, WSTransport, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from adapters.doors.house import House
from adapters.doors.ws.client import PATH, Client
from adapters.doors.ws.connection import MAX_FRAME_BYTES, Connection
from adapters.doors.ws.connection import Client as Dialect
from adapters.doors.ws.hub import Hub
from adapters.doors.ws.packed import Form

JSON: Final = "outcry.json"
MSGPACK: Final = "outcry.msgpack"
DEFLATE: Final = "permessage-deflate"
_AGREED: Final = f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover"
Dialects: TypeAlias = Mapping[str, Callable[[Connection], Dialect]]
NO_DIALECTS: Final[Dialects] = MappingProxyType({})
READ_BUFFER_BYTES: Final = 1_024
BACKLOG: Final = 4_096
DRAIN_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)
_PICOWS: Final = logging.LoggerAdapter(logging.getLogger("picows.server"), {})  # one for all connections
logging.getLogger("picows").setLevel(logging.CRITICAL)  # clients' mistakes are theirs


class Limits(NamedTuple):
    """connections: of the gateway, and of one address; handshake_s: how long one may take; sweep_s: so often the quiet are asked."""

    connections: int = 60_000
    per_address: int = 256
    handshake_s: float = 5.0
    sweep_s: float = 15.0


class Server:
    """The door. Make it in the loop; begin() it; close() it.

    proxies      addresses of proxies that are believed when they say where a connection comes from, with commas between
    dialects     by path, whoever speaks another language at the other end of a connection
    connections  that are open
    """

    def __init__(
        self,
        house: House,
        hub: Hub,
        limits: Limits,
        proxies: str = "",
        dialects: Mapping[str, Callable[[Connection], Dialect]] = NO_DIALECTS,
    ) -> None:
        self._dialects = dialects
        self._house, self._hub, self._limits, self._proxies = house, hub, limits, frozenset(filter(None, proxies.split(",")))
        self._by_address: Counter[str] = Counter()
        self.connections: dict[Connection, None] = {}
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def begin(self, listening: socket.socket) -> None:
        """Serve at *listening*."""
        self._server = await ws_create_server(
            self._handshake,
            sock=listening,
            websocket_handshake_timeout=self._limits.handshake_s,
            max_frame_size=MAX_FRAME_BYTES,
            read_buffer_init_size=READ_BUFFER_BYTES,
            backlog=BACKLOG,
            logger_name=_PICOWS,
        )
        self._sweeping = asyncio.ensure_future(self._sweep())

    def refuse(self) -> None:
        """Take no more; those that are here stay."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Take no more, tell those that are here, and end them."""
        self.refuse()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self.connections):
            connection.cut("this gateway goes away; another will take you", WSCloseCode.GOING_AWAY)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.connections:  # noqa: ASYNC110 # whoever is slow to leave is left
                    await asyncio.sleep(0.01)
        self._hub.close()

    def address_of(self, transport: WSTransport) -> str:
        """See Door: as a proxy of ours says, else as the socket does."""
        peer = transport.underlying_transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
        if address not in self._proxies:
            return address
        return transport.request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address

    def entered(self, connection: Connection, address: str) -> str:
        """See Door."""
        self.connections[connection] = None
        self._by_address[address] += 1
        if len(self.connections) > self._limits.connections:
            return f"this gateway has {self._limits.connections} connections, and takes no more"
        if self._by_address[address] > self._limits.per_address:
            return f"{address} has {self._limits.per_address} connections, and may not have more"
        return ""

    def left(self, connection: Connection, address: str) -> None:
        """See Door."""
        self.connections.pop(connection, None)
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _handshake(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.path.decode("latin-1").partition("?")[0]
        dialect = self._dialects.get(path)
        if path != PATH and dialect is None:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(404, f"right would be {PATH}".encode()), None)
        agreed = {}
        offered = {each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")} & {JSON, MSGPACK}
        protocol = JSON if JSON in offered else MSGPACK if offered else ""
        if protocol:
            agreed["Sec-WebSocket-Protocol"] = protocol
        is_deflated = any(_takes(each) for each in headers.get("sec-websocket-extensions", "").split(","))
        if is_deflated:
            agreed["Sec-WebSocket-Extensions"] = _AGREED
        connection = Connection(self, Form(protocol == MSGPACK, is_deflated))
        connection.client = dialect(connection) if dialect else Client(self._house, self._hub, connection, headers)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(agreed), connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            for connection in tuple(self.connections):
                connection.sweep()


def _takes(offer: str) -> bool:
    """Whether an offer of compression is one that we can keep: our window is the largest there is."""
    name, *parameters = (part.strip() for part in offer.split(";"))
    return name == DEFLATE and not any(parameter.startswith("server_max_window_bits") for parameter in parameters)
