"""The views as a reader of the record would write them down by hand: one event after the other, an order table, no numpy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from domain import verbs as v
from domain.rules import MALFORMED_FIELD
from projections.packed import BAR_SECONDS, Bar, Level, Trade
from tests.market import Event, decode, decode_row, per_command


@dataclass
class Order:
    """A live order."""

    account: int
    instrument: int
    side: int
    price: int
    lots: int
    in_book: bool = False


@dataclass
class Naive:
    """Everything the folds show, of one partition."""

    partition: int
    time_ns: int = 0
    next_event: int = 0
    listed: dict[int, dict[str, int]] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    balances: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    trades: dict[int, list[Trade]] = field(default_factory=lambda: defaultdict(list))
    bars: dict[tuple[int, int, int], Bar] = field(default_factory=dict)  # by seconds, instrument, start

    def take(self, commands: bytes, events: bytes) -> None:
        """Follow a batch and its events."""
        rows = [commands[at : at + v.COMMAND_BYTES] for at in range(0, len(commands), v.COMMAND_BYTES)]
        for row, caused in zip(rows, per_command(decode(events)), strict=True):
            command, outcome = decode_row(row), caused[0]
            if not (outcome.name == "CommandRefused" and outcome.rule == MALFORMED_FIELD):
                self.time_ns = max(self.time_ns, command["received_ns"])
            for happened in caused:
                take = getattr(self, f"take_{happened.name}", None)
                if take:
                    take(happened, command, outcome)
                self.next_event += 1

    def asset(self, instrument: int, side: int) -> int:
        return self.listed[instrument]["quote_asset" if side == v.BUY else "base_asset"]

    def move(self, account: int, asset: int, available: int, held: int = 0) -> None:
        self.balances[account, asset][0] += available
        self.balances[account, asset][1] += held

    def lose(self, number: int, lots: int) -> Order:
        order = self.orders[number]
        order.lots -= lots
        assert order.lots >= 0
        if not order.lots:
            del self.orders[number]
        return order

    def take_InstrumentListed(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.listed[event.instrument] = command

    def take_FundsDeposited(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.move(command["account"], command["asset"], command["amount"])
        assert event.available == self.balances[command["account"], command["asset"]][0]

    def take_FundsWithdrawn(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.move(command["account"], command["asset"], -command["amount"])

    def take_OrderAccepted(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.orders[event.order] = Order(command["account"], event.instrument, event.side, event.price_ticks, event.quantity_lots)
        self.move(command["account"], self.asset(event.instrument, event.side), -event.held, event.held)

    def take_OrderReplaced(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.orders[event.order]
        assert (order.price, order.lots) == (event.previous_price_ticks, event.previous_lots)
        order.price, order.lots, order.in_book = event.price_ticks, event.quantity_lots, bool(event.kept_priority)
        self.move(order.account, self.asset(event.instrument, event.side), -event.held_change, event.held_change)

    def take_OrderRested(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.orders[event.order]
        assert (order.account, order.side, order.price, order.lots) == (event.account, event.side, event.price_ticks, event.quantity_lots)
        order.in_book = True

    def take_OrderCancelled(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.lose(event.order, event.quantity_lots)
        self.move(order.account, self.asset(event.instrument, event.side), event.released, -event.released)

    take_OrderReduced = take_OrderRemoved = take_OrderCancelled

    def take_SelfTradePrevented(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        maker, taker = self.lose(event.maker_order, event.quantity_lots), self.lose(outcome.order, event.quantity_lots)
        self.move(taker.account, self.asset(event.instrument, taker.side), event.taker_released, -event.taker_released)
        self.move(maker.account, self.asset(event.instrument, maker.side), event.maker_released, -event.maker_released)

    def take_TradeExecuted(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        facts, price, lots = self.listed[event.instrument], event.price_ticks, event.quantity_lots
        maker, taker = self.lose(event.maker_order, lots), self.lose(outcome.order, lots)
        assert maker.in_book and maker.price == price
        buyer, seller = (taker, maker) if event.side == v.BUY else (maker, taker)
        fee = {id(taker): event.taker_fee, id(maker): event.maker_fee}
        value, stock = price * lots * facts["quote_units"], lots * facts["base_units"]
        self.move(buyer.account, facts["quote_asset"], event.buyer_released - value - fee[id(buyer)], -event.buyer_released)
        self.move(buyer.account, facts["base_asset"], stock)
        self.move(seller.account, facts["base_asset"], 0, -stock)
        self.move(seller.account, facts["quote_asset"], value - fee[id(seller)])
        self.move(0, facts["quote_asset"], event.taker_fee + event.maker_fee)
        self.trades[event.instrument].append(Trade(self.partition * 2**53 + self.next_event, self.time_ns, price, lots, event.side))
        for seconds in BAR_SECONDS:
            key = seconds, event.instrument, self.time_ns // (seconds * 10**9) * seconds * 10**9
            old = self.bars.get(key, Bar(key[2], price, price, price, price, 0, 0, 0))
            high, low = max(old.high_ticks, price), min(old.low_ticks, price)
            self.bars[key] = Bar(key[2], old.open_ticks, high, low, price, old.trades + 1, old.volume_lots + lots, old.turnover + value)

    def levels(self, instrument: int, side: int) -> list[Level]:
        """Lots of the live orders at each price, best first."""
        lots: dict[int, int] = defaultdict(int)
        for order in self.orders.values():
            if order.in_book and (order.instrument, order.side) == (instrument, side):
                lots[order.price] += order.lots
        return [Level(price, lots[price]) for price in sorted(lots, reverse=side == v.BUY)]
