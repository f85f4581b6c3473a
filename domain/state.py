"""The vectors of one partition, and how they grow. Nothing else is state: a snapshot is a copy of them, a hash is a hash of them."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    EXPIRY_WIDTH,
    INSTRUMENT_WIDTH,
    MAX_PARTITION,
    ORDER_WIDTH,
    PAGE_WIDTH,
    SESSION_WIDTH,
    STATUS,
    WALLET_WIDTH,
)
from domain.events import EVENT_WORDS
from domain.index import SMALLEST_INDEX, make_index
from domain.table import SMALLEST, make
from domain.vectors import widened
from domain.verbs import ACCOUNT_OPEN
from domain.wellformed import bounds

VECTORS: Final = (
    "counters",
    "orders",
    "accounts",
    "wallets",
    "instruments",
    "supplies",
    "sides",
    "pages",
    "expiries",
    "sessions",
    "outcomes",
    "ids",
    "client_ids",
    "wallet_index",
    "page_index",
    "nodes",
    "id_index",
)


@final
class State:
    """Everything a partition knows, and the events of the batch it is working on."""

    def __init__(self, partition: i64) -> None:
        """The empty partition: the venue's account 0 is open, nothing else exists."""
        assert 1 <= partition <= MAX_PARTITION, "a partition number is 1..511"
        self.orders: vec[i64] = vec[i64]([0] * (1024 * ORDER_WIDTH))
        self.accounts: vec[i64] = vec[i64]([0] * (64 * ACCOUNT_WIDTH))
        self.wallets: vec[i64] = vec[i64]([0] * (64 * WALLET_WIDTH))
        self.instruments: vec[i64] = vec[i64]([0] * (4 * INSTRUMENT_WIDTH))
        self.supplies: vec[i64] = vec[i64]([0] * 8)
        self.sides: vec[i64] = vec[i64]([0] * 0)
        self.pages: vec[i64] = vec[i64]([0] * (16 * PAGE_WIDTH))
        self.expiries: vec[i64] = vec[i64]([0] * (64 * EXPIRY_WIDTH))
        self.sessions: vec[i64] = vec[i64]([0] * (4 * SESSION_WIDTH))
        self.outcomes: vec[i64] = vec[i64]([0] * 0)
        self.ids: vec[i64] = vec[i64]([0] * 0)
        self.client_ids: vec[i64] = make_index(SMALLEST_INDEX)
        self.wallet_index: vec[i64] = make(SMALLEST)
        self.page_index: vec[i64] = make(SMALLEST)
        self.nodes: vec[i64] = make(SMALLEST)
        self.id_index: vec[i64] = make(SMALLEST)
        # Counters: attributes, because every command asks for some; the first vector of a snapshot (domain/snapshot.py: counters).
        self.partition: i64 = partition
        self.time_ns: i64 = 0
        self.event_count: i64 = 0
        self.command_count: i64 = 0
        self.order_top: i64 = 1  # slots ever used, row 0 included
        self.order_free: i64 = 0  # first free slot
        self.live_orders: i64 = 0
        self.entries: i64 = 0  # orders ever accepted
        self.wallet_top: i64 = 1
        self.page_top: i64 = 1
        self.page_free: i64 = 0
        self.page_count: i64 = 0
        self.expiry_count: i64 = 0
        self.session_top: i64 = 0  # sessions that have outcomes
        self.ids_seen: i64 = 0  # command ids ever remembered
        self.account_top: i64 = 0
        self.instrument_top: i64 = 0
        self.incoming: i64 = 0  # the order that is matching now; 0 between commands
        self.accounts[STATUS] = ACCOUNT_OPEN
        # Not state: rows read ahead (commands; for apply events too) and where the one at work begins, the events emitted,
        # and tables of constants (a literal shifted by a native int is 32-bit C).
        self.events: vec[i64] = vec[i64]([0] * (1024 * EVENT_WORDS))
        self.emitted: i64 = 0
        self.seen: i64 = 0  # what reading ahead read: kept so that no compiler leaves it out
        self.rows: vec[i64] = vec[i64]()
        self.row: i64 = 0
        self.event_rows: vec[i64] = vec[i64]()
        self.event_row: i64 = 0
        self.word_bounds: vec[i64] = bounds()
        self.bit: vec[i64] = vec[i64]([0] * 32)
        self.bit_place: vec[i64] = vec[i64]([0] * 37)
        power: i64 = 1
        place: i64 = 0
        while place < 32:
            self.bit[place] = power
            self.bit_place[power % 37] = place
            power *= 2
            place += 1


def asked(s: State, word: i64) -> i64:
    """A word of the command at work."""
    place = s.row + word
    return s.rows[place]


def told(s: State, word: i64) -> i64:
    """A word of the event that is folded."""
    place = s.event_row + word
    return s.event_rows[place]


def emit(s: State, head: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64) -> None:
    """Append one event: word 0 and its seven columns."""
    row = s.emitted * EVENT_WORDS
    if row + EVENT_WORDS > i64(len(s.events)):
        s.events = widened(s.events, row + EVENT_WORDS)
    events = s.events
    events[row] = head
    events[row + 1] = a
    events[row + 2] = b
    events[row + 3] = c
    events[row + 4] = d
    events[row + 5] = e
    events[row + 6] = f
    events[row + 7] = g
    s.emitted += 1


def event_head(kind: i64, book_side: i64) -> i64:
    """Word 0 of an event about an order: kind, side and instrument."""
    return kind | ((book_side & 1) << 8) | ((book_side >> 1) << 32)
