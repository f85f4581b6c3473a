"""The doors of a house, served by an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, NamedTuple, Self

import uvicorn
import uvloop

from adapters.doors.dialects import Dialects
from adapters.doors.house import House
from adapters.doors.patience import Patience
from adapters.doors.reference import documented
from adapters.doors.ws.hub import Hub
from adapters.doors.ws.server import Limits, Server

HOST: Final = "127.0.0.1"
BACKLOG: Final = 4_096
STARTS_WITHIN_S: Final = 30
DRAINS_S: Final = 10
LINGERS_S: Final = 4.0  # while a proxy still may use connections that it keeps: longer than it keeps them (adapters/stack/nginx.conf)
FOLLOW_S: Final = 0.05
SWITCH_S: Final = 0.0005  # after which a thread gives the interpreter to one that waits: views must not hold up who answers clients
_LOG: Final = logging.getLogger(__name__)
logging.getLogger("uvicorn").setLevel(logging.ERROR)  # clients' mistakes are theirs


class Ports(NamedTuple):
    """Where doors listen; 0: on one that is free."""

    rest: int = 0
    ws: int = 0


class Gateway:
    """Serves from its construction until it is closed. Raises what opening the house raises, OSError when a port is taken.

    opened   makes the house, in the loop's thread
    proxies  addresses of proxies that are believed when they say where a request comes from
    ports    where it listens
    limits   of WebSockets

    urls: of REST, and of WebSockets
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[House]],
        ports: Ports,
        *,
        host: str = HOST,
        proxies: str = "",
        limits: Limits = Limits(),  # noqa: B008 # does not change
    ) -> None:
        self._opened, self._proxies, self._limits = opened, proxies, limits
        self._rest = _listening(host, ports.rest)
        try:
            self._ws = _listening(host, ports.ws)
        except OSError:
            self._rest.close()
            raise
        self.ports = Ports(*(int(each.getsockname()[1]) for each in (self._rest, self._ws)))
        self.urls = f"http://{host}:{self.ports.rest}", f"ws://{host}:{self.ports.ws}/v1/ws"
        self.failure: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doors", daemon=True)
        self._thread.start()
        if not self._started.wait(STARTS_WITHIN_S):
            raise TimeoutError(f"the doors did not open within {STARTS_WITHIN_S} s")
        self._raise()

    def close(self) -> None:
        """Take no new request, answer those that are under way, for DRAINS_S at most. Raises what ended it before, if anything did."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - whoever opened or closes it hears of it
            if self._started.is_set():
                _LOG.critical("the doors are closed: %s", error, exc_info=error)
            self.failure = error
        finally:
            self._rest.close()
            self._ws.close()
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._opened() as house:
            hub = Hub(house, house.feeds)
            dialects = Dialects(house, hub)
            patience = Patience()
            config = uvicorn.Config(
                documented(house, dialects.routers),
                http=patience.protocol(),
                timeout_keep_alive=patience.keep_alive_s,
                log_config=None,
                lifespan="off",
                access_log=False,
                server_header=False,
                proxy_headers=bool(self._proxies),
                forwarded_allow_ips=self._proxies,
                timeout_graceful_shutdown=DRAINS_S,
                backlog=BACKLOG,
                ws="none",
            )
            sockets = Server(house, hub, self._limits, self._proxies, dialects.sockets)
            await sockets.begin(self._ws)
            server = _Server(config, self._started.set)
            serving = asyncio.ensure_future(server.serve([self._rest]))
            beside = [asyncio.ensure_future(each) for each in (_follow(house), patience.sweep())]
            stopping = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            await self._drain(house, server, sockets, patience)
            for each in (*beside, stopping):
                each.cancel()
            dialects.close()
            await serving

    async def _drain(self, house: House, server: _Server, sockets: Server, patience: Patience) -> None:
        """Nobody comes in any more, who asked is answered, then sockets are told to go elsewhere, and what rests for them is cancelled."""
        server.refuse()
        sockets.refuse()
        await patience.leave(LINGERS_S if self._proxies else 0)
        server.should_exit = True
        house.leave()
        await house.settle(DRAINS_S)
        await sockets.close()
        await house.settle(DRAINS_S)


class _Server(uvicorn.Server):
    """Tells when it has begun, and leaves signals to whoever has the main thread."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()

    def refuse(self) -> None:
        """Take nobody else."""
        for each in self.servers if self.started else ():
            each.close()


async def _follow(house: House) -> None:
    """See what other processes register."""
    while True:
        await asyncio.sleep(FOLLOW_S)
        try:
            await asyncio.to_thread(house.registry.follow)
        except Exception as failed:  # noqa: BLE001 - the record is away: who is known stays known
            _LOG.warning("the registry cannot be followed: %s", failed)
            await asyncio.sleep(1)


def _listening(host: str, port: int) -> socket.socket:
    """Raises OSError naming the address."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as taken:
        made.close()
        raise OSError(f"{host}:{port} cannot be listened at: {taken.strerror}; right would be a port that is free, or 0") from taken
    return made
