"""Who falls behind begins anew and says so; whoever resumes gets what he has not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from adapters import example
from adapters.doors.house import House, Listed
from adapters.doors.ws.happenings import User
from adapters.doors.ws.hub import Hub
from adapters.doors.ws.outbox import AT_ONCE
from adapters.doors.ws.packed import Form, Packed
from adapters.doors.ws.topics import Topic
from adapters.reads.feed import Feed
from commands.codec import to_row
from commands.messages import NewOrder
from commands.ports import RowBytes
from commands.writer import Writer
from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from projections.embedded import FOLDS
from projections.layouts import INSTRUMENT
from tests.doors.sockets import Message, run
from tests.waiting import PATIENCE_S, eventually


class Market:
    """A partition and its feed, without doors."""

    def __init__(self) -> None:
        log = MemoryLog()
        self.feed: Feed
        self.writer = Writer(log, MemorySnapshots(), 1, on_commit=self._committed)
        self.writer.submit(b"".join(map(to_row, example.commands()))).result()
        self.feed = Feed(1, log, FOLDS)

    def _committed(self, block: Block, rows: RowBytes, _took_s: float) -> None:
        if hasattr(self, "feed"):
            self.feed.offer(block, rows)

    def buy(self, price_ticks: int) -> int:
        """An order that rests, and its block, which the feed has."""
        row = to_row(NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=price_ticks))
        seq = self.writer.submit(row).result().block_seq
        self.reach(seq)
        return seq

    def reach(self, seq: int) -> None:
        eventually(lambda: self.feed.seq >= seq)


class Seen:
    """A subscriber that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def push(self, _topic: Topic, packed: Packed) -> None:
        self.messages.append(msgspec.json.decode(packed.frame(Form()).payload))


@pytest.fixture
def market() -> Iterator[Market]:
    made = Market()
    made.reach(1)
    with closing(made.writer), closing(made.feed):
        yield made


def nobody() -> House:
    """Topics of instruments ask it nothing."""
    return House.__new__(House)


async def turn(hub: Hub, seq: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while hub.seq(1) < seq or not hub.outbox.when_empty(lambda: None):  # noqa: ASYNC110 # neither has an event
            await asyncio.sleep(0.002)


def test_several_blocks_at_once_are_one_message_of_state_and_all_of_what_happened(market: Market) -> None:
    async def given() -> None:
        hub, seen = Hub(nobody(), [market.feed]), Seen()
        for channel in ("level2", "level3"):
            hub.of_instrument(channel, "ACME", "").subscribers[seen] = None
        last = [market.buy(100 + place) for place in range(5)][-1]  # the loop has no turn meanwhile
        await turn(hub, last)
        told = [(message["channel"], message["seq"]) for message in seen.messages]
        assert told == [("level2", last), *(("level3", seq) for seq in range(last - 4, last + 1))]
        assert len(seen.messages[0]["bids"]) == 5
        hub.close()

    run(given())


def test_what_was_dropped_at_the_bound_is_said_and_state_is_shown_anew(market: Market) -> None:
    async def given() -> None:
        hub, seen = Hub(nobody(), [market.feed], max_waiting=2), Seen()
        for channel in ("level1", "level3"):
            hub.of_instrument(channel, "ACME", "").subscribers[seen] = None
        began = market.feed.seq
        last = [market.buy(100 + place) for place in range(5)][-1]
        await turn(hub, last)
        assert hub.lost > 0
        assert [(message["channel"], message["type"]) for message in seen.messages] == [
            ("level1", "snapshot"),
            ("level3", "gap"),
            ("level3", "snapshot"),
        ]
        assert seen.messages[1]["after"] == began
        assert len(seen.messages[2]["orders"]) == 5
        market.buy(200)
        await turn(hub, last + 1)
        assert [message["type"] for message in seen.messages[3:]] == ["update", "update"]
        assert {message["previous"] for message in seen.messages[3:]} == {last}
        hub.close()

    run(given())


def test_who_comes_back_gets_what_he_has_not(market: Market) -> None:
    async def given() -> None:
        hub = Hub(nobody(), [market.feed])
        topic = hub.of_instrument("level3", "ACME", "")
        sent = [market.buy(100 + place) for place in range(5)]
        await turn(hub, sent[-1])
        for place, after in enumerate(sent):
            missed = topic.since(after)
            assert missed is not None
            assert [packed.message.seq for packed in missed] == sent[place + 1 :]  # type: ignore[attr-defined]
        assert topic.since(sent[-1] + 1) is None
        assert topic.since(0) is None
        hub.close()

    run(given())


def test_a_message_is_made_once_for_all(market: Market) -> None:
    async def given() -> None:
        hub = Hub(nobody(), [market.feed])
        got: list[Packed] = []

        class Many:
            def push(self, _topic: Topic, packed: Packed) -> None:
                got.append(packed)

        topic = hub.of_instrument("level1", "ACME", "")
        topic.subscribers.update({Many(): None for _ in range(3)})
        await turn(hub, market.buy(100))
        assert len(got) == 3
        assert len({id(packed) for packed in got}) == 1
        assert topic.snapshot() is topic.snapshot()
        hub.close()

    run(given())


def test_many_subscribers_are_served_in_turns_in_order_and_new_ones_are_not_told_twice(market: Market) -> None:
    async def given() -> None:
        hub = Hub(nobody(), [market.feed])
        topic = hub.of_instrument("level1", "ACME", "")
        many = [Seen() for _ in range(3 * AT_ONCE)]
        topic.subscribers.update(dict.fromkeys(many))
        sent = [market.buy(100)]
        while not many[0].messages:  # noqa: ASYNC110 # turns of the loop are what is counted
            await asyncio.sleep(0)
        assert not many[-1].messages, "the loop has turns between"
        del topic.subscribers[many[-1]]
        late = Seen()
        topic.subscribers[late] = None
        sent.append(market.buy(101))
        await turn(hub, sent[-1])
        assert [message["seq"] for message in many[0].messages] == [message["seq"] for message in many[-2].messages] == sent
        assert many[-1].messages == []
        assert [message["seq"] for message in late.messages] == sent[1:]
        hub.close()

    run(given())


def test_blocks_taken_together_are_one_message_of_an_account_and_who_comes_back_in_the_middle_is_told_the_rest(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway may have taken the same blocks one by one: no execution is told twice, no state is missed."""
    monkeypatch.setattr("projections.runner.GIVES_WAY", 10**6)
    monkeypatch.setattr("projections.runner.GIVES_WAY_AT_MOST_S", 0.5)
    monkeypatch.setattr(market.feed._runner, "_busy", lambda: True)
    instrument = INSTRUMENT.one(market.feed.read("instruments", "instrument:1")[0])
    topic = User(market.feed, 1, lambda _number: Listed("ACME", 1, 1, instrument), dict)
    seen = Seen()
    topic.subscribers[seen] = None
    market.feed.watch(lambda change: topic.take(change, 0))
    market.buy(100)
    sold = [NewOrder(account=2, instrument=1, side="sell", quantity_lots=1, price_ticks=100 + place) for place in range(4)]
    bought = [NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100 + place) for place in range(4)]
    seqs = [market.writer.submit(to_row(order)).result().block_seq for pair in zip(bought, sold, strict=True) for order in pair]
    eventually(lambda: seen.messages and seen.messages[-1]["seq"] >= seqs[-1])

    told = seen.messages[-1]
    assert (told["seq"], len(told["executions"]), told["previous"]) == (seqs[-1], 4, seqs[0] - 1)
    for place, after in enumerate(seqs):
        missed = topic.since(after)
        assert missed is not None
        rest = [msgspec.json.decode(packed.frame(Form()).payload) for packed in missed]
        assert [each["number"] for message in rest for each in message["executions"]] == [
            each["number"] for each in told["executions"][(place + 1) // 2 :]
        ]
        if rest:
            assert (rest[0]["previous"], rest[0]["seq"], rest[0]["orders"]) == (after, seqs[-1], told["orders"])
