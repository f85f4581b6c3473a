"""Pages of 32 price levels that exist while they have orders, and the tree of bit words above them (see domain/ladder.py)."""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import (
    LEVEL_WIDTH,
    MAX_PRICE_TICKS,
    NEAR_MASK,
    NEAR_PAGE,
    NEAR_ROW,
    PAGE_BITS,
    PAGE_LEVELS,
    PAGE_NEXT_FREE,
    PAGE_NUMBER,
    PAGE_SIDE,
    PAGE_WIDTH,
    SIDE_WIDTH,
    TREE_DEPTH,
)
from domain.state import State
from domain.table import VALUE, delete, delete_row, get, probe, put, set_bit


def rank_of(book_side: i64, price_ticks: i64) -> i64:
    """How good a price is on its side: the lower, the better."""
    return price_ticks if book_side & 1 else MAX_PRICE_TICKS - price_ticks


def price_of(book_side: i64, rank: i64) -> i64:
    """The price in ticks of a rank."""
    return rank if book_side & 1 else MAX_PRICE_TICKS - rank


def lowest(s: State, bits: i64) -> i64:
    """Place of the lowest bit set. The powers of two below 2^32 are all different modulo 37."""
    return s.bit_place[(bits & -bits) % 37]


def node_key(book_side: i64, depth: i64) -> i64:
    """First key of a tree node."""
    return book_side * 8 + depth


def has_page(s: State, book_side: i64, price_ticks: i64) -> bool:
    """Does the page of this price exist already?"""
    number = rank_of(book_side, price_ticks) >> 5
    return s.sides[near(book_side, number) + NEAR_PAGE] == number + 1 or get(s.page_index, book_side, number) != 0


def near(book_side: i64, number: i64) -> i64:
    """Where a side remembers that it used this page lately; add NEAR_PAGE or NEAR_ROW."""
    return book_side * SIDE_WIDTH + (number & NEAR_MASK) * 2


def can_open_level(s: State, book_side: i64, price_ticks: i64) -> bool:
    """Does the price have a page, or places for one and its nodes in the tables? Chance alone does not take them all."""
    return has_page(s, book_side, price_ticks) or not is_crowded(s, book_side, rank_of(book_side, price_ticks) >> 5)


def is_crowded(s: State, book_side: i64, number: i64) -> bool:
    """Are all table places of a page, or of a node above it, taken by others?"""
    if probe(s.page_index, book_side, number) < 0:
        return True
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        number >>= 5
        if probe(s.nodes, node_key(book_side, depth), number) < 0:
            return True
        depth += 1
    return False


def open_page(s: State, book_side: i64, number: i64) -> i64:
    """Row of a new page, entered in the tree up to the first node that was there already."""
    pages = s.pages
    page = s.page_free
    if page != 0:
        s.page_free = pages[page + PAGE_NEXT_FREE]
        pages[page + PAGE_NEXT_FREE] = 0
    else:
        page = s.page_top * PAGE_WIDTH
        s.page_top += 1
    s.page_count += 1
    assert pages[page + PAGE_BITS] == 0, "a free page has no orders"
    pages[page + PAGE_SIDE] = book_side
    pages[page + PAGE_NUMBER] = number
    put(s.page_index, book_side, number, page)
    nodes = s.nodes
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        bits = set_bit(nodes, node_key(book_side, depth), number >> 5, s.bit[number & 31])
        if bits != 0:
            break
        number >>= 5
        depth += 1
    return page


def close_page(s: State, book_side: i64, number: i64, page: i64) -> None:
    """Free an empty page and take it out of the tree, up to the first node that keeps other pages."""
    delete(s.page_index, book_side, number)
    place = near(book_side, number)
    sides = s.sides
    if sides[place + NEAR_PAGE] == number + 1:
        sides[place + NEAR_PAGE] = 0
        sides[place + NEAR_ROW] = 0
    pages = s.pages
    pages[page + PAGE_SIDE] = 0
    pages[page + PAGE_NUMBER] = 0
    pages[page + PAGE_NEXT_FREE] = s.page_free
    s.page_free = page
    s.page_count -= 1
    nodes = s.nodes
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        row = probe(nodes, node_key(book_side, depth), number >> 5)
        bits = nodes[row + VALUE] & ~s.bit[number & 31]
        if bits != 0:
            nodes[row + VALUE] = bits
            break
        delete_row(nodes, row)
        number >>= 5
        depth += 1


def best_page(s: State, book_side: i64) -> i64:
    """Row of the page with the best level, 0 when the side is empty: down the tree along the lowest bits."""
    nodes = s.nodes
    number: i64 = 0
    depth: i64 = TREE_DEPTH
    while depth >= 1:
        bits = get(nodes, node_key(book_side, depth), number)
        if bits == 0:
            assert depth == TREE_DEPTH, "a node above another knows that it is there"
            return 0
        number = number * 32 + lowest(s, bits)
        depth -= 1
    return get(s.page_index, book_side, number)


def level_at(s: State, book_side: i64, rank: i64) -> i64:
    """Row of a level that has orders."""
    page = get(s.page_index, book_side, rank >> 5)
    assert page != 0, "a level with orders has a page"
    return page + PAGE_LEVELS + (rank & 31) * LEVEL_WIDTH
