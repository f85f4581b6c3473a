"""The views as a reader of the record would write them down by hand: one event after the other, an order table, no numpy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from domain import verbs as v
from domain.events import EVENTS
from domain.rules import MALFORMED_FIELD, TOO_MANY_SESSIONS
from projections.layouts import BAR_SECONDS, Bar, BookOrder, Level, Trade
from tests.market import Event, decode, decode_row, per_command

CODE = {kind.name: kind.code for kind in EVENTS}
KIND = {kind.name: kind for kind in EVENTS}
STEP_NS = 300 * 10**9


@dataclass
class Order:
    """An order; terms, times and sums only for its owner."""

    number: int
    account: int
    instrument: int
    side: int
    price: int
    lots: int
    terms: tuple[int, int] = (0, 0)  # type, time in force
    client_order_id: int = 0
    quantity: int = 0
    filled: int = 0
    value: int = 0
    fees: int = 0
    accepted_ns: int = 0
    changed_ns: int = 0
    ended_by: int = 0
    reason: int = 0
    queued: int = 0  # number of the event with which it came to its place in the book, 0 when it is not in it

    @property
    def in_book(self) -> bool:
        return self.queued > 0


@dataclass
class Bargain:
    """A trade as both sides see it."""

    trade: Trade
    instrument: int
    taker: tuple[int, int, int]  # account, order, fee
    maker: tuple[int, int, int]
    value: int


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
    bargains: list[Bargain] = field(default_factory=list)
    ended: list[Order] = field(default_factory=list)
    lines: list[tuple[int, ...]] = field(default_factory=list)  # account, then the fields of a Line
    states: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # of an instrument: state, since, listed
    kinds: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    assets: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    named: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)  # by account and command id: the fields of a Command
    commands: int = 0
    blocks: int = 0

    def take(self, commands: bytes, events: bytes) -> None:
        """Follow a block: its commands and their events."""
        self.blocks += 1
        rows = [commands[at : at + v.COMMAND_BYTES] for at in range(0, len(commands), v.COMMAND_BYTES)]
        for row, caused in zip(rows, per_command(decode(events)), strict=True):
            command, outcome = decode_row(row), caused[0]
            if not (outcome.name == "CommandRefused" and outcome.rule == MALFORMED_FIELD):
                self.time_ns = max(self.time_ns, command["received_ns"])
            self.commands += 1
            self.name(command, outcome)
            for happened in caused:
                self.kinds[CODE[happened.name]] += 1
                take = getattr(self, f"take_{happened.name}", None)
                if take:
                    take(happened, command, outcome)
                self.next_event += 1

    def name(self, command: dict[str, int], outcome: Event) -> None:
        """A command that its sender named, the first time that it counts."""
        refusal = outcome.name == "CommandRefused"
        if command.get("session", 1) or not command["sequence"] or outcome.name == "CommandRepeated":
            return
        if not (refusal and outcome.rule in {MALFORMED_FIELD, TOO_MANY_SESSIONS}):
            by_word = {field.word: value for field, (_, value) in zip(KIND[outcome.name].fields, outcome.fields, strict=True)}
            detail, limit, observed = (by_word.get(word, 0) for word in (1, 2, 3))
            words = (self.number, self.blocks, self.time_ns, command["verb"], CODE[outcome.name])
            key = command["account"], command["sequence"]
            self.named[key] = (*words, detail, limit if refusal else 0, observed if refusal else 0)

    def asset(self, instrument: int, side: int) -> int:
        return self.listed[instrument]["quote_asset" if side == v.BUY else "base_asset"]

    def move(self, account: int, asset: int, available: int, held: int = 0) -> None:
        self.balances[account, asset][0] += available
        self.balances[account, asset][1] += held

    def line(self, account: int, kind: str, asset: int, amount: int, fee: int = 0) -> None:
        """After the balance was changed."""
        total = sum(self.balances[account, asset])
        self.lines.append((account, self.number, self.time_ns, CODE[kind], asset, amount, fee, total))

    @property
    def number(self) -> int:
        return self.partition * 2**53 + self.next_event

    def lose(self, order: Order, lots: int, event: Event) -> None:
        """*event* takes *lots* off."""
        order.lots -= lots
        order.changed_ns = self.time_ns
        assert order.lots >= 0
        if not order.lots:
            order.ended_by, order.reason = CODE[event.name], event.reason if event.name == "OrderRemoved" else 0
            del self.orders[order.number]
            self.ended.append(order)

    def both(self, event: Event, outcome: Event) -> tuple[Order, Order]:
        """Resting and incoming order that met; of two that end the lower number is first."""
        maker, taker = self.orders[event.maker_order], self.orders[outcome.order]
        for order in sorted((maker, taker), key=lambda order: order.number):
            self.lose(order, event.quantity_lots, event)
        return maker, taker

    def take_InstrumentListed(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.listed[event.instrument] = command
        self.states[event.instrument] = v.PRE_OPEN, self.time_ns, self.time_ns

    def take_InstrumentStateChanged(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        assert self.states[event.instrument][0] == event.previous_state
        self.states[event.instrument] = event.state, self.time_ns, self.states[event.instrument][2]

    def take_FeeRatesSet(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.listed[event.instrument] |= {"maker_rate": command["maker_rate"], "taker_rate": command["taker_rate"]}

    def take_FundsDeposited(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.move(command["account"], command["asset"], command["amount"])
        assert event.available == self.balances[command["account"], command["asset"]][0]
        self.line(command["account"], event.name, command["asset"], command["amount"])
        self.assets[command["asset"]]["deposited"] += command["amount"]

    def take_FundsWithdrawn(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.move(command["account"], command["asset"], -command["amount"])
        self.line(command["account"], event.name, command["asset"], -command["amount"])
        self.assets[command["asset"]]["withdrawn"] += command["amount"]

    def take_OrderAccepted(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.orders[event.order] = Order(
            event.order,
            command["account"],
            event.instrument,
            event.side,
            event.price_ticks,
            event.quantity_lots,
            (command["order_type"], command["time_in_force"]),
            command["client_order_id"],
            event.quantity_lots,
            accepted_ns=self.time_ns,
            changed_ns=self.time_ns,
        )
        self.move(command["account"], self.asset(event.instrument, event.side), -event.held, event.held)

    def take_OrderReplaced(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.orders[event.order]
        assert (order.price, order.lots) == (event.previous_price_ticks, event.previous_lots)
        order.price, order.lots = event.price_ticks, event.quantity_lots
        order.quantity += event.quantity_lots - event.previous_lots
        order.client_order_id, order.changed_ns = command["new_client_order_id"] or order.client_order_id, self.time_ns
        if not event.kept_priority:
            order.queued = 0
        self.move(order.account, self.asset(event.instrument, event.side), -event.held_change, event.held_change)

    def take_OrderRested(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.orders[event.order]
        assert (order.account, order.side, order.price, order.lots) == (event.account, event.side, event.price_ticks, event.quantity_lots)
        order.queued = self.number

    def take_OrderCancelled(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        order = self.orders[event.order]
        self.lose(order, event.quantity_lots, event)
        self.move(order.account, self.asset(event.instrument, event.side), event.released, -event.released)

    take_OrderRemoved = take_OrderCancelled

    def take_OrderReduced(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        self.orders[event.order].quantity -= event.quantity_lots
        self.take_OrderCancelled(event, command, outcome)

    def take_SelfTradePrevented(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        maker, taker = self.both(event, outcome)
        self.move(taker.account, self.asset(event.instrument, taker.side), event.taker_released, -event.taker_released)
        self.move(maker.account, self.asset(event.instrument, maker.side), event.maker_released, -event.maker_released)

    def take_TradeExecuted(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        facts, price, lots = self.listed[event.instrument], event.price_ticks, event.quantity_lots
        maker, taker = self.both(event, outcome)
        assert maker.in_book and maker.price == price
        buyer, seller = (taker, maker) if event.side == v.BUY else (maker, taker)
        fee = {id(taker): event.taker_fee, id(maker): event.maker_fee}
        value, stock = price * lots * facts["quote_units"], lots * facts["base_units"]
        base, quote = facts["base_asset"], facts["quote_asset"]
        self.move(buyer.account, quote, event.buyer_released - value - fee[id(buyer)], -event.buyer_released)
        self.line(buyer.account, event.name, quote, -value, fee[id(buyer)])
        self.move(buyer.account, base, stock)
        self.line(buyer.account, event.name, base, stock)
        self.move(seller.account, base, 0, -stock)
        self.line(seller.account, event.name, base, -stock)
        self.move(seller.account, quote, value - fee[id(seller)])
        self.line(seller.account, event.name, quote, value, fee[id(seller)])
        self.move(0, quote, event.taker_fee + event.maker_fee)
        if event.taker_fee + event.maker_fee:
            self.line(0, event.name, quote, event.taker_fee + event.maker_fee)
        self.assets[quote]["traded"] += value
        self.assets[quote]["fees"] += event.taker_fee + event.maker_fee
        for order, paid in ((maker, event.maker_fee), (taker, event.taker_fee)):
            order.filled, order.value, order.fees = order.filled + lots, order.value + value, order.fees + paid
        trade = Trade(self.number, self.time_ns, price, lots, event.side)
        self.trades[event.instrument].append(trade)
        of_taker, of_maker = (taker.account, taker.number, event.taker_fee), (maker.account, maker.number, event.maker_fee)
        self.bargains.append(Bargain(trade, event.instrument, of_taker, of_maker, value))
        for seconds in BAR_SECONDS:
            start_ns = self.time_ns // (seconds * 10**9) * seconds * 10**9
            self.bars[seconds, event.instrument, start_ns] = self.bar(
                event.instrument, [b for b in self.bargains if start_ns <= b.trade.time_ns], start_ns
            )

    def bar(self, instrument: int, bargains: list[Bargain], start_ns: int) -> Bar:
        """Of those *bargains* that are of *instrument*."""
        mine = [bargain for bargain in bargains if bargain.instrument == instrument]
        prices = [bargain.trade.price_ticks for bargain in mine]
        lots = [bargain.trade.quantity_lots for bargain in mine]
        vwap_ticks_e6 = 10**6 * sum(price * each for price, each in zip(prices, lots, strict=True)) // sum(lots)
        ends = prices[0], max(prices), min(prices), prices[-1]
        return Bar(start_ns, *ends, len(mine), vwap_ticks_e6, sum(lots), sum(bargain.value for bargain in mine))

    def last_day(self, instrument: int) -> Bar | None:
        """The running step of five minutes and the 287 before it."""
        oldest_ns = (self.time_ns // STEP_NS - 287) * STEP_NS
        bargains = [b for b in self.bargains if b.instrument == instrument and b.trade.time_ns >= oldest_ns]
        return self.bar(instrument, bargains, bargains[0].trade.time_ns // STEP_NS * STEP_NS) if bargains else None

    def queue(self, instrument: int, side: int) -> list[BookOrder]:
        """The live orders of a side in the order in which they would trade."""
        orders = [order for order in self.orders.values() if order.in_book and (order.instrument, order.side) == (instrument, side)]
        orders.sort(key=lambda order: (-order.price if side == v.BUY else order.price, order.queued))
        return [BookOrder(order.number, order.price, order.lots) for order in orders]

    def levels(self, instrument: int, side: int) -> list[Level]:
        """Lots and number of the live orders at each price, best first."""
        lots: dict[int, list[int]] = defaultdict(list)
        for order in self.queue(instrument, side):
            lots[order.price_ticks].append(order.quantity_lots)
        return [Level(price, sum(each), len(each)) for price, each in lots.items()]
