"""Every event of an order in order, and for each fill who was ahead of it."""

from __future__ import annotations

import pytest

from domain import verbs as v
from replay.explain import Queue, explain, life
from replay.travel import NotInRecord
from tests.market import buy, cancel, decode, deposit, list_instrument, mass_cancel, open_account, reduce, replace, sell, set_state
from tests.replay.records import BLOCKS, executed, recorded

OPENING = [
    list_instrument(),
    set_state(v.OPEN),
    *(open_account(account) for account in (1, 2, 3)),
    *(deposit(account, asset, 10**9) for account in (1, 2, 3) for asset in (1, 2)),
]
ACCEPTED = [event for block in BLOCKS for event in decode(block.events()) if event.name == "OrderAccepted"]


def numbers(*commands: bytes) -> list[int]:
    """The engine's numbers of the orders that the commands enter, in order."""
    log = executed([*OPENING, *commands])
    return [event.order for block in log.read(1) for event in decode(block.events()) if event.name == "OrderAccepted"]


def test_the_life_of_an_order_from_entry_to_end() -> None:
    """What it did and what was done to it, with block, event, time, role and what was left open."""
    commands = [
        sell(2, 3, 100, received_ns=1),
        buy(1, 10, 100, client_order_id=7, received_ns=2),
        reduce(1, 1, client_order_id=7, received_ns=3),
        replace(1, 9, 101, client_order_id=7, received_ns=4),
        sell(3, 4, 101, received_ns=5),
        buy(3, 1, 50, received_ns=6),
        mass_cancel(1, received_ns=7),
        buy(1, 10, 100, client_order_id=7, received_ns=8),
    ]
    order = numbers(*commands)[1]
    log = executed([*OPENING, *commands], len(OPENING) + 2, len(OPENING) + 5)
    lived = life(log, 1, order)
    assert [(entry.happened.name, entry.role, entry.command.name, entry.time_ns, entry.open_lots) for entry in lived] == [
        ("OrderAccepted", "", "NewOrder", 2, 10),
        ("TradeExecuted", "taker", "NewOrder", 2, 7),
        ("OrderRested", "", "NewOrder", 2, 7),
        ("OrderReduced", "", "ReduceOrder", 3, 6),
        ("OrderReplaced", "", "ReplaceOrder", 4, 9),
        ("OrderRested", "", "ReplaceOrder", 4, 9),
        ("TradeExecuted", "maker", "NewOrder", 5, 5),
        ("OrderRemoved", "", "MassCancel", 7, 0),
    ]
    assert [entry.seq for entry in lived] == [1, 1, 1, 2, 2, 2, 2, 3]
    events = [event for block in log.read(1) for event in decode(block.events())]
    assert [dict(events[entry.event].fields) for entry in lived] == [entry.happened.fields for entry in lived]


def test_reading_ends_where_the_order_does() -> None:
    """It lived in the first of two blocks; the second is not looked at."""
    done = list[int]()
    (order,) = numbers(sell(2, 3, 100))
    log = executed([*OPENING, sell(2, 3, 100), cancel(2, order=order), buy(1, 1, 1)], len(OPENING) + 2)
    life(log, 1, order, lambda blocks, _: done.append(blocks))
    explain(log, 1, order, lambda blocks, _: done.append(blocks))
    assert 2 not in done


def test_an_order_that_never_was_is_not_in_the_record() -> None:
    with pytest.raises(NotInRecord, match=r"never accepted an order 5; orders of it are numbered from 9007199254740992 on"):
        life(recorded(BLOCKS), 1, 5)


def test_a_fill_is_explained_by_who_was_ahead() -> None:
    """A better price and an earlier order were ahead; one of them left; the taker took the other, then this one."""
    commands = [
        sell(1, 9, 101),
        sell(1, 4, 99),
        sell(1, 5, 100, client_order_id=2),
        sell(2, 6, 100),
        cancel(1, client_order_id=2),
        buy(3, 7, 100),
    ]
    _, first, _, order, taker = numbers(*commands)
    log = executed([*OPENING, *commands])
    queues = [(entry.lived.happened.name, entry.queue) for entry in explain(log, 1, order)]
    assert queues == [
        ("OrderAccepted", None),
        ("OrderRested", Queue(order, orders_ahead=2, lots_ahead=9, lots_taken=0)),
        ("TradeExecuted", Queue(order, orders_ahead=1, lots_ahead=4, lots_taken=4)),
    ]
    met = [entry.queue for entry in explain(log, 1, taker) if entry.lived.role == "taker"]
    assert met == [Queue(first, 0, 0, 0), Queue(order, 1, 4, 4)], "a taker met the best, then the next"


def test_every_fill_of_a_long_flow_had_its_turn() -> None:
    """Price-time priority: whatever was ahead when the command came was taken by it first, and nothing else."""
    log, meetings = recorded(BLOCKS), 0
    for accepted in ACCEPTED:
        explained = explain(log, 1, accepted.order)
        assert [entry.lived for entry in explained] == life(log, 1, accepted.order)
        for entry in explained:
            if entry.lived.role:
                assert entry.queue
                assert entry.queue.lots_taken == entry.queue.lots_ahead
                meetings += 1
    assert meetings > 50
