"""The engine and the model side by side, given the same commands: every event and the whole state must be the same."""

from __future__ import annotations

from collections.abc import Sequence

from domain import audit, queries
from domain import verbs as v
from domain.partition import Partition
from tests.market import Event, decode, per_command, show
from tests.model.commands import Flow, resolve
from tests.model.reference import VENUE, Model

PARTITION = 7
STORY_COMMANDS = 60


class Pair:
    """Both after the opening of a flow."""

    def __init__(self, flow: Flow) -> None:
        self.engine = Partition(PARTITION)
        self.model = Model(PARTITION)
        self.accepted: list[int] = []  # order numbers, in the order of acceptance
        self.log: list[bytes] = []  # rows executed
        self.blocks: list[tuple[bytes, bytes]] = []  # (commands, events) of each batch
        for command in flow.opening:
            assert self.step(command)[0].name != "CommandRefused", show(command)

    def step(self, command: bytes) -> list[Event]:
        """Execute one command, placeholders resolved; the events, the same of both."""
        return self.batch([command])[0]

    def batch(self, commands: Sequence[bytes]) -> list[list[Event]]:
        """Execute commands in one batch of the engine and one by one in the model; the events by command."""
        rows = [resolve(command, self.model, self.accepted) for command in commands]
        self.log += rows
        self.blocks.append((b"".join(rows), self.engine.execute(b"".join(rows))))
        engine = per_command(decode(self.blocks[-1][1]))
        assert len(engine) == len(rows), "one outcome for each command"
        for row, events in zip(rows, engine, strict=True):
            self.same(row, events)
        return engine

    def same(self, row: bytes, events: list[Event]) -> None:
        number = events[0].order if events[0].name == "OrderAccepted" else None
        expected = self.model.execute(row, number)
        assert events == expected, self.story(f"{show(row)}\n  engine {events}\n  model  {expected}")
        if number is not None:
            self.accepted.append(number)

    def story(self, end: str) -> str:
        """What a reader of a failure needs: the last commands, then *end*."""
        return "\n".join([*map(show, self.log[-STORY_COMMANDS:]), end])

    def compare_states(self) -> None:
        """Everything a query shows, and the invariants of the whole state."""
        audit.check(self.engine)
        assert self.engine.time_ns == self.model.time_ns
        engine_supply = {asset: total for asset, total in queries.supply(self.engine).items() if total}
        assert engine_supply == {asset: total for asset, total in self.model.deposited.items() if total}, self.story("supply")
        assert engine_supply == self.model.supply(), self.story("money was made or lost in the model")
        for number in (VENUE, *self.model.accounts):
            balances = {asset: both for asset, both in queries.balances(self.engine, number).items() if both != (0, 0)}
            assert balances == self.model.balances(number), self.story(f"balances of account {number}")
            assert all(available >= 0 and held >= 0 for available, held in balances.values()), self.story(f"account {number}")
        for number, listed in self.model.instruments.items():
            shown = queries.instrument(self.engine, number)
            assert shown is not None and shown.state == listed.state, self.story(f"instrument {number}")
            for side, resting in zip((v.BUY, v.SELL), queries.book(self.engine, number), strict=True):
                book = [(at.order, at.account, at.price_ticks, at.quantity_lots, at.client_order_id) for at in resting]
                expected = [(o.number, o.account.number, o.price, o.lots, o.client_order_id) for o in self.model.queue(listed, side)]
                assert book == expected, self.story(f"book of instrument {number}, side {side}")
        live = {order.number for order in self.model.orders}
        for number in self.accepted[-200:]:
            assert (queries.order(self.engine, number) is not None) == (number in live), self.story(f"order {number}")
