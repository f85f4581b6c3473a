"""The oracle of the audit index: from the record alone (filed.py), whether what a reader found in OpenSearch was right.

An index may be ahead of its position, never behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adapters.drill.filed import Filed, Life
from adapters.drill.record import Found
from eventstore.codec import BadPayload


class Counted(NamedTuple):
    """So many documents of each kind were found, after the index said that it is as of block *seq*."""

    seq: int
    documents: Counter[str]


def judge(blocks: Sequence[Found], seen: Sequence[Counted], documents: Sequence[Life] | None) -> Iterator[str]:
    """What is wrong with what was *seen*, in that order, and with all *documents*, which were read last (None: they were not).

    blocks  the record's
    """
    filed, last, at = Filed(), 0, {0: Counter[str]()}
    for block in blocks:
        try:
            filed.take(block)
        except (BadPayload, KeyError) as error:
            yield f"apart: the events of block {block.seq} lead nowhere: {type(error).__name__}: {error}"
            return
        at[block.seq] = Counter(filed.documents)
    for seq, found in seen:
        if seq < last:
            yield f"backward: audit showed block {seq} after block {last}"
        last = seq
        missing = at.get(seq, Counter({"block": 1})) - found
        if missing:
            yield f"apart: audit as of block {seq} lacks {dict(missing)}"
    if documents is not None and last == filed.seq:
        yield from _differences(filed, documents)


def _differences(filed: Filed, documents: Sequence[Life]) -> Iterator[str]:
    found = Counter(document["kind"] for document in documents)
    if found != filed.documents:
        yield f"apart: audit has {dict(found)} documents, the record makes {dict(filed.documents)}"
    for document in documents:
        if document["kind"] == "order":
            right = filed.orders.get(document["order"], {})
            life = {key: document.get(key, 0) for key in right}
            if life != right:
                yield f"apart: audit, order {document['order']}: the record makes {right}, the index has {life}"
