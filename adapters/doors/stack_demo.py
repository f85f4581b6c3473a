"""A stack to try: `outcry gateway --demo`."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from adapters.doors import keys
from adapters.doors.demo import seeded
from adapters.doors.slots import Slot
from adapters.doors.stack import GatewayProcess
from adapters.doors.ws.client import PATH
from adapters.settings import Settings
from adapters.stack.authority import FILE as AUTHORITY
from adapters.wiring import postgres

LOCK: Final = "demo.lock"


@contextmanager
def demonstrated(settings: Settings, slot: Slot, tell: Callable[[str, str], None]) -> Iterator[GatewayProcess]:
    """A gateway to a venue with people in it, whose keys lie in the stack's folder. Its partition is told by whoever owns it.

    tell   is told the URLs of the doors, or of the proxy before them
    Raises NoStore when the stack has another market; as GatewayProcess
    """
    with closing(postgres(settings)) as log, (settings.folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two gateways that begin at once register one venue
        people = seeded(settings, log, settings.partition)

    def opened(rest: str, websocket: str) -> None:
        front, authority = settings.front, str(settings.folder / AUTHORITY) if settings.front else ""
        if front:
            rest, websocket = front, f"{front.replace('http', 'ws', 1)}{PATH}"
        for person in people:
            keys.write(settings.folder, person, rest, websocket, authority)
        tell(rest, websocket)

    yield GatewayProcess(settings, slot, opened)
