"""What all robots do: a turn now and then, for as long as they live, over a session that takes their orders along when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from outcry.client import AsyncClient, OutcomeUnknown, Session, Unavailable

PAUSE_S: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


async def run(client: AsyncClient, every_s: float, turn: Callable[[Session], Awaitable[None]]) -> NoReturn:
    """Do *turn* each *every_s*, until this is cancelled; then the orders of the account are cancelled, too.

    A venue that is away is waited for. Raises what else the client raises.
    """
    try:
        while True:
            try:
                async with client.session(cancel_on_disconnect=True) as session:
                    await _turns(session, every_s, turn)
            except (Unavailable, OutcomeUnknown) as why:
                _LOG.warning("the venue is away: %s", why)
                await asyncio.sleep(PAUSE_S)
    finally:
        await client.cancel_all()


async def _turns(session: Session, every_s: float, turn: Callable[[Session], Awaitable[None]]) -> NoReturn:
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        await turn(session)
        due_s = max(due_s + every_s, loop.time())  # late: go on from here, do not catch up
        await asyncio.sleep(due_s - loop.time())
