"""Orders that die by themselves, in a heap by (expires_ns, acceptance): the next one due is on top. GTC orders never enter it."""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import DUE, ENTRY, EXPIRING, EXPIRY_WIDTH, ORDER_TERMS, PLACE_UNIT, TERMS_MASK
from domain.state import State


def next_due_ns(s: State) -> i64:
    """When the next order is dead, nanosecond of UTC; 0 when none ever is."""
    if s.expiry_count == 0:
        return 0
    return s.expiries[DUE]


def next_due_order(s: State) -> i64:
    """Row of the order that is dead next."""
    assert s.expiry_count > 0, "somebody expires"
    return s.expiries[EXPIRING]


def place_of(s: State, order: i64) -> i64:
    """Place of an order in the heap, from 1; 0: it never expires."""
    return s.orders[order + ORDER_TERMS] // PLACE_UNIT


def expires_ns(s: State, order: i64) -> i64:
    """When an order is dead, nanosecond of UTC; 0: never."""
    place = place_of(s, order)
    if place == 0:
        return 0
    return s.expiries[(place - 1) * EXPIRY_WIDTH + DUE]


def set_row(s: State, place: i64, due_ns: i64, entry: i64, order: i64) -> None:
    """Write a heap row, and its place into the order."""
    row = (place - 1) * EXPIRY_WIDTH
    s.expiries[row + DUE] = due_ns
    s.expiries[row + ENTRY] = entry
    s.expiries[row + EXPIRING] = order
    s.orders[order + ORDER_TERMS] = (s.orders[order + ORDER_TERMS] & TERMS_MASK) + place * PLACE_UNIT


def before(s: State, place: i64, due_ns: i64, entry: i64) -> bool:
    """Is the row at *place* due before this one?"""
    row = (place - 1) * EXPIRY_WIDTH
    return s.expiries[row + DUE] < due_ns or (s.expiries[row + DUE] == due_ns and s.expiries[row + ENTRY] < entry)


def move_row(s: State, source: i64, target: i64) -> None:
    """Move a heap row to another place."""
    row = (source - 1) * EXPIRY_WIDTH
    set_row(s, target, s.expiries[row + DUE], s.expiries[row + ENTRY], s.expiries[row + EXPIRING])


def schedule(s: State, order: i64, due_ns: i64, entry: i64) -> None:
    """Enter an order that dies at *due_ns*."""
    s.expiry_count += 1
    sift_up(s, s.expiry_count, due_ns, entry, order)


def unschedule(s: State, order: i64) -> None:
    """Take an order out of the heap; nothing happens when it is not in it."""
    place = place_of(s, order)
    if place == 0:
        return
    last = s.expiry_count
    row = (last - 1) * EXPIRY_WIDTH
    due_ns = s.expiries[row + DUE]
    entry = s.expiries[row + ENTRY]
    moved = s.expiries[row + EXPIRING]
    s.expiries[row + DUE] = 0
    s.expiries[row + ENTRY] = 0
    s.expiries[row + EXPIRING] = 0
    s.expiry_count = last - 1
    s.orders[order + ORDER_TERMS] &= TERMS_MASK
    if moved != order:
        if place > 1 and not before(s, place // 2, due_ns, entry):
            sift_up(s, place, due_ns, entry, moved)
        else:
            sift_down(s, place, due_ns, entry, moved)


def sift_up(s: State, place: i64, due_ns: i64, entry: i64, order: i64) -> None:
    """Place a row at *place* or above it."""
    while place > 1 and not before(s, place // 2, due_ns, entry):
        move_row(s, place // 2, place)
        place //= 2
    set_row(s, place, due_ns, entry, order)


def sift_down(s: State, place: i64, due_ns: i64, entry: i64, order: i64) -> None:
    """Place a row at *place* or below it."""
    last = s.expiry_count
    while place * 2 <= last:
        child = place * 2
        if child < last:
            row = child * EXPIRY_WIDTH
            if before(s, child, s.expiries[row + DUE], s.expiries[row + ENTRY]):
                pass
            else:
                child += 1
        if not before(s, child, due_ns, entry):
            break
        move_row(s, child, place)
        place = child
    set_row(s, place, due_ns, entry, order)
