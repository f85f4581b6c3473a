"""How an account stands in a partition, asked over REST: where what happened to it is not to be had any more."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from outcry.client.errors import Problem
from outcry.client.pages import Executions, Orders, Page, pages
from outcry.client.rest import Rest
from outcry.client.retry import Again, patiently, unavailable
from outcry.client.shapes import Balance, Balances, Execution, Instrument, Order

KEPT: Final = 128
"""Executions of an account, and orders that ended, that a partition keeps."""


class Standing(NamedTuple):
    """As of block *seq*, some of it of later ones.

    orders      that are open, and the last that ended
    executions  the last, rising
    more        more orders may have ended
    """

    seq: int
    orders: list[Order]
    executions: list[Execution]
    balances: list[Balance]
    more: bool


class Begun(NamedTuple):
    """The last execution of an account in a partition, as of block *seq*. executed: its number; 0: none."""

    seq: int
    executed: int


class _Instruments(msgspec.Struct):
    instruments: list[Instrument]


async def begun(rest: Rest, account: int) -> dict[int, Begun]:
    """Of each partition. Raises ApiError."""
    partition_of = await _partitions(rest)
    found = [page async for page in pages(rest, "/executions", {"account": account}, Executions)]
    executed = dict.fromkeys((each.partition for each in found[0].as_of), 0)
    for each in (each for page in found for each in page.executions):
        partition = partition_of[each.symbol]
        executed[partition] = max(executed[partition], int(each.number))
    return {each.partition: Begun(each.seq, executed[each.partition]) for each in found[0].as_of}


async def standing(rest: Rest, account: int, partition: int, at_least: int) -> Standing:
    """As of block *at_least* of *partition* or a later one. Raises ApiError."""
    try:
        async for attempt in patiently(rest.patience_s):
            with attempt:
                return await _now(rest, account, partition, at_least)
    except Again as again:
        raise unavailable(again) from again
    raise AssertionError("the last attempt returned or raised")


async def _now(rest: Rest, account: int, partition: int, at_least: int) -> Standing:
    """Raises Again when it is of a block before *at_least*."""
    partition_of = await _partitions(rest)
    whose = {"account": account}
    opened = [page async for page in pages(rest, "/orders", {**whose, "status": "open"}, Orders)]
    ended = [page async for page in pages(rest, "/orders", {**whose, "status": "ended"}, Orders)]  # last: none is missed that ends
    executed = [page async for page in pages(rest, "/executions", whose, Executions)]
    held = await rest.get("/balances", whose, Balances)
    (there,) = (each for each in held.partitions if each.as_of.partition == partition)
    firsts: list[Page] = [opened[0], ended[0], executed[0]]
    as_of = [each.seq for page in firsts for each in page.as_of if each.partition == partition]
    gone = [each for page in ended for each in page.orders if partition_of[each.symbol] == partition]
    lives = [each for page in opened for each in page.orders if partition_of[each.symbol] == partition]
    executions = [each for page in executed for each in page.executions if partition_of[each.symbol] == partition]
    now = {each.order: each for each in (*lives, *gone)}  # one that ended in between stands in both
    seq = min(*as_of, there.as_of.seq)
    if seq < at_least:
        raise Again(Problem("behind", 0, f"the views are as of block {seq}, not {at_least}"), may_be_done=False)
    return Standing(seq, list(now.values()), executions[::-1], there.balances, len(gone) >= KEPT)


async def _partitions(rest: Rest) -> dict[str, int]:
    """By symbol."""
    return {each.symbol: each.partition for each in (await rest.get("/instruments", {}, _Instruments)).instruments}
