"""The judge: does it see what differs between a venue's executions and our trades?"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from adapters.feed import Verdict
from adapters.judge import Execution, VenueJudge
from adapters.venue import set_up
from commands.codec import to_row
from commands.messages import Command, NewOrder
from domain.partition import Partition

MAKER, TAKER = 7, 65_536 + 7
MATCH = 901


def sell(order: int, lots: int, price: int) -> Command:
    return NewOrder(account=MAKER, instrument=7, side="sell", client_order_id=order, price_ticks=price, quantity_lots=lots)


def take(lots: int, price: int, account: int = TAKER) -> Command:
    return NewOrder(
        account=account, instrument=7, side="buy", time_in_force="IOC", client_order_id=MATCH, price_ticks=price, quantity_lots=lots
    )


OURS = [sell(11, 5, 100), sell(12, 5, 100), sell(13, 5, 101), take(12, 101)]
"""Our trades: 5 lots of 11 and 5 of 12 at 100, 2 of 13 at 101."""


def show(judge: VenueJudge, commands: Iterable[Command]) -> None:
    """Execute and let the judge see the block."""
    batch = b"".join(map(to_row, [*set_up(7, "ACME", 0), *commands]))
    judge.see(batch, Partition(1).execute(batch))


CASES = [
    ("the same", [(11, 100, 5), (12, 100, 5), (13, 101, 2)], Verdict(3, 3, 3, 0)),
    ("the same in other pieces", [(11, 100, 2), (11, 100, 3), (12, 100, 5), (13, 101, 2)], Verdict(4, 4, 4, 0)),
    ("other makers", [(12, 100, 5), (11, 100, 5), (13, 101, 2)], Verdict(3, 3, 1, 0)),
    ("another price", [(11, 99, 5), (12, 100, 5), (13, 101, 2)], Verdict(3, 2, 3, 0)),
    ("one maker for two of ours", [(11, 100, 10), (13, 101, 2)], Verdict(2, 2, 1, 0)),
    ("more than we did", [(11, 100, 5), (12, 100, 5), (13, 101, 3)], Verdict(3, 2, 2, 0)),
    ("an execution more", [(11, 100, 5), (12, 100, 5), (13, 101, 2), (14, 101, 1)], Verdict(4, 3, 3, 0)),
    ("less than we did", [(11, 100, 5), (12, 100, 5)], Verdict(2, 2, 2, 1)),
]


@pytest.mark.parametrize(("venue", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("record_first", [False, True])
def test_an_execution_is_the_same_when_all_its_lots_are(venue: list[tuple[int, int, int]], verdict: Verdict, *, record_first: bool) -> None:
    """Whichever of the two is known first: a resumed run shows the judge the record before the rest of the file, or after it."""
    judge = VenueJudge()
    executions = [Execution(*one) for one in venue]
    if record_first:
        show(judge, OURS)
        judge.expect(MATCH, executions)
    else:
        judge.expect(MATCH, executions)
        show(judge, OURS)

    assert judge.verdict() == verdict


def test_trades_that_the_venue_does_not_have_are_counted() -> None:
    """Of a resting order that should not have traded, and of an incoming one that the venue does not know."""
    crossing, unknown = VenueJudge(), VenueJudge()
    show(crossing, [sell(11, 5, 100), take(5, 100, account=MAKER)])
    show(unknown, OURS)

    assert crossing.verdict() == Verdict(0, 0, 0, other_trades=1)
    assert unknown.verdict() == Verdict(0, 0, 0, other_trades=3)


def test_an_execution_without_any_trade_is_not_the_same() -> None:
    judge = VenueJudge()
    judge.expect(MATCH, [Execution(11, 100, 5)])
    judge.miss()
    show(judge, [])

    assert judge.verdict() == Verdict(2, 0, 0, 0)


def test_a_slot_that_is_used_again_names_the_order_that_has_it_now() -> None:
    """The engine gives the slot of an order that is gone to the next one."""
    judge = VenueJudge()
    judge.expect(MATCH, [Execution(12, 100, 5)])
    show(judge, [sell(11, 5, 100), take(5, 100, account=MAKER), sell(12, 5, 100), take(5, 100)])

    assert judge.verdict() == Verdict(1, 1, 1, other_trades=1)
