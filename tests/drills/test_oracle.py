"""The oracle: of a record that is as it should be it says nothing; of every way in which a promise can be broken, that it was.

The records are made by the engine, and then altered as a broken system would have altered them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from random import Random

import pytest

from adapters.drill.intents import Intent, Line, Told
from adapters.drill.market import Trader, name_of, opening
from adapters.drill.oracle import Oracle, Verdict
from adapters.drill.record import Found, Head
from domain.events import EVENT_BYTES
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal

CLUSTER = "a-cluster"


@dataclass
class Case:
    """What the clients wrote down, what lies in the record, what lies in the topic."""

    lines: list[Line] = field(default_factory=list)
    record: list[Block] = field(default_factory=list)
    topic: list[Block] = field(default_factory=list)

    def judged(self) -> Verdict:
        oracle = Oracle(1)
        last = self.record[-1]
        head = Head(last.epoch, last.seq, last.hash, last.first_event + last.event_count)
        oracle.see_record([Found(*astuple(block)) for block in self.record], head)
        oracle.see_topic(((Found(*astuple(block)), headers(block)) for block in self.topic), CLUSTER)
        oracle.see_clients(self.lines)
        return oracle.verdict


def headers(block: Block) -> dict[str, bytes]:
    return {"cluster": CLUSTER.encode(), "seq": b"%d" % block.seq, "epoch": b"%d" % block.epoch, "hash": block.hash.hex().encode()}


def told(row: bytes, block: int, event: bytes) -> Told:
    kind, detail = (int.from_bytes(event[at : at + 8], "little") for at in (0, 8))
    return Told(name_of(row), 10**6 * block, block, kind & 255, detail, repeat=False)


@pytest.fixture
def case() -> Case:
    """A market that was opened, five orders in a block each, and the first of them once more: all as it should be."""
    made, state, head = Case(), Partition(1), genesis(1)
    trader = Trader(1, Random(1))
    orders = list(trader.rows(5))
    for time, rows in enumerate([opening(), *([order] for order in orders), [orders[0]]], 1):
        sent = [row[:8] + time.to_bytes(8, "little") + row[16:] for row in rows]
        events = b"".join(state.execute(row) for row in sent)
        block = seal(head, b"".join(sent), events, state.time_ns)
        head = after(block)
        made.record.append(block)
        if time <= 1 + len(orders):
            made.lines += [Intent(row) for row in rows]
            made.lines += [told(row, block.seq, event) for row, event in zip(rows, outcomes(events), strict=True)]
    made.topic = list(made.record)
    return made


def outcomes(events: bytes) -> list[bytes]:
    rows = [events[at : at + EVENT_BYTES] for at in range(0, len(events), EVENT_BYTES)]
    return [row for row in rows if row[0] < 32]


def test_nothing_is_said_of_a_record_that_is_as_it_should_be(case: Case) -> None:
    verdict = case.judged()
    assert verdict.findings == []
    assert (verdict.acknowledged, verdict.unknown, verdict.blocks) == (len(opening()) + 5, 0, 7)
    assert verdict.longest_pause_s == pytest.approx(0.001)


def lose_the_end(case: Case) -> None:
    del case.record[-2:]
    del case.topic[-2:]


def record_twice(case: Case) -> None:
    commands, events = case.record[3].rows()
    again = seal(after(case.record[-1]), commands, events, case.record[-1].time_ns)
    case.record.append(again)
    case.topic.append(again)


def fork(case: Case) -> None:
    commands, events = case.record[3].rows()
    case.record.insert(4, seal(after(case.record[2]), commands, events, case.record[3].time_ns + 1))


def flip_a_bit(case: Case) -> None:
    block = case.record[3]
    case.record[3] = replace(block, inputs=b'{"commands/1":7}')


def tell_another_outcome(case: Case) -> None:
    said = case.lines[-1]
    assert isinstance(said, Told)
    case.lines[-1] = Told(said.name, said.at_ns, said.block, said.kind, said.detail + 1, repeat=False)


def send_another_order(case: Case) -> None:
    for at, line in enumerate(case.lines):
        if isinstance(line, Intent) and line.name.session:
            case.lines[at] = Intent(line.row[:80] + bytes([line.row[80] ^ 1]) + line.row[81:])


def invent_a_command(case: Case) -> None:
    case.lines = [line for line in case.lines if not (isinstance(line, Intent) and line.name.session)]


def publish_what_is_not_recorded(case: Case) -> None:
    case.topic.append(seal(after(case.topic[-1]), *case.record[-1].rows(), case.record[-1].time_ns))


def leave_a_gap_in_the_topic(case: Case) -> None:
    del case.topic[3]


def stop_publishing(case: Case) -> None:
    del case.topic[-1]


def turn_back_time(case: Case) -> None:
    case.record[3] = replace(case.record[3], time_ns=0)


def note_what_nobody_sent(case: Case) -> None:
    from commands.codec import to_row
    from commands.messages import NoteUnreadable

    state = Partition(1)
    for block in case.record:
        state.apply(*block.rows())
    row = to_row(NoteUnreadable(topic="commands", topic_partition=1, offset=9, error="magic", size_bytes=3))
    block = seal(after(case.record[-1]), row, state.execute(row), state.time_ns)
    case.record.append(block)
    case.topic.append(block)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lose_the_end, "lost: "),
        (record_twice, "doubled: "),
        (fork, "chain: block 4"),
        (flip_a_bit, "has not the hash of its content"),
        (tell_another_outcome, "outcome: "),
        (send_another_order, "is not what was sent"),
        (invent_a_command, "is not what was sent"),
        (publish_what_is_not_recorded, "is not in the record"),
        (leave_a_gap_in_the_topic, "topic: block 4 is missing"),
        (stop_publishing, "topic: it ends with block 6, the record with block 7"),
        (turn_back_time, "time: block 4"),
        (note_what_nobody_sent, "poison: offset 9 has a note"),
    ],
)
def test_every_broken_promise_is_noticed(case: Case, breaks: Callable[[Case], None], says: str) -> None:
    breaks(case)
    findings = case.judged().findings
    assert any(says in finding for finding in findings), findings


def test_a_block_that_is_published_twice_is_no_broken_promise(case: Case) -> None:
    """A new owner sends what the topic does not have, while records of the old one may still arrive."""
    case.topic.insert(5, case.topic[3])
    assert case.judged().findings == []


def test_balances_are_what_deposits_and_trades_make_them(case: Case) -> None:
    """And whatever differs is named: account, asset, both amounts."""
    oracle = Oracle(1)
    oracle.see_record([Found(*astuple(block)) for block in case.record], None)
    right = dict(oracle.money.owned[1])
    assert oracle.money.differences(1, right) == []
    assert oracle.money.differences(1, right | {3: right[3] + 1}) == [
        f"money: account 3 has {right[3] + 1} of asset 1, its events make {right[3]}",
        f"money: {sum(right.values()) + 1} of asset 1 are there, {sum(right.values())} were brought",
    ]
