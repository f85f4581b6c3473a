"""Searches of the record itself, or of the archive's copy: for when there is no index, or it does not answer. Slower, and right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.search.criteria import Criteria, Cursor, Found, Hits, TooMuch, matches
from eventstore.ports import BlockLog
from projections.audit import INSTRUMENTS, Audit, lines_of
from projections.columns import Columns
from projections.documents import Instrument
from replay.source import Progress, blocks

PATIENCE_S: Final = 60.0
MAX_MATCHES: Final = 100_000
_decode: Final = msgspec.json.Decoder().decode


def search(
    log: BlockLog,
    partitions: Sequence[int],
    criteria: Criteria,
    *,
    limit: int,
    after: Cursor | None = None,
    newest_first: bool = False,
    patience_s: float = PATIENCE_S,
    level: str = "record",
    progress: Progress | None = None,
) -> Hits:
    """As in_index.search, folded from the first block on; an order is as of the last.

    level   what *log* is: record, archive
    Raises  TooMuch after *patience_s* or when more than MAX_MATCHES documents are meant; what log.read raises
    """
    deadline_s, found, as_of = time.monotonic() + patience_s, dict[str, Found](), dict[int, int]()
    instruments: dict[tuple[int, str], Instrument] = {}
    for partition in partitions:
        fold, as_of[partition] = Audit(), 0
        for block in blocks(log, partition, progress=progress):
            if criteria.time_ns.low is not None and block.time_ns < criteria.time_ns.low:
                fold.skip(Columns(block))
            else:
                _take(found, fold, Columns(block), criteria)
            as_of[partition] = block.seq
            if time.monotonic() > deadline_s:
                raise TooMuch(
                    f"the {level} was read for {patience_s:.0f} s, up to block {block.seq} of partition {partition}, and goes on; right "
                    "would be the index (`outcry worker views --views audit`), or `outcry query`"
                )
            if len(found) > MAX_MATCHES:
                raise TooMuch(f"more than {MAX_MATCHES:,} documents are meant; right would be a narrower search, a shorter time first")
        instruments |= {(partition, each.symbol): each for each in fold.instruments.values()}
    places = sorted(((Cursor.of(document), document) for document in found.values()), key=lambda place: place[0], reverse=newest_first)
    if after is not None:
        places = [place for place in places if (place[0] < after if newest_first else place[0] > after)]
    return Hits(level, as_of, [document for _, document in places[:limit]], len(places) > limit, instruments)


def _take(found: dict[str, Found], fold: Audit, block: Columns, criteria: Criteria) -> None:
    """What the block says; an order that is not meant any more is forgotten."""
    for key, row in fold.fold(block).items():
        if key.startswith(INSTRUMENTS):
            continue
        document = _decode(lines_of(row)[1])
        if matches(criteria, document):
            found[key] = document
        else:
            found.pop(key, None)
