"""Price levels of one side of a book: pages of 32 levels that exist while they have orders, and a tree of bit words above them.

A level is found by its page (one of the pages used last, else a table look-up); the next price by the lowest bit of the page, or,
when the page is empty, by six look-ups down the tree, whatever the distance. Both sides are ordered by rank, lower is
better, so there is one code path. Memory follows the prices in use.
"""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import (
    BEST_LEVEL,
    BEST_RANK,
    HEAD,
    LEVEL_WIDTH,
    MAX_PRICE_TICKS,
    NEAR_MASK,
    NEAR_PAGE,
    NEAR_ROW,
    NO_RANK,
    PAGE_BITS,
    PAGE_FREE,
    PAGE_LEVELS,
    PAGE_NEXT_FREE,
    PAGE_NUMBER,
    PAGE_SIDE,
    PAGE_TOP,
    PAGE_WIDTH,
    PAGES,
    SIDE_WIDTH,
    TREE_DEPTH,
)
from domain.state import State
from domain.table import VALUE, delete, get, probe, put


def rank_of(book_side: i64, price_ticks: i64) -> i64:
    """How good a price is on its side: the lower, the better."""
    return price_ticks if book_side & 1 else MAX_PRICE_TICKS - price_ticks


def price_of(book_side: i64, rank: i64) -> i64:
    """The price in ticks of a rank."""
    return rank if book_side & 1 else MAX_PRICE_TICKS - rank


def best_rank(s: State, book_side: i64) -> i64:
    """Rank of the best level with orders, NO_RANK when there is none."""
    return s.sides[book_side * SIDE_WIDTH + BEST_RANK]


def best_level(s: State, book_side: i64) -> i64:
    """Row of the best level; only when best_rank is not NO_RANK."""
    return s.sides[book_side * SIDE_WIDTH + BEST_LEVEL]


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


def open_level(s: State, book_side: i64, price_ticks: i64) -> i64:
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
    if s.pages[level + HEAD] == 0:
        s.pages[page + PAGE_BITS] |= s.bit[rank & 31]
        if rank < sides[side + BEST_RANK]:
            sides[side + BEST_RANK] = rank
            sides[side + BEST_LEVEL] = level
    return level


def open_page(s: State, book_side: i64, number: i64) -> i64:
    """Row of a new page, entered in the tree up to the first node that was there already."""
    counters = s.counters
    page = counters[PAGE_FREE]
    if page != 0:
        counters[PAGE_FREE] = s.pages[page + PAGE_NEXT_FREE]
        s.pages[page + PAGE_NEXT_FREE] = 0
    else:
        page = counters[PAGE_TOP] * PAGE_WIDTH
        counters[PAGE_TOP] += 1
    counters[PAGES] += 1
    assert s.pages[page + PAGE_BITS] == 0, "a free page has no orders"
    s.pages[page + PAGE_SIDE] = book_side
    s.pages[page + PAGE_NUMBER] = number
    put(s.page_index, book_side, number, page)
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        row = probe(s.nodes, node_key(book_side, depth), number >> 5)
        bits = s.nodes[row + VALUE]
        put(s.nodes, node_key(book_side, depth), number >> 5, bits | s.bit[number & 31])
        if bits != 0:
            break
        number >>= 5
        depth += 1
    return page


def close_level(s: State, book_side: i64, price_ticks: i64, level: i64) -> None:
    """The level has lost its last order: clear its bit, its page when that is empty, and find the next best level if it was the best."""
    rank = rank_of(book_side, price_ticks)
    page = level - PAGE_LEVELS - (rank & 31) * LEVEL_WIDTH
    pages = s.pages
    assert pages[level + HEAD] == 0 and pages[page + PAGE_SIDE] == book_side, "an empty level of this side is closed"
    bits = pages[page + PAGE_BITS] & ~s.bit[rank & 31]
    pages[page + PAGE_BITS] = bits
    if bits == 0:
        close_page(s, book_side, rank >> 5, page)
    side = book_side * SIDE_WIDTH
    if s.sides[side + BEST_RANK] == rank:
        if bits == 0:
            page = best_page(s, book_side)
        if page == 0:
            s.sides[side + BEST_RANK] = NO_RANK
            s.sides[side + BEST_LEVEL] = 0
        else:
            place = lowest(s, pages[page + PAGE_BITS])
            s.sides[side + BEST_RANK] = pages[page + PAGE_NUMBER] * 32 + place
            s.sides[side + BEST_LEVEL] = page + PAGE_LEVELS + place * LEVEL_WIDTH


def close_page(s: State, book_side: i64, number: i64, page: i64) -> None:
    """Free an empty page and take it out of the tree, up to the first node that keeps other pages."""
    delete(s.page_index, book_side, number)
    place = near(book_side, number)
    if s.sides[place + NEAR_PAGE] == number + 1:
        s.sides[place + NEAR_PAGE] = 0
        s.sides[place + NEAR_ROW] = 0
    s.pages[page + PAGE_SIDE] = 0
    s.pages[page + PAGE_NUMBER] = 0
    s.pages[page + PAGE_NEXT_FREE] = s.counters[PAGE_FREE]
    s.counters[PAGE_FREE] = page
    s.counters[PAGES] -= 1
    depth: i64 = 1
    while depth <= TREE_DEPTH:
        key = node_key(book_side, depth)
        bits = get(s.nodes, key, number >> 5) & ~s.bit[number & 31]
        if bits != 0:
            put(s.nodes, key, number >> 5, bits)
            break
        delete(s.nodes, key, number >> 5)
        number >>= 5
        depth += 1


def best_page(s: State, book_side: i64) -> i64:
    """Row of the page with the best level, 0 when the side is empty: down the tree along the lowest bits."""
    number: i64 = 0
    depth: i64 = TREE_DEPTH
    while depth >= 1:
        bits = get(s.nodes, node_key(book_side, depth), number)
        if bits == 0:
            assert depth == TREE_DEPTH, "a node above another knows that it is there"
            return 0
        number = number * 32 + lowest(s, bits)
        depth -= 1
    return get(s.page_index, book_side, number)


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


def level_at(s: State, book_side: i64, rank: i64) -> i64:
    """Row of a level that has orders."""
    page = get(s.page_index, book_side, rank >> 5)
    assert page != 0, "a level with orders has a page"
    return page + PAGE_LEVELS + (rank & 31) * LEVEL_WIDTH


def higher(s: State, bits: i64, place: i64) -> i64:
    """The bits above *place*."""
    return bits & ~(s.bit[place] * 2 - 1)
