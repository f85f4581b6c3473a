"""Many documents in one request, and each that was not taken looked at by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import tenacity

from adapters.search.opensearch import BUSY, Busy, Missing, Server, reason_of
from projections.view import ViewAway

DOCUMENTS_AT_ONCE: Final = 20_000
BYTES_AT_ONCE: Final = 16 * 2**20  # a request of more than 100 MB is refused, and a busy node keeps all that it is working at in its heap
PATIENCE_S: Final = 60.0
BUSY_S: Final = 30.0  # so long what a busy server turned away is tried again, later and later
_THERE: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT})  # conflict: as new a one is there


class Turned(NamedTuple):
    """A row that will never be taken, and why."""

    row: bytes
    reason: str


def send(server: Server, index: str, rows: Sequence[bytes]) -> list[Turned]:
    """Write *rows* (projections/audit.py) into *index*; returns those that it will never take. Raises ViewAway, Missing.

    A document that is there already, or a newer one, counts as written.
    """
    turned: list[Turned] = []
    for part in _parts(rows):
        turned += _send(server, index, part, BUSY_S)
    return turned


def _send(server: Server, index: str, rows: list[bytes], busy_s: float) -> list[Turned]:
    waiting, turned = rows, list[Turned]()

    def once() -> None:
        nonlocal waiting
        answer = server.ask(
            "POST",
            f"/{index}/_bulk",
            b"".join(waiting),
            patience_s=PATIENCE_S,
            params={"filter_path": "errors,items.*.status,items.*.error"},
        )
        again = list[bytes]()
        if answer["errors"]:
            for row, item in zip(waiting, answer["items"], strict=True):
                (told,) = item.values()
                _look(index, row, told, again, turned)
        waiting = again
        if waiting:
            raise Busy(f"{len(waiting)} documents")

    patiently = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Busy),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
        stop=tenacity.stop_after_delay(busy_s),
        reraise=True,
    )
    try:
        patiently(once)
    except Busy as busy:
        raise ViewAway(f"OpenSearch has been too busy for {busy_s:.0f} s ({busy}); it goes on when it takes them") from busy
    return turned


def _look(index: str, row: bytes, told: dict[str, Any], again: list[bytes], turned: list[Turned]) -> None:
    """What became of one document. Raises ViewAway, Missing."""
    status = told["status"]
    if status in _THERE:
        return
    if status in BUSY:
        again.append(row)
    elif status == HTTPStatus.BAD_REQUEST:
        turned.append(Turned(row, reason_of(told)))
    elif status == HTTPStatus.NOT_FOUND:
        raise Missing(index)
    else:
        raise ViewAway(f"OpenSearch: {index}: {reason_of(told)}; it goes on when it takes documents again")


def _parts(rows: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Cut so that none is larger than what is sent at once."""
    part, size = list[bytes](), 0
    for row in rows:
        if part and (len(part) == DOCUMENTS_AT_ONCE or size + len(row) > BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row)
    if part:
        yield part
