"""The market as plainly as it can be said: docs/rules.md in dicts, lists and fractions, O(n) everywhere.

Written from that page alone, never from the engine; tests hold the engine against it. Bounds that only a huge
partition meets (wallets, price pages, live orders of the whole partition) are left out: the engine's own tests meet them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from domain import events as e
from domain import rules as r
from domain import verbs as v
from tests.market import Event, event, refused
from tests.model.parts import Account, Instrument, Order, is_self
from tests.model.wellformed import DAY_NS, malformed_word, parse

VENUE: Final = 0
MAX_INSTRUMENT: Final = 65_535
MAX_ACCOUNT: Final = 10_485_760
MAX_SESSION: Final = 4_095
MAX_OPEN_ORDERS: Final = 65_536
SESSION_MEMORY: Final = 1_024
COMMAND_IDS_REMEMBERED: Final = 65_536
MAX_SUPPLY: Final = 2**60
MASS_CANCEL_BOUND: Final = 16_384
TICK_BOUND: Final = 4_096
MAX_INT64: Final = 2**63 - 1
NEXT_STATES: Final = {
    v.PRE_OPEN: (v.OPEN, v.HALTED, v.CLOSED),
    v.OPEN: (v.HALTED, v.CLOSED),
    v.HALTED: (v.PRE_OPEN, v.OPEN, v.CLOSED),
    v.CLOSED: (v.PRE_OPEN,),
}


class Refused(Exception):
    """Rule, limit, observed. Raised before anything has changed."""


@dataclass
class Model:
    """One partition."""

    partition: int
    time_ns: int = 0
    instruments: dict[int, Instrument] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    available: dict[tuple[int, int], int] = field(default_factory=dict)  # by (account, asset)
    deposited: dict[int, int] = field(default_factory=dict)  # deposits minus withdrawals by asset
    orders: list[Order] = field(default_factory=list)  # live, in the order of acceptance
    numbers_used: set[int] = field(default_factory=set)
    entries: int = 0  # into any queue
    session_last: dict[int, int] = field(default_factory=dict)
    session_outcomes: dict[tuple[int, int], Event] = field(default_factory=dict)
    command_outcomes: dict[tuple[int, int], Event] = field(default_factory=dict)  # oldest first
    order_number: int | None = None  # of the order accepted next; None: the model's own choice
    happened: list[Event] = field(default_factory=list)

    # --- a command, from the outside in (section 1) -----------------------------------------------------------

    def execute(self, row: bytes, order_number: int | None = None) -> list[Event]:
        """Events of one command row. *order_number*: the number that the engine chose, should the command be accepted as an order."""
        malformed = malformed_word(row)
        if malformed:
            return [refused(r.MALFORMED_FIELD, *malformed)]
        command = parse(row)
        self.time_ns = max(self.time_ns, command["received_ns"])
        if command["session"] > MAX_SESSION:
            return [refused(r.TOO_MANY_SESSIONS, MAX_SESSION, command["session"])]
        repeat = self.repeat_of(command)
        if repeat:
            return [repeat]
        self.order_number = order_number
        self.happened = []
        try:
            self.decide(command)
        except Refused as refusal:
            assert not self.happened, "refused after something happened"
            self.happened = [refused(*refusal.args)]
        self.remember(command, self.happened[0])
        return self.happened

    def repeat_of(self, command: dict[str, int]) -> Event | None:
        session, sequence = command["session"], command["sequence"]
        if session:
            last = self.session_last.get(session, 0)
            if sequence > last:
                return None
            first = self.session_outcomes.get((session, sequence)) if sequence > last - SESSION_MEMORY else None
        else:
            first = self.command_outcomes.get((command["account"], sequence))
            if sequence == 0 or first is None:
                return None
        if first is None:
            return event(e.COMMAND_REPEATED)
        return event(e.COMMAND_REPEATED, first_kind=kind_of(first), first_detail=word_1(first))

    def remember(self, command: dict[str, int], outcome: Event) -> None:
        session, sequence = command["session"], command["sequence"]
        if session:
            self.session_last[session] = sequence
            self.session_outcomes[session, sequence] = outcome
        elif sequence:
            self.command_outcomes[command["account"], sequence] = outcome
            if len(self.command_outcomes) > COMMAND_IDS_REMEMBERED:
                del self.command_outcomes[next(iter(self.command_outcomes))]

    def decide(self, command: dict[str, int]) -> None:
        verbs = {
            v.LIST_INSTRUMENT: self.list_instrument,
            v.SET_INSTRUMENT_STATE: self.set_instrument_state,
            v.SET_FEE_RATES: self.set_fee_rates,
            v.OPEN_ACCOUNT: self.open_account,
            v.CHANGE_ACCOUNT: self.change_account,
            v.DEPOSIT: self.deposit,
            v.WITHDRAW: self.withdraw,
            v.NEW_ORDER: self.new_order,
            v.CANCEL_ORDER: self.cancel_order,
            v.REDUCE_ORDER: self.reduce_order,
            v.REPLACE_ORDER: self.replace_order,
            v.MASS_CANCEL: self.mass_cancel,
            v.TICK_CLOCK: self.tick_clock,
            v.NOTE_UNREADABLE: self.note_unreadable,
        }
        verbs[command["verb"]](command)

    def emit(self, kind: int, **values: int) -> None:
        self.happened.append(event(kind, **values))

    def emit_order(self, kind: int, order: Order, **values: int) -> None:
        """An event of an order: whose it is, on which side of which book, at which price."""
        values |= {"side": order.side, "instrument": order.instrument.number, "order": order.number}
        self.emit(kind, account=order.account.number, price_ticks=order.price, **values)

    # --- instruments (section 2) --------------------------------------------------------------------------------

    def list_instrument(self, command: dict[str, int]) -> None:
        number = command["instrument"]
        if number in self.instruments:
            raise Refused(r.ALREADY_LISTED, self.instruments[number].state, number)
        if number > MAX_INSTRUMENT:
            raise Refused(r.TOO_MANY_INSTRUMENTS, MAX_INSTRUMENT, number)
        self.instruments[number] = Instrument(number, command, held_rate=max(command["maker_rate"], command["taker_rate"]))
        self.emit(e.INSTRUMENT_LISTED, instrument=number)

    def set_instrument_state(self, command: dict[str, int]) -> None:
        instrument = self.listed(command["instrument"])
        before, after = instrument.state, command["state"]
        if after not in NEXT_STATES[before]:
            raise Refused(r.STATE_TRANSITION, before, after)
        instrument.state = after
        self.emit(e.INSTRUMENT_STATE_CHANGED, instrument=instrument.number, previous_state=before, state=after)

    def set_fee_rates(self, command: dict[str, int]) -> None:
        instrument = self.listed(command["instrument"])
        rates = {name: command[name] for name in ("maker_rate", "taker_rate")}
        needed = max(rates.values())
        if any(order.side == v.BUY and order.instrument is instrument for order in self.orders):
            if needed > instrument.held_rate:
                raise Refused(r.RATE_NOT_HELD, instrument.held_rate, needed)
        else:
            instrument.held_rate = needed
        instrument.facts |= rates
        self.emit(e.FEE_RATES_SET, instrument=instrument.number, held_rate=instrument.held_rate, **rates)

    def listed(self, number: int) -> Instrument:
        if number not in self.instruments:
            raise Refused(r.UNKNOWN_INSTRUMENT, max(self.instruments, default=0), number)
        return self.instruments[number]

    # --- accounts and funds (section 3) ---------------------------------------------------------------------------

    def open_account(self, command: dict[str, int]) -> None:
        number = command["account"]
        if number in self.accounts:
            raise Refused(r.ACCOUNT_EXISTS, self.accounts[number].status, number)
        if number > MAX_ACCOUNT:
            raise Refused(r.TOO_MANY_ACCOUNTS, MAX_ACCOUNT, number)
        self.accounts[number] = Account(number, limits_of(command))
        self.emit(e.ACCOUNT_OPENED)

    def change_account(self, command: dict[str, int]) -> None:
        account = self.not_closed(command["account"])
        if command["status"] == v.ACCOUNT_CLOSED:
            self.check_empty(account)
        before = account.status
        account.status = command["status"]
        account.limits = limits_of(command)
        self.emit(e.ACCOUNT_CHANGED, previous_status=before)

    def check_empty(self, account: Account) -> None:
        live = len(self.live_orders_of(account))
        if live:
            raise Refused(r.ACCOUNT_NOT_EMPTY, 0, live)
        for (owner, _asset), amount in sorted(self.available.items()):
            if owner == account.number and amount:
                raise Refused(r.ACCOUNT_NOT_EMPTY, 0, amount)

    def deposit(self, command: dict[str, int]) -> None:
        account, asset, amount = self.not_closed(command["account"]), command["asset"], command["amount"]
        total = self.deposited.get(asset, 0) + amount
        if total > MAX_SUPPLY:
            raise Refused(r.SUPPLY_BOUND, MAX_SUPPLY, total)
        self.deposited[asset] = total
        self.credit(account.number, asset, amount)
        self.emit(e.FUNDS_DEPOSITED, available=self.available[account.number, asset])

    def withdraw(self, command: dict[str, int]) -> None:
        account, asset, amount = self.not_closed(command["account"]), command["asset"], command["amount"]
        available = self.available.get((account.number, asset), 0)
        if amount > available:
            raise Refused(r.INSUFFICIENT_FUNDS, available, amount)
        self.deposited[asset] -= amount
        self.credit(account.number, asset, -amount)
        self.emit(e.FUNDS_WITHDRAWN, available=available - amount)

    def opened(self, number: int) -> Account:
        if number not in self.accounts:
            raise Refused(r.UNKNOWN_ACCOUNT, max(self.accounts, default=0), number)
        return self.accounts[number]

    def not_closed(self, number: int) -> Account:
        account = self.opened(number)
        if account.status == v.ACCOUNT_CLOSED:
            raise Refused(r.ACCOUNT_STATUS, v.ACCOUNT_OPEN, account.status)
        return account

    def check_open(self, account: Account) -> None:
        if account.status != v.ACCOUNT_OPEN:
            raise Refused(r.ACCOUNT_STATUS, v.ACCOUNT_OPEN, account.status)

    def credit(self, account: int, asset: int, amount: int) -> None:
        """Change an available balance. What orders hold is never stored here: it is computed from the orders."""
        self.available[account, asset] = self.available.get((account, asset), 0) + amount
        assert self.available[account, asset] >= 0, "a balance became negative"

    # --- new order (section 4) ----------------------------------------------------------------------------------------

    def new_order(self, command: dict[str, int]) -> None:
        instrument = self.listed(command["instrument"])
        account = self.opened(command["account"])
        self.check_open(account)
        never_rests = command["time_in_force"] in (v.IOC, v.FOK) or command["order_type"] == v.MARKET
        self.check_tradable(instrument, never_rests=never_rests)
        self.check_client_order_id_free(account, command["client_order_id"])
        self.check_kind(command)
        expires_ns = self.expiry(command, instrument)
        has_budget = command["budget"] > 0
        price = command["price_ticks"]
        if has_budget and price == 0:
            price = instrument.facts["band_high_ticks"]
        order = Order(
            number=0,
            account=account,
            instrument=instrument,
            side=command["side"],
            price=price,
            lots=command["quantity_lots"],
            client_order_id=command["client_order_id"],
            post_only=command["post_only"],
            stp=command["stp"],
            expires_ns=expires_ns,
            budget=command["budget"] if has_budget else None,
            accepted_as=len(self.numbers_used),
        )
        self.check_size(order, order.price, order.lots)
        open_orders, allowed = len(self.live_orders_of(account)), account.limits["max_open_orders"] or MAX_OPEN_ORDERS
        if open_orders >= min(allowed, MAX_OPEN_ORDERS):
            raise Refused(r.ACCOUNT_OPEN_ORDERS, min(allowed, MAX_OPEN_ORDERS), open_orders)
        order.price = self.price_that_may_enter(order, order.price)
        self.check_notional(order, order.price, order.lots)
        available = self.available.get((account.number, order.hold_asset()), 0)
        if order.hold() > available:
            raise Refused(r.INSUFFICIENT_FUNDS, available, order.hold())
        if command["time_in_force"] == v.FOK:
            fillable = self.fillable_lots(order)
            if fillable < order.lots:
                raise Refused(r.FOK_UNFILLABLE, fillable, order.lots)

        self.accept(order)
        self.match(order)
        if order.lots and order in self.orders:
            if never_rests:
                assert command["time_in_force"] != v.FOK, "a fill-or-kill order was accepted and not filled"
                self.remove(order, e.REMOVED_IOC)
            else:
                self.rest(order)

    def check_tradable(self, instrument: Instrument, *, never_rests: bool) -> None:
        if instrument.state in (v.HALTED, v.CLOSED) or (instrument.state == v.PRE_OPEN and never_rests):
            raise Refused(r.INSTRUMENT_STATE, v.OPEN, instrument.state)

    def check_client_order_id_free(self, account: Account, client_order_id: int) -> None:
        for order in self.live_orders_of(account):
            if client_order_id and order.client_order_id == client_order_id:
                raise Refused(r.CLIENT_ORDER_ID_IN_USE, order.number, client_order_id)

    def check_kind(self, command: dict[str, int]) -> None:
        market, buy = command["order_type"] == v.MARKET, command["side"] == v.BUY
        time_in_force, budget = command["time_in_force"], command["budget"]
        if market and command["price_ticks"] == 0 and not (buy and budget):
            raise Refused(r.MARKET_WITHOUT_BOUND, 0, 0)
        if market and time_in_force not in (v.IOC, v.FOK):
            raise Refused(r.MARKET_MUST_NOT_REST, v.IOC, time_in_force)
        if budget and not (market and buy and time_in_force == v.IOC):
            raise Refused(r.BUDGET_NOT_ALLOWED, 0, budget)
        if command["post_only"] and (market or time_in_force in (v.IOC, v.FOK)):
            raise Refused(r.POST_ONLY_MUST_REST, 0, command["post_only"])

    def expiry(self, command: dict[str, int], instrument: Instrument) -> int:
        if command["time_in_force"] == v.GTD and command["expires_ns"] <= self.time_ns:
            raise Refused(r.EXPIRY_PASSED, self.time_ns, command["expires_ns"])
        if command["time_in_force"] == v.DAY:
            midnight = self.time_ns // DAY_NS * DAY_NS
            ends = [midnight + k * DAY_NS + instrument.facts["day_end_ns"] for k in (-1, 0, 1)]
            return min(end for end in ends if end > self.time_ns)
        return command["expires_ns"]

    def check_size(self, order: Order, price: int, lots: int) -> None:
        """Price band, quantity, notional: section 4 step 4."""
        facts, limits = order.instrument.facts, order.account.limits
        if price < facts["band_low_ticks"]:
            raise Refused(r.PRICE_BAND, facts["band_low_ticks"], price)
        if price > facts["band_high_ticks"]:
            raise Refused(r.PRICE_BAND, facts["band_high_ticks"], price)
        if lots < 1:
            raise Refused(r.MIN_QUANTITY, 1, lots)
        if lots > facts["max_quantity_lots"]:
            raise Refused(r.MAX_QUANTITY, facts["max_quantity_lots"], lots)
        if limits["max_quantity_lots"] and lots > limits["max_quantity_lots"]:
            raise Refused(r.ACCOUNT_MAX_QUANTITY, limits["max_quantity_lots"], lots)
        self.check_notional(order, price, lots)

    def check_notional(self, order: Order, price: int, lots: int) -> None:
        facts, limits = order.instrument.facts, order.account.limits
        notional = order.cost(price, lots) if order.budget is None else order.budget
        if notional > facts["max_notional"]:
            raise Refused(r.MAX_NOTIONAL, facts["max_notional"], min(notional, MAX_INT64))
        if limits["max_notional"] and notional > limits["max_notional"]:
            raise Refused(r.ACCOUNT_MAX_NOTIONAL, limits["max_notional"], notional)

    def price_that_may_enter(self, order: Order, price: int) -> int:
        """*price*, or after a slide another one: section 4 step 6."""
        facts = order.instrument.facts
        opposite = self.queue(order.instrument, v.SELL if order.side == v.BUY else v.BUY, without=order)
        if not opposite:
            return price
        best = opposite[0].price
        would_take = price >= best if order.side == v.BUY else price <= best
        if not would_take or (order.post_only == v.POST_ONLY_OFF and order.instrument.state == v.OPEN):
            return price
        slid = best - 1 if order.side == v.BUY else best + 1
        inside = facts["band_low_ticks"] <= slid <= facts["band_high_ticks"]
        if order.post_only != v.POST_ONLY_SLIDE or not inside:
            raise Refused(r.WOULD_TAKE, best, price)
        return slid

    def fillable_lots(self, order: Order) -> int:
        """Lots of others that a fill-or-kill order would get: section 6, last sentences."""
        left, filled = order.lots, 0
        for maker in self.queue(order.instrument, v.SELL if order.side == v.BUY else v.BUY):
            if left == 0 or not order.takes_at(maker.price):
                break
            lots = min(left, maker.lots)
            if order.stp == v.STP_ALLOW or not is_self(order, maker):
                filled += lots
                left -= lots
            elif order.stp == v.STP_DECREMENT:
                left -= lots
            elif order.stp in (v.STP_CANCEL_NEWEST, v.STP_CANCEL_BOTH):
                break
        return filled

    def accept(self, order: Order) -> None:
        order.number = self.fresh_number()
        held = order.hold()
        self.credit(order.account.number, order.hold_asset(), -held)
        self.orders.append(order)
        self.emit(
            e.ORDER_ACCEPTED,
            side=order.side,
            instrument=order.instrument.number,
            order=order.number,
            held=held,
            price_ticks=order.price,
            quantity_lots=order.lots,
            expires_ns=order.expires_ns,
        )

    def fresh_number(self) -> int:
        """The engine's number after checking it, or the model's own: generation 1 and a slot never used again."""
        number = self.order_number
        if number is None:
            number = self.partition * 2**53 + 2**24 + len(self.numbers_used)
        assert number // 2**53 == self.partition, f"order number {number} does not carry partition {self.partition}"
        assert number not in self.numbers_used, f"order number {number} was used before"
        self.numbers_used.add(number)
        return number

    # --- matching (sections 5 and 6) ------------------------------------------------------------------------------------

    def match(self, taker: Order) -> None:
        """Meet resting orders until the limit, the lots, the budget or self-trade prevention ends it."""
        while taker.lots and taker in self.orders:
            makers = self.queue(taker.instrument, v.SELL if taker.side == v.BUY else v.BUY)
            if not makers or not taker.takes_at(makers[0].price):
                return
            maker = makers[0]
            wanted = min(taker.lots, maker.lots)
            payable = self.payable_lots(taker, maker.price, wanted)
            if payable == 0:
                self.remove(taker, e.REMOVED_BUDGET)
            elif taker.stp != v.STP_ALLOW and is_self(taker, maker):
                self.prevent(taker, maker)
            else:
                self.fill(taker, maker, payable)
                if payable < wanted:
                    self.remove(taker, e.REMOVED_BUDGET)

    def payable_lots(self, taker: Order, price: int, wanted: int) -> int:
        """The most lots, up to *wanted*, that what is left of the budget can pay for, fee included."""
        if taker.budget is None:
            return wanted
        enough, too_many = 0, wanted + 1
        while too_many - enough > 1:
            lots = (enough + too_many) // 2
            value = taker.cost(price, lots)
            if value + taker.fee(value, taker.instrument.facts["taker_rate"]) <= taker.budget:
                enough = lots
            else:
                too_many = lots
        return enough

    def fill(self, taker: Order, maker: Order, lots: int) -> None:
        facts = taker.instrument.facts
        value = taker.cost(maker.price, lots)
        buyer, seller = (taker, maker) if taker.side == v.BUY else (maker, taker)
        held_before = buyer.hold()
        taker_fee = taker.pay_fee(value, facts["taker_rate"])
        maker_fee = maker.pay_fee(value, facts["maker_rate"])
        buyer_fee, seller_fee = (taker_fee, maker_fee) if taker.side == v.BUY else (maker_fee, taker_fee)
        taker.lots -= lots
        maker.lots -= lots
        if buyer.budget is not None:
            buyer.budget -= value + buyer_fee
        released = held_before - buyer.hold()
        self.credit(buyer.account.number, facts["quote_asset"], released - value - buyer_fee)
        self.credit(buyer.account.number, facts["base_asset"], lots * facts["base_units"])
        self.credit(seller.account.number, facts["quote_asset"], value - seller_fee)
        self.credit(VENUE, facts["quote_asset"], taker_fee + maker_fee)
        self.emit(
            e.TRADE_EXECUTED,
            side=taker.side,
            instrument=taker.instrument.number,
            maker_order=maker.number,
            maker_account=maker.account.number,
            price_ticks=maker.price,
            quantity_lots=lots,
            taker_fee=taker_fee,
            maker_fee=maker_fee,
            buyer_released=released,
        )
        self.forget_if_done(taker)
        self.forget_if_done(maker)

    def prevent(self, taker: Order, maker: Order) -> None:
        if taker.stp in (v.STP_CANCEL_OLDEST, v.STP_CANCEL_BOTH):
            self.remove(maker, e.REMOVED_SELF_TRADE)
        if taker.stp in (v.STP_CANCEL_NEWEST, v.STP_CANCEL_BOTH):
            self.remove(taker, e.REMOVED_SELF_TRADE)
        if taker.stp == v.STP_DECREMENT:
            lots = min(taker.lots, maker.lots)
            self.emit(
                e.SELF_TRADE_PREVENTED,
                side=taker.side,
                instrument=taker.instrument.number,
                maker_order=maker.number,
                maker_account=maker.account.number,
                price_ticks=maker.price,
                quantity_lots=lots,
                taker_released=self.take_lots_off(taker, lots),
                maker_released=self.take_lots_off(maker, lots),
            )

    def take_lots_off(self, order: Order, lots: int) -> int:
        """Open lots less; gone without rest. The amount that went back to available."""
        before = order.hold()
        order.lots -= lots
        released = before - order.hold()
        self.credit(order.account.number, order.hold_asset(), released)
        self.forget_if_done(order)
        return released

    def forget_if_done(self, order: Order) -> None:
        if order.lots == 0:
            self.orders.remove(order)

    def rest(self, order: Order) -> None:
        self.entries += 1
        order.queued_as = self.entries
        self.emit_order(e.ORDER_RESTED, order, quantity_lots=order.lots)

    def remove(self, order: Order, reason: int) -> None:
        lots = order.lots
        released = self.take_lots_off(order, lots)
        self.emit_order(e.ORDER_REMOVED, order, reason=reason, quantity_lots=lots, released=released)

    # --- cancel, reduce, replace, mass cancel (section 7), clock (section 8) -----------------------------------------------

    def cancel_order(self, command: dict[str, int]) -> None:
        order = self.named_order(command)
        lots = order.lots
        released = self.take_lots_off(order, lots)
        self.emit_order(e.ORDER_CANCELLED, order, quantity_lots=lots, released=released)

    def reduce_order(self, command: dict[str, int]) -> None:
        order, lots = self.named_order(command), command["quantity_lots"]
        if lots < 1:
            raise Refused(r.MIN_QUANTITY, 1, lots)
        if lots > order.lots:
            raise Refused(r.MAX_QUANTITY, order.lots, lots)
        released = self.take_lots_off(order, lots)
        self.emit_order(e.ORDER_REDUCED, order, quantity_lots=lots, released=released, remaining_lots=order.lots)

    def replace_order(self, command: dict[str, int]) -> None:
        order = self.named_order(command)
        client_order_id = command["new_client_order_id"]
        if client_order_id != order.client_order_id:
            self.check_client_order_id_free(order.account, client_order_id)
        old_price, old_lots = order.price, order.lots
        price, lots = command["price_ticks"] or old_price, command["quantity_lots"] or old_lots
        keeps_priority = price == old_price and lots <= old_lots
        if not keeps_priority:
            self.check_open(order.account)
            self.check_tradable(order.instrument, never_rests=False)
            self.check_size(order, price, lots)
            price = self.price_that_may_enter(order, price)
            self.check_notional(order, price, lots)
            disposable = self.available.get((order.account.number, order.hold_asset()), 0) + order.hold()
            if order.hold(price, lots) > disposable:
                raise Refused(r.INSUFFICIENT_FUNDS, disposable, order.hold(price, lots))
        held_change = order.hold(price, lots) - order.hold()
        self.credit(order.account.number, order.hold_asset(), -held_change)
        order.price, order.lots = price, lots
        order.client_order_id = client_order_id or order.client_order_id
        self.emit(
            e.ORDER_REPLACED,
            side=order.side,
            kept_priority=int(keeps_priority),
            instrument=order.instrument.number,
            order=order.number,
            previous_price_ticks=old_price,
            price_ticks=price,
            quantity_lots=lots,
            held_change=held_change,
            previous_lots=old_lots,
        )
        if not keeps_priority:
            order.queued_as = 0
            self.match(order)
            if order in self.orders:
                self.rest(order)

    def named_order(self, command: dict[str, int]) -> Order:
        account = self.not_closed(command["account"])
        for order in self.live_orders_of(account):
            by_number = command["order"] != 0 and order.number == command["order"]
            by_client = command["client_order_id"] != 0 and order.client_order_id == command["client_order_id"]
            if by_number or by_client:
                return order
        raise Refused(r.UNKNOWN_ORDER, account.number, command["order"] or command["client_order_id"])

    def mass_cancel(self, command: dict[str, int]) -> None:
        sides = {v.ANY_SIDE: (v.BUY, v.SELL), v.ONLY_BUYS: (v.BUY,), v.ONLY_SELLS: (v.SELL,)}[command["side_scope"]]
        if command["instrument"]:
            self.listed(command["instrument"])
        if command["account"]:
            account = self.not_closed(command["account"])
            scope = [order for order in reversed(self.live_orders_of(account)) if order.side in sides]
            doomed = [order for order in scope if command["instrument"] in (0, order.instrument.number)]
            more = False
        else:
            scope = [order for side in sides for order in self.queue(self.listed(command["instrument"]), side)]
            doomed, more = scope[:MASS_CANCEL_BOUND], len(scope) > MASS_CANCEL_BOUND
        self.emit(e.ORDERS_MASS_CANCELLED, count=len(doomed), more=int(more))
        for order in doomed:
            self.remove(order, e.REMOVED_MASS_CANCEL)

    def tick_clock(self, command: dict[str, int]) -> None:
        due = [order for order in self.orders if 0 < order.expires_ns <= self.time_ns]
        due.sort(key=lambda order: (order.expires_ns, order.accepted_as))
        self.emit(e.CLOCK_TICKED, count=min(len(due), TICK_BOUND), more=int(len(due) > TICK_BOUND))
        for order in due[:TICK_BOUND]:
            self.remove(order, e.REMOVED_EXPIRED)

    def note_unreadable(self, command: dict[str, int]) -> None:
        self.emit(e.RECORD_UNREADABLE, **{name: command[name] for name in ("topic", "topic_partition", "offset", "error")})

    # --- what a test may look at -----------------------------------------------------------------------------------------

    def live_orders_of(self, account: Account) -> list[Order]:
        return [order for order in self.orders if order.account is account]

    def queue(self, instrument: Instrument, side: int, without: Order | None = None) -> list[Order]:
        """Resting orders of one side, best price first, at one price first come first served."""
        resting = [order for order in self.orders if order.instrument is instrument and order.side == side and order.queued_as]
        return sorted((order for order in resting if order is not without), key=Order.better_first)

    def balances(self, account: int) -> dict[int, tuple[int, int]]:
        """(available, held) by asset, of every asset of which it has any."""
        held: dict[int, int] = {}
        for order in self.orders:
            if order.account.number == account:
                held[order.hold_asset()] = held.get(order.hold_asset(), 0) + order.hold()
        available = {asset: amount for (owner, asset), amount in self.available.items() if owner == account}
        both = {asset: (available.get(asset, 0), held.get(asset, 0)) for asset in sorted(available | held)}
        return {asset: balance for asset, balance in both.items() if balance != (0, 0)}

    def supply(self) -> dict[int, int]:
        """Available and held of all accounts and the venue, by asset."""
        totals: dict[int, int] = {}
        for account in (VENUE, *self.accounts):
            for asset, balance in self.balances(account).items():
                totals[asset] = totals.get(asset, 0) + sum(balance)
        return totals


def limits_of(command: dict[str, int]) -> dict[str, int]:
    return {name: command[name] for name in ("group", "max_open_orders", "max_quantity_lots", "max_notional")}


def kind_of(outcome: Event) -> int:
    return next(kind.code for kind in e.EVENTS if kind.name == outcome.name)


def word_1(outcome: Event) -> int:
    """Value of word 1 of the event's row, 0 when its kind has none."""
    kind = e.EVENT_BY_CODE[kind_of(outcome)]
    names = [column.name for column in kind.fields if column.word == 1]
    return getattr(outcome, names[0]) if names else 0
