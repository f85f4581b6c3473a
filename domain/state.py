"""The vectors of one partition, and how they grow. Nothing else is state: a snapshot is a copy of them, a hash is a hash of them."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    COMMAND_COUNT,
    COUNTERS,
    EXPIRIES,
    EXPIRY_WIDTH,
    ID_WIDTH,
    ID_WINDOW,
    INSTRUMENT_WIDTH,
    MAX_PARTITION,
    NO_RANK,
    ORDER_TOP,
    ORDER_WIDTH,
    OUTCOME_WIDTH,
    PAGE_TOP,
    PAGE_WIDTH,
    PARTITION,
    RESERVE_EVERY,
    SESSION_TOP,
    SESSION_WIDTH,
    SESSION_WINDOW,
    SIDE_WIDTH,
    STATUS,
    TREE_DEPTH,
    WALLET_TOP,
    WALLET_WIDTH,
)
from domain.events import EVENT_WORDS
from domain.index import SMALLEST_INDEX, index_with_room, make_index
from domain.table import SMALLEST, make, with_room
from domain.verbs import ACCOUNT_OPEN, COMMAND_WORDS
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
        self.counters: vec[i64] = vec[i64]([0] * COUNTERS)
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
        self.counters[PARTITION] = partition
        self.counters[ORDER_TOP] = 1
        self.counters[WALLET_TOP] = 1
        self.counters[PAGE_TOP] = 1
        self.accounts[STATUS] = ACCOUNT_OPEN
        # Not state: the command, event and batch at work, and tables of constants (a literal shifted by a native int is 32-bit C).
        self.events: vec[i64] = vec[i64]([0] * (1024 * EVENT_WORDS))
        self.emitted: i64 = 0
        self.seen: i64 = 0  # what reading ahead read: kept so that no compiler leaves it out
        self.posted: i64 = 0  # sum of all changes of balances in this batch, less what came in and went out: 0 at its end
        self.command: vec[i64] = vec[i64]([0] * COMMAND_WORDS)
        self.event: vec[i64] = vec[i64]([0] * EVENT_WORDS)
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


def widened(vector: vec[i64], words: i64) -> vec[i64]:
    """The vector, doubled until it has at least *words* words; new words are zero."""
    size = i64(len(vector))
    if size >= words:
        return vector
    target: i64 = size if size > 0 else 64
    while target < words:
        target *= 2
    bigger = vec[i64]([0] * target)
    k: i64 = 0
    while k < size:
        bigger[k] = vector[k]
        k += 1
    return bigger


def count_command(s: State) -> None:
    """Count one more command, and make room for what the next ones can create: by execute and by apply, so both grow at the same points."""
    if s.counters[COMMAND_COUNT] % RESERVE_EVERY == 0:
        reserve(s)
    s.counters[COMMAND_COUNT] += 1


def reserve(s: State) -> None:
    """Make room for whatever RESERVE_EVERY commands can create, so that nothing grows while a rule holds a place in a vector.

    One command creates at most one order, one price page with its nodes, one expiry, two wallets and one entry of each table.
    """
    counters = s.counters
    if i64(len(s.orders)) < (counters[ORDER_TOP] + RESERVE_EVERY) * ORDER_WIDTH:
        s.orders = widened(s.orders, (counters[ORDER_TOP] + RESERVE_EVERY) * ORDER_WIDTH)
    if i64(len(s.wallets)) < (counters[WALLET_TOP] + 2 * RESERVE_EVERY) * WALLET_WIDTH:
        s.wallets = widened(s.wallets, (counters[WALLET_TOP] + 2 * RESERVE_EVERY) * WALLET_WIDTH)
    if i64(len(s.pages)) < (counters[PAGE_TOP] + RESERVE_EVERY) * PAGE_WIDTH:
        s.pages = widened(s.pages, (counters[PAGE_TOP] + RESERVE_EVERY) * PAGE_WIDTH)
    if i64(len(s.expiries)) < (counters[EXPIRIES] + RESERVE_EVERY) * EXPIRY_WIDTH:
        s.expiries = widened(s.expiries, (counters[EXPIRIES] + RESERVE_EVERY) * EXPIRY_WIDTH)
    s.client_ids = index_with_room(s.client_ids, RESERVE_EVERY)
    s.wallet_index = with_room(s.wallet_index, 2 * RESERVE_EVERY)
    s.page_index = with_room(s.page_index, RESERVE_EVERY)
    s.nodes = with_room(s.nodes, TREE_DEPTH * RESERVE_EVERY)
    s.id_index = with_room(s.id_index, RESERVE_EVERY)


def reserve_session(s: State, session: i64) -> None:
    """Make room for a session's row and the ring of its outcomes."""
    s.sessions = widened(s.sessions, (session + 1) * SESSION_WIDTH)
    s.outcomes = widened(s.outcomes, (s.counters[SESSION_TOP] + 1) * SESSION_WINDOW * OUTCOME_WIDTH)


def reserve_ids(s: State) -> None:
    """Make room for the ring of command ids."""
    s.ids = widened(s.ids, ID_WINDOW * ID_WIDTH)


def reserve_account(s: State, account: i64) -> None:
    """Make room for an account's row."""
    s.accounts = widened(s.accounts, (account + 1) * ACCOUNT_WIDTH)


def reserve_asset(s: State, asset: i64) -> None:
    """Make room for an asset's supply."""
    s.supplies = widened(s.supplies, asset + 1)


def reserve_instrument(s: State, instrument: i64) -> None:
    """Make room for an instrument's row and the two sides of its book, both empty."""
    s.instruments = widened(s.instruments, (instrument + 1) * INSTRUMENT_WIDTH)
    row = i64(len(s.sides))
    s.sides = widened(s.sides, (instrument + 1) * 2 * SIDE_WIDTH)
    while row < i64(len(s.sides)):
        s.sides[row] = NO_RANK
        row += SIDE_WIDTH


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
