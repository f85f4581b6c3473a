"""What the reference model is made of: an instrument, an account, an order and what it must hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from domain import verbs as v

PER_MILLION: Final = 10**6


@dataclass
class Instrument:
    number: int
    facts: dict[str, int]  # fields of its ListInstrument
    state: int = v.PRE_OPEN
    held_rate: int = 0  # for which its buys hold funds


@dataclass
class Account:
    number: int
    limits: dict[str, int]  # group, max_open_orders, max_quantity_lots, max_notional
    status: int = v.ACCOUNT_OPEN


@dataclass(eq=False)
class Order:
    number: int
    account: Account
    instrument: Instrument
    side: int
    price: int
    lots: int  # open
    client_order_id: int
    post_only: int
    stp: int
    expires_ns: int  # 0: never
    budget: int | None  # what is left of it; None: an order with a price
    accepted_as: int  # rises with each accepted order
    queued_as: int = 0  # rises with each entry into a queue; 0 while it is the incoming order
    exact_fees: Fraction = Fraction(0)
    paid_fees: int = 0

    def cost(self, price: int, lots: int) -> int:
        return price * lots * self.instrument.facts["quote_units"]

    def hold(self, price: int | None = None, lots: int | None = None) -> int:
        """What it must hold now (section 5), or would at another price and quantity: quote units of a buy, base units of a sell."""
        price = self.price if price is None else price
        lots = self.lots if lots is None else lots
        if self.side == v.SELL:
            return lots * self.instrument.facts["base_units"]
        if self.budget is not None:
            return self.budget if lots else 0
        cost = self.cost(price, lots)
        paid_ahead = self.paid_fees - self.exact_fees
        return cost + math.ceil(max(Fraction(0), Fraction(cost * self.instrument.held_rate, PER_MILLION) - paid_ahead))

    def fee(self, value: int, rate: int) -> int:
        """What a fill of *value* costs it: fees so far with this one, rounded up once, less what it has paid."""
        return math.ceil(self.exact_fees + Fraction(value * rate, PER_MILLION)) - self.paid_fees

    def pay_fee(self, value: int, rate: int) -> int:
        fee = self.fee(value, rate)
        self.exact_fees += Fraction(value * rate, PER_MILLION)
        self.paid_fees += fee
        return fee

    def hold_asset(self) -> int:
        return self.instrument.facts["quote_asset" if self.side == v.BUY else "base_asset"]

    def better_first(self) -> tuple[int, int]:
        return (-self.price if self.side == v.BUY else self.price, self.queued_as)

    def takes_at(self, price: int) -> bool:
        """Whether its limit reaches a resting order at *price*."""
        return self.price >= price if self.side == v.BUY else self.price <= price


def is_self(one: Order, other: Order) -> bool:
    group = one.account.limits["group"]
    return one.account is other.account or (group != 0 and group == other.account.limits["group"])
