"""Price levels of one side of a book: pages of 32 levels that exist while they have orders, and a tree of bit words above them.

A level is found by its page (one of the pages used last, else a table look-up); the next price by the lowest bit of the page, or,
when the page is empty, by six look-ups down the tree, whatever the distance. Both sides are ordered by rank, lower is
better, so there is one code path. Memory follows the prices in use.
"""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    BEST_LEVEL,
    BEST_RANK,
    HEAD,
    LEVEL_WIDTH,
    NEAR_PAGE,
    NEAR_ROW,
    NO_RANK,
    PAGE_BITS,
    PAGE_LEVELS,
    PAGE_NUMBER,
    PAGE_SIDE,
    SIDE_WIDTH,
    TREE_DEPTH,
)
from domain.pages import best_page, close_page, lowest, near, node_key, open_page, rank_of
from domain.state import State
from domain.table import get


def best_rank(s: State, book_side: i64) -> i64:
    """Rank of the best level with orders, NO_RANK when there is none."""
    return s.sides[book_side * SIDE_WIDTH + BEST_RANK]


def best_level(s: State, book_side: i64) -> i64:
    """Row of the best level; only when best_rank is not NO_RANK."""
    return s.sides[book_side * SIDE_WIDTH + BEST_LEVEL]


def open_level(s: State, pages: vec[i64], book_side: i64, price_ticks: i64) -> i64:
    """Row of the level at a price, marked as having orders; its page is made when there is none. The caller adds an order at once."""
    rank = rank_of(book_side, price_ticks)
    side = book_side * SIDE_WIDTH
    number = rank >> 5
    sides = s.sides
    place = near(book_side, number)
    if sides[place + NEAR_PAGE] == number + 1:
        page = sides[place + NEAR_ROW]
    else:
        page = get(s.page_index, book_side, number)
        if page == 0:
            page = open_page(s, book_side, number)
        sides[place + NEAR_PAGE] = number + 1
        sides[place + NEAR_ROW] = page
    level = page + PAGE_LEVELS + (rank & 31) * LEVEL_WIDTH
    if pages[level + HEAD] == 0:
        pages[page + PAGE_BITS] |= s.bit[rank & 31]
        if rank < sides[side + BEST_RANK]:
            sides[side + BEST_RANK] = rank
            sides[side + BEST_LEVEL] = level
    return level


def close_level(s: State, pages: vec[i64], book_side: i64, price_ticks: i64, level: i64) -> None:
    """The level has lost its last order: clear its bit, its page when that is empty, and find the next best level if it was the best."""
    rank = rank_of(book_side, price_ticks)
    page = level - PAGE_LEVELS - (rank & 31) * LEVEL_WIDTH
    assert pages[level + HEAD] == 0 and pages[page + PAGE_SIDE] == book_side, "an empty level of this side is closed"
    bits = pages[page + PAGE_BITS] & ~s.bit[rank & 31]
    pages[page + PAGE_BITS] = bits
    if bits == 0:
        close_page(s, book_side, rank >> 5, page)
    side = book_side * SIDE_WIDTH
    sides = s.sides
    if sides[side + BEST_RANK] == rank:
        if bits == 0:
            page = best_page(s, book_side)
        if page == 0:
            sides[side + BEST_RANK] = NO_RANK
            sides[side + BEST_LEVEL] = 0
        else:
            place = lowest(s, pages[page + PAGE_BITS])
            sides[side + BEST_RANK] = pages[page + PAGE_NUMBER] * 32 + place
            sides[side + BEST_LEVEL] = page + PAGE_LEVELS + place * LEVEL_WIDTH


def next_level(s: State, book_side: i64, rank: i64) -> i64:
    """Rank of the next level with orders that is worse than *rank*, NO_RANK when there is none: for walks that change nothing."""
    number = rank >> 5
    page = get(s.page_index, book_side, number)
    if page != 0:
        bits = higher(s, s.pages[page + PAGE_BITS], rank & 31)
        if bits != 0:
            return number * 32 + lowest(s, bits)
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        bits = higher(s, get(s.nodes, node_key(book_side, depth), number >> 5), number & 31)
        number >>= 5
        if bits != 0:
            number = number * 32 + lowest(s, bits)
            break
        depth += 1
    if depth > TREE_DEPTH:
        return NO_RANK
    while depth > 1:
        depth -= 1
        number = number * 32 + lowest(s, get(s.nodes, node_key(book_side, depth), number))
    page = get(s.page_index, book_side, number)
    return number * 32 + lowest(s, s.pages[page + PAGE_BITS])


def higher(s: State, bits: i64, place: i64) -> i64:
    """The bits above *place*."""
    return bits & ~(s.bit[place] * 2 - 1)
