"""Questions about a partition's state, answered in plain Python values: for people and tests, never on the way of a command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    ASSET,
    AVAILABLE,
    BAND_HIGH,
    BAND_LOW,
    BASE_ASSET,
    BASE_UNITS,
    BOOK_SIDE,
    CLIENT_ID,
    GROUP,
    HEAD,
    HELD,
    INSTRUMENT_WIDTH,
    LATER,
    LOT_SIZE,
    LOTS,
    MAKER_RATE,
    NEWEST,
    NO_RANK,
    NUMBER,
    OLDER,
    OPEN_ORDERS,
    OWNER,
    PRICE,
    QUOTE_ASSET,
    QUOTE_UNITS,
    RESERVED,
    SCALES,
    STATE,
    STATUS,
    SYMBOL,
    TAKER_RATE,
    TICK_SIZE,
    WALLET_OWNER,
    WALLET_WIDTH,
)
from domain.dedupe import last_sequence as session_last_sequence
from domain.expiries import expires_ns
from domain.ladder import best_rank, next_level
from domain.pages import level_at
from domain.partition import Partition
from domain.slots import find_number


class Resting(NamedTuple):
    """An order in the book."""

    order: int
    account: int
    price_ticks: int
    quantity_lots: int
    client_order_id: int


class Live(NamedTuple):
    """A live order. held: minor units; expires_ns: 0 for never."""

    order: int
    account: int
    instrument: int
    side: int
    price_ticks: int
    quantity_lots: int
    client_order_id: int
    held: int
    expires_ns: int


class Instrument(NamedTuple):
    """What an instrument is and the state it is in."""

    instrument: int
    symbol: str
    state: int
    base_asset: int
    quote_asset: int
    base_units: int
    quote_units: int
    base_scale: int
    quote_scale: int
    tick_size_e9: int
    lot_size_e9: int
    band_low_ticks: int
    band_high_ticks: int
    maker_rate: int
    taker_rate: int


class Account(NamedTuple):
    """An account's status, group and number of live orders."""

    account: int
    status: int
    group: int
    open_orders: int


def book(partition: Partition, instrument: int) -> tuple[list[Resting], list[Resting]]:
    """(buys, sells) of an instrument, best price first, in queue order."""
    if not 0 < instrument <= partition.state.instrument_top:
        return [], []
    return list(queue(partition, instrument * 2)), list(queue(partition, instrument * 2 + 1))


def queue(partition: Partition, book_side: i64) -> Iterator[Resting]:
    """The orders of one side (instrument * 2 + side), best price first, in queue order."""
    s = partition.state
    rank = best_rank(s, book_side)
    while rank != NO_RANK:
        order = s.pages[level_at(s, book_side, rank) + HEAD]
        while order != 0:
            o = s.orders
            yield Resting(o[order + NUMBER], o[order + OWNER], o[order + PRICE], o[order + LOTS], o[order + CLIENT_ID])
            order = o[order + LATER]
        rank = next_level(s, book_side, rank)


def balances(partition: Partition, account: int) -> dict[int, tuple[int, int]]:
    """asset -> (available, held) of an account, minor units. Looks at every wallet."""
    s = partition.state
    found: dict[int, tuple[int, int]] = {}
    row: i64 = WALLET_WIDTH
    end = s.wallet_top * WALLET_WIDTH
    owner: i64 = account
    while row < end:
        if s.wallets[row + WALLET_OWNER] == owner:
            found[s.wallets[row + ASSET]] = (s.wallets[row + AVAILABLE], s.wallets[row + RESERVED])
        row += WALLET_WIDTH
    return found


def supply(partition: Partition) -> dict[int, int]:
    """asset -> deposits minus withdrawals, minor units; assets without any are left out."""
    return {asset: amount for asset, amount in enumerate(partition.state.supplies) if amount != 0}


def live_order(partition: Partition, row: i64) -> Live | None:
    """The order in a slot row."""
    if row == 0:
        return None
    s = partition.state
    o = s.orders
    side = o[row + BOOK_SIDE]
    return Live(
        o[row + NUMBER],
        o[row + OWNER],
        side >> 1,
        side & 1,
        o[row + PRICE],
        o[row + LOTS],
        o[row + CLIENT_ID],
        o[row + HELD],
        expires_ns(s, row),
    )


def order(partition: Partition, number: int) -> Live | None:
    """The live order with this number."""
    return live_order(partition, find_number(partition.state, number)) if 0 < number < 2**63 else None


def open_orders(partition: Partition, account: int) -> list[Live]:
    """The account's live orders, newest first."""
    s = partition.state
    found: list[Live] = []
    if not 0 <= account <= s.account_top:
        return found
    row = s.accounts[account * ACCOUNT_WIDTH + NEWEST]
    while row != 0:
        live = live_order(partition, row)
        assert live is not None, "a row of the list is an order"
        found.append(live)
        row = s.orders[row + OLDER]
    return found


def instrument(partition: Partition, number: int) -> Instrument | None:
    """What the instrument is, None when it is not listed."""
    s = partition.state
    if not 0 < number <= s.instrument_top:
        return None
    row: i64 = number * INSTRUMENT_WIDTH
    i = s.instruments
    if i[row + STATE] == 0:
        return None
    symbol: int = i[row + SYMBOL]
    return Instrument(
        number,
        symbol.to_bytes(8, "little").rstrip(b"\0").decode("ascii"),
        i[row + STATE],
        i[row + BASE_ASSET],
        i[row + QUOTE_ASSET],
        i[row + BASE_UNITS],
        i[row + QUOTE_UNITS],
        i[row + SCALES] & 255,
        i[row + SCALES] >> 8,
        i[row + TICK_SIZE],
        i[row + LOT_SIZE],
        i[row + BAND_LOW],
        i[row + BAND_HIGH],
        i[row + MAKER_RATE],
        i[row + TAKER_RATE],
    )


def instruments(partition: Partition) -> list[Instrument]:
    """Every listed instrument, by number."""
    top: int = partition.state.instrument_top
    found = [instrument(partition, number) for number in range(1, top + 1)]
    return [each for each in found if each is not None]


def account(partition: Partition, number: int) -> Account | None:
    """The account, None when it was never opened."""
    s = partition.state
    if not 0 <= number <= s.account_top:
        return None
    row: i64 = number * ACCOUNT_WIDTH
    a = s.accounts
    return Account(number, a[row + STATUS], a[row + GROUP], a[row + OPEN_ORDERS]) if a[row + STATUS] != 0 else None


def highest_account(partition: Partition) -> int:
    """The highest number that an account was opened with; 0 when there is none but the venue's."""
    return partition.state.account_top


def last_sequence(partition: Partition, session: int) -> int:
    """Last sequence of a session, 0 when it has none: where a client resumes."""
    return session_last_sequence(partition.state, session)
