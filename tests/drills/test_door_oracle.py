"""The oracle of the doors: of clients that were told and shown what is so it says nothing; of every other tale, that it was one.

The record is made by the engine; what its clients wrote down is altered as a broken system would have altered it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Literal

import msgspec
import pytest

from adapters import example
from adapters.drill.asked import Answered, Asked, Execution, Line, Missing, Printed, Refused, Shown, Unheard
from adapters.drill.door_oracle import DoorOracle
from adapters.drill.market import opening
from adapters.drill.oracle import Verdict
from adapters.drill.record import Found
from commands.codec import from_row, to_row
from commands.messages import CancelOrder, Command, NewOrder
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal

SELLER, BUYER, FIRST = 1, 2, 2**53
Side = Literal["buy", "sell"]


def order(account: int, name: int, side: Side, lots: int) -> NewOrder:
    return NewOrder(account=account, sequence=name, instrument=example.ACME, side=side, price_ticks=1_000, quantity_lots=lots)


@dataclass
class Case:
    """What clients wrote down, and the record: each command in a block of its own."""

    lines: list[Line] = field(default_factory=list)
    record: list[Block] = field(default_factory=list)
    state: Partition = field(default_factory=lambda: Partition(1))

    def record_that(self, *commands: Command) -> Block:
        """One block of them."""
        head = after(self.record[-1]) if self.record else genesis(1)
        rows = b"".join(row[:8] + (head.seq + 1).to_bytes(8, "little") + row[16:] for row in map(to_row, commands))
        self.record.append(seal(head, rows, self.state.execute(rows), self.state.time_ns))
        return self.record[-1]

    def judged(self) -> Verdict:
        oracle = DoorOracle(1, Verdict())
        oracle.see_record([Found(*astuple(block)) for block in self.record])
        oracle.see_clients(self.lines)
        return oracle.verdict

    def alter(self, kind: type[Line], last: bool = True, **words: object) -> None:
        """The last line of this kind, or the first, says something else."""
        at = [number for number, line in enumerate(self.lines) if isinstance(line, kind)][-1 if last else 0]
        self.lines[at] = msgspec.structs.replace(self.lines[at], **words)


@pytest.fixture
def case() -> Case:
    """A sale that rests, a purchase that takes some of it, one that takes the rest and was not heard of at first, a refused cancel."""
    made = Case()
    made.record_that(*map(from_row, opening()))
    orders, trades = [0, 0], []
    meant: list[tuple[int, int, Side, int, int]] = [(SELLER, 1, "sell", 10, 0), (BUYER, 1, "buy", 4, 1), (BUYER, 2, "buy", 6, 1)]
    for number, (account, name, side, lots, fills) in enumerate(meant, 1):
        made.lines.append(Asked(account, name, side, 1_000, lots))
        block = made.record_that(order(account, name, side, lots))
        entered = FIRST + block.first_event
        placed = int.from_bytes(block.rows()[1][8:16], "little")
        orders[account - 1] = placed
        if (account, name) == (BUYER, 2):
            made.lines.append(Unheard(account, name, name, "cut"))
        made.lines.append(Answered(account, name, number * 10**6, 5, block.seq, entered, placed, [entered + 1] * fills, is_repeat=False))
        if fills:
            trades.append(Execution(entered + 1, 0, 1_000, lots))
            for owner in (BUYER, SELLER):
                made.lines.append(Shown(owner, block.seq, [trades[-1]._replace(order=orders[owner - 1])]))
            made.lines.append(Printed(block.seq, [trades[-1]]))
        else:
            made.lines.append(Shown(account, block.seq, []))
    made.lines.append(Asked(SELLER, 2, "cancel", order=orders[0]))
    made.record_that(CancelOrder(account=SELLER, sequence=2, order=orders[0]))
    made.lines.append(Refused(SELLER, 2, 10**7, 5, "unknown_order"))
    return made


def test_nothing_is_said_of_clients_who_were_told_what_is_so(case: Case) -> None:
    verdict = case.judged()
    assert verdict.findings == []
    assert (verdict.acknowledged, verdict.unknown) == (4, 0)
    assert verdict.longest_pause_s == pytest.approx(0.007)


def test_who_was_never_answered_is_counted(case: Case) -> None:
    case.lines.append(Asked(SELLER, 3, "sell", 1_001, 1))
    assert (case.judged().findings, case.judged().unknown) == ([], 1)


def lose_what_was_answered(case: Case) -> None:
    del case.record[-2:]


def do_twice_what_was_asked_again_under_a_new_id(case: Case) -> None:
    case.alter(Unheard, next_id=9)
    case.alter(Answered, command_id=9)
    block = case.record_that(order(BUYER, 9, "buy", 6))
    case.alter(Answered, seq=block.seq, event=FIRST + block.first_event, order=int.from_bytes(block.rows()[1][8:16], "little"), fills=[])


def record_the_same_command_twice(case: Case) -> None:
    commands, events = case.record[1].rows()
    case.record.append(seal(after(case.record[-1]), commands, events, case.record[-1].time_ns))


def answer_with_another_order(case: Case) -> None:
    case.alter(Answered, order=77)


def answer_with_another_block(case: Case) -> None:
    case.alter(Answered, seq=2)


def answer_with_trades_that_were_not(case: Case) -> None:
    case.alter(Answered, fills=[])


def answer_yes_to_what_was_refused(case: Case) -> None:
    case.lines[-1] = Answered(SELLER, 2, 10**7, 5, case.record[-1].seq, 0, 0, [], is_repeat=True)


def refuse_by_another_rule(case: Case) -> None:
    case.alter(Refused, rule="price_band")


def record_another_order(case: Case) -> None:
    case.alter(Asked, last=False, lots=11)


def show_a_trade_twice(case: Case) -> None:
    first, second = (line for line in case.lines if isinstance(line, Printed))
    case.alter(Printed, trades=[*first.trades, *second.trades])


def do_not_show_a_trade(case: Case) -> None:
    case.alter(Shown, executions=[])


def show_a_trade_that_was_not(case: Case) -> None:
    case.alter(Printed, trades=[Execution(FIRST, 0, 1_000, 6)])


def show_nothing_at_all(case: Case) -> None:
    case.lines = [line for line in case.lines if not isinstance(line, Printed)]


def show_an_earlier_block_again(case: Case) -> None:
    case.alter(Shown, seq=1)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lose_what_was_answered, "lost: "),
        (do_twice_what_was_asked_again_under_a_new_id, "doubled: What(account=2, side='buy', price_ticks=1000, lots=6)"),
        (record_the_same_command_twice, "doubled: Name("),
        (answer_with_another_order, "was told order 77"),
        (answer_with_another_block, "was told block, event and trades"),
        (answer_with_trades_that_were_not, "was told block, event and trades"),
        (answer_yes_to_what_was_refused, "was told that it is done, it was refused"),
        (refuse_by_another_rule, "was told that price_band refuses it, the record has unknown_order"),
        (record_another_order, "command: "),
        (show_a_trade_twice, "more than once"),
        (do_not_show_a_trade, "was not pushed"),
        (show_a_trade_that_was_not, "which is not so"),
        (show_nothing_at_all, "who watches the market was not pushed"),
        (show_an_earlier_block_again, "was pushed block 1 after block"),
    ],
)
def test_every_broken_promise_is_noticed(case: Case, breaks: Callable[[Case], None], says: str) -> None:
    breaks(case)
    findings = case.judged().findings
    assert any(says in finding for finding in findings), findings


def test_who_is_told_that_something_is_missing_is_owed_no_more(case: Case) -> None:
    """It is the promise of a gap: not that there is none, but that one knows."""
    do_not_show_a_trade(case)
    for account in (SELLER, BUYER):
        case.lines.append(Missing(account, 0, case.record[-1].seq))
    assert case.judged().findings == []


def test_an_answer_that_was_said_before_is_the_first_one(case: Case) -> None:
    """Then it has the block of the repetition, and no trades."""
    case.record_that(order(BUYER, 2, "buy", 6))
    case.alter(Answered, seq=case.record[-1].seq, event=1, fills=[], is_repeat=True)
    assert case.judged().findings == []
