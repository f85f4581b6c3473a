"""What a gateway speaks beside its own language."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from litestar import Router

from adapters.doors import udf
from adapters.doors.coinbase import routes as coinbase
from adapters.doors.coinbase.channels import Channels
from adapters.doors.coinbase.own import Memory
from adapters.doors.coinbase.socket import PATH, Client
from adapters.doors.house import House
from adapters.doors.ws.connection import Connection
from adapters.doors.ws.hub import Hub


class Dialects:
    """Of one house. For its event loop; close it.

    routers  by REST
    sockets  by path, whoever is at the other end of a WebSocket
    """

    def __init__(self, house: House, hub: Hub) -> None:
        memory = Memory()
        self._channels = Channels(house, hub, memory)
        self.routers: list[Router] = [coinbase.routes(memory), udf.routes()]
        self.sockets: Mapping[str, Callable[[Connection], Client]] = {PATH: lambda wire: Client(house, self._channels, wire)}

    def close(self) -> None:
        """Push nothing more."""
        self._channels.close()
