"""Blocks for tests of the record: command rows beside the event rows that a test says they caused. No engine decides here."""

from __future__ import annotations

import struct
from typing import Any, Final

from hypothesis import strategies as st

from domain import events as e
from domain.fields import RowType
from domain.verbs import RECEIVED_NS, VERBS
from eventstore.blocks import Block, Head, after, seal
from eventstore.ports import BlockLog
from tests.market import buy, row, sell

Said = tuple[bytes, list[bytes]]  # one command row, its event rows: outcome first

OUTCOMES: Final = tuple(kind for kind in e.EVENTS if kind.code < e.FIRST_CONSEQUENCE)
CONSEQUENCES: Final = tuple(kind for kind in e.EVENTS if kind.code >= e.FIRST_CONSEQUENCE)


def happened(kind: int, **fields: int) -> bytes:
    """An event row of *kind*; fields not given are 0. KeyError names a field that the kind does not have."""
    words = [kind] + [0] * (e.EVENT_WORDS - 1)
    for field in e.EVENT_BY_CODE[kind].fields:
        value = fields.pop(field.name, 0)
        assert field.bits == 64 or 0 <= value < 2**field.bits, f"{field.name}={value} does not fit"
        words[field.word] |= value << field.shift
    if fields:
        raise KeyError(f"{e.EVENT_BY_CODE[kind].name} has no {', '.join(fields)}")
    return struct.pack("<8q", *words)


def block_of(head: Head, *said: Said, inputs: bytes = b"{}") -> Block:
    """The block after *head*: its time is the greatest received_ns so far."""
    received = [struct.unpack("<16q", command)[RECEIVED_NS] for command, _ in said]
    commands = b"".join(command for command, _ in said)
    events = b"".join(event for _, events in said for event in events)
    return seal(head, commands, events, max([head.time_ns, *received]), inputs)


def fill(log: BlockLog, blocks: int, partition: int = 1, instruments: int = 3) -> list[Block]:
    """Claim *partition* and append *blocks* of one trade each: block n trades n lots at 100 + n ticks, the instruments taking turns."""
    head, written = log.claim(partition), []
    for _ in range(blocks):
        block = trade_block(head, instrument=head.seq % instruments + 1, lots=head.seq + 1)
        log.append(block)
        written.append(block)
        head = after(block)
    return written


def trade_block(head: Head, instrument: int, lots: int) -> Block:
    """Account 1 sells, account 2 buys all of it."""
    n, price, at = head.next_event, 100 + lots, head.time_ns
    maker, taker = 2**53 + n, 2**53 + n + 1
    common = {"instrument": instrument, "price_ticks": price, "quantity_lots": lots}
    return block_of(
        head,
        (
            sell(1, lots, price, instrument=instrument, received_ns=at + 10),
            [
                happened(e.ORDER_ACCEPTED, side=1, order=maker, held=lots, **common),
                happened(e.ORDER_RESTED, side=1, order=maker, account=1, **common),
            ],
        ),
        (
            buy(2, lots, price, instrument=instrument, received_ns=at + 20),
            [
                happened(e.ORDER_ACCEPTED, order=taker, held=lots * price, **common),
                happened(e.TRADE_EXECUTED, maker_order=maker, maker_account=1, buyer_released=lots * price, **common),
            ],
        ),
    )


def _fields(kind: RowType) -> st.SearchStrategy[dict[str, int]]:
    """Any values that the fields of a row can hold; times stay positive, they order the record."""
    whole = st.integers(-(2**63), 2**63 - 1)
    times = st.integers(0, 2**62)
    chosen: dict[str, Any] = {
        field.name: times if field.name == "received_ns" else whole if field.bits == 64 else st.integers(0, 2**field.bits - 1)
        for field in kind.fields
    }
    return st.fixed_dictionaries(chosen)


def commands() -> st.SearchStrategy[bytes]:
    """Any command row that names no bit its verb does not have."""
    return st.sampled_from(VERBS).flatmap(lambda verb: _fields(verb).map(lambda fields: row(verb.code, **fields)))


def events(kinds: tuple[RowType, ...]) -> st.SearchStrategy[bytes]:
    """Any event row of *kinds*."""
    return st.sampled_from(kinds).flatmap(lambda kind: _fields(kind).map(lambda fields: happened(kind.code, **fields)))


def trading_outcomes() -> tuple[RowType, ...]:
    """Outcomes that name the order a trade's taker is."""
    return tuple(kind for kind in OUTCOMES if any(field.name == "order" for field in kind.fields))


def said() -> st.SearchStrategy[Said]:
    """A command, an outcome of any kind, and (after one that names an order) any consequences."""
    quiet = st.tuples(commands(), events(OUTCOMES).map(lambda outcome: [outcome]))
    lively = st.tuples(
        commands(), st.tuples(events(trading_outcomes()), st.lists(events(CONSEQUENCES), max_size=3)).map(lambda both: [both[0], *both[1]])
    )
    return quiet | lively
