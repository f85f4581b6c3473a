"""Room made ahead: vectors grow between commands, never while a rule holds a place in one."""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    EXPIRY_WIDTH,
    ID_WIDTH,
    ID_WINDOW,
    INSTRUMENT_WIDTH,
    LINE,
    NO_RANK,
    ORDER_WIDTH,
    OUTCOME_WIDTH,
    PAGE_WIDTH,
    RESERVE_EVERY,
    SESSION_WIDTH,
    SESSION_WINDOW,
    SIDE_WIDTH,
    TREE_DEPTH,
    WALLET_WIDTH,
)
from domain.index import index_with_room
from domain.state import State
from domain.table import with_room
from domain.vectors import widened


def count_command(s: State) -> None:
    """Count one more command, and make room for what the next ones can create: by execute and by apply, so both grow at the same points."""
    if s.command_count & (RESERVE_EVERY - 1) == 0:
        reserve(s)
    s.command_count += 1


def reserve(s: State) -> None:
    """Make room for whatever RESERVE_EVERY commands can create, so that nothing grows while a rule holds a place in a vector.

    One command creates at most one order, one price page with its nodes, one expiry, two wallets and one entry of each table.
    """
    if i64(len(s.orders)) < (s.order_top + RESERVE_EVERY) * ORDER_WIDTH + LINE:
        s.orders = widened(s.orders, (s.order_top + RESERVE_EVERY) * ORDER_WIDTH + LINE)
    if i64(len(s.wallets)) < (s.wallet_top + 2 * RESERVE_EVERY) * WALLET_WIDTH + LINE:
        s.wallets = widened(s.wallets, (s.wallet_top + 2 * RESERVE_EVERY) * WALLET_WIDTH + LINE)
    if i64(len(s.pages)) < (s.page_top + RESERVE_EVERY) * PAGE_WIDTH:
        s.pages = widened(s.pages, (s.page_top + RESERVE_EVERY) * PAGE_WIDTH)
    if i64(len(s.expiries)) < (s.expiry_count + RESERVE_EVERY) * EXPIRY_WIDTH:
        s.expiries = widened(s.expiries, (s.expiry_count + RESERVE_EVERY) * EXPIRY_WIDTH)
    s.client_ids = index_with_room(s.client_ids, RESERVE_EVERY)
    s.wallet_index = with_room(s.wallet_index, 2 * RESERVE_EVERY)
    s.page_index = with_room(s.page_index, RESERVE_EVERY)
    s.nodes = with_room(s.nodes, TREE_DEPTH * RESERVE_EVERY)
    s.id_index = with_room(s.id_index, RESERVE_EVERY)


def reserve_session(s: State, session: i64) -> None:
    """Make room for a session's row and the ring of its outcomes."""
    s.sessions = widened(s.sessions, (session + 1) * SESSION_WIDTH)
    s.outcomes = widened(s.outcomes, (s.session_top + 1) * SESSION_WINDOW * OUTCOME_WIDTH)


def reserve_ids(s: State) -> None:
    """Make room for the ring of command ids."""
    s.ids = widened(s.ids, ID_WINDOW * ID_WIDTH)


def reserve_account(s: State, account: i64) -> None:
    """Make room for an account's row."""
    s.accounts = widened(s.accounts, (account + 1) * ACCOUNT_WIDTH + LINE)


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
