"""For whatever sends clients here: whether this gateway lives, and whether it is fit to be sent any."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from adapters.doors.house import House
from adapters.reads.feed import Feed


class Health(msgspec.Struct):
    """waits_for: why it is not fit now; nothing: it is."""

    is_ready: bool
    waits_for: list[str]


@get("/live", summary="Whether it lives")
async def live() -> Health:
    """Whoever reads this was answered by its loop."""
    return Health(is_ready=True, waits_for=[])


_NOT_READY: Final = {503: ResponseSpec(Health, generate_examples=False, description="send nobody here")}


@get("/ready", summary="Whether it is fit for traffic", responses=_NOT_READY)
async def ready(house: NamedDependency[House]) -> Response[Health]:
    """503 while what it would show is older than the record was when it began, or stands still."""
    waits = [why for feed in house.feeds for why in waits_for(feed)]
    return Response(Health(not waits, waits), status_code=503 if waits else 200)


def waits_for(feed: Feed) -> list[str]:
    """Why what *feed* shows is not fit; nothing when it is."""
    where = f"partition {feed.partition}"
    if feed.trouble or feed.failure:
        return [f"{where}: nothing is pushed: {feed.trouble or feed.failure}"]
    if not feed.is_current:
        return [f"{where}: it is as of block {feed.seq}, and catches up"]
    return [f"{where}: {name} stands still: {why}" for name, why in feed.stopped.items()]


HANDLERS = (live, ready)
