"""Read ahead what the next commands or events will touch, many at a time, so that waiting for memory overlaps.

A big book does not fit a processor's cache: a command then waits three or four times for main memory, one time after the
other. Here the same places are read for 64 commands at once, and the processor waits for all of them together (measured:
docs/performance.md). Nothing is changed or decided; any row, malformed or not, is safe to look at.
"""

from __future__ import annotations

from typing import Final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    EARLIER,
    FIRST_WALLET,
    NEWER,
    NEWEST,
    OLDER,
    ORDER_WIDTH,
    RECEIVING_WALLET,
    RESERVED,
    SLOT_MASK,
    STATUS,
)
from domain.events import EVENT_BYTES, ORDER_CANCELLED, TRADE_EXECUTED
from domain.index import ROW_BITS, mask_of, row_at
from domain.state import State
from domain.table import mix
from domain.verbs import ACCOUNT, CLIENT_ORDER_ID, COMMAND_BYTES

AHEAD: Final = 64


def warm_commands(s: State, commands: bytes, row: i64) -> None:
    """Look at what the next AHEAD commands from byte *row* will touch: the account, its wallets and list, the order they name."""
    end: i64 = len(commands)
    if row + AHEAD * COMMAND_BYTES < end:
        end = row + AHEAD * COMMAND_BYTES
    index = s.client_ids
    orders = s.orders
    seen: i64 = 0
    while row < end:
        account = read_i64_le(commands, row + ACCOUNT * 8)
        hashed = mix(account, read_i64_le(commands, row + CLIENT_ORDER_ID * 8))
        place = hashed & mask_of(index)
        if index[place] >> ROW_BITS == hashed:
            seen ^= look_at_order(orders, row_at(index, place))
        seen ^= look_at_account(s, orders, account)
        row += COMMAND_BYTES
    s.seen ^= seen


def warm_events(s: State, events: bytes, event: i64) -> None:
    """Look at the orders that the next AHEAD events from byte *event* name."""
    end: i64 = len(events)
    if event + AHEAD * EVENT_BYTES < end:
        end = event + AHEAD * EVENT_BYTES
    orders = s.orders
    seen: i64 = 0
    while event < end:
        kind = read_i64_le(events, event) & 255
        order = (read_i64_le(events, event + 8) & SLOT_MASK) * ORDER_WIDTH
        if (kind == TRADE_EXECUTED or kind == ORDER_CANCELLED) and order < i64(len(orders)):
            seen ^= look_at_order(orders, order) ^ s.wallets[orders[order + RECEIVING_WALLET] + RESERVED]
        event += EVENT_BYTES
    s.seen ^= seen


def look_at_account(s: State, orders: vec[i64], account: i64) -> i64:
    """The account's row, its first wallets and the head of its list."""
    if account <= 0 or account >= i64(len(s.accounts)) // ACCOUNT_WIDTH:
        return 0
    row = account * ACCOUNT_WIDTH
    accounts = s.accounts
    return accounts[row + STATUS] ^ s.wallets[accounts[row + FIRST_WALLET] + RESERVED] ^ orders[accounts[row + NEWEST] + NEWER]


def look_at_order(orders: vec[i64], order: i64) -> i64:
    """Both lines of an order's slot, and its neighbours."""
    return orders[orders[order + EARLIER]] ^ orders[orders[order + OLDER] + NEWER] ^ orders[orders[order + NEWER] + OLDER]
