"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeVar

import msgspec

from outcry.client.rest import Query, Rest
from outcry.client.shapes import Alert, AsOf, Execution, Line, Order

LIMIT: Final = 1_000


class Page(msgspec.Struct):
    """next: cursor of the page after; empty: there is none."""

    next: str
    as_of: list[AsOf]


class Orders(Page):
    """Orders."""

    orders: list[Order]


class Executions(Page):
    """Executions."""

    executions: list[Execution]


class Statement(Page):
    """Lines of a statement."""

    lines: list[Line]


class Alerts(Page):
    """What alert rules told."""

    alerts: list[Alert]


P = TypeVar("P", bound=Page)


async def pages(rest: Rest, path: str, query: Query, kind: type[P]) -> AsyncIterator[P]:
    """All of them. Raises ApiError."""
    cursor = ""
    while True:
        page = await rest.get(path, {**query, "limit": LIMIT, "cursor": cursor}, kind)
        yield page
        cursor = page.next
        if not cursor:
            return
