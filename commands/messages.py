"""The commands as typed objects, one per verb: what people, doors and tests write instead of rows.

Names, order and meaning of the fields are those of domain/verbs.py (tests/commands/test_messages.py holds both
together); the enumerations are spelled out, and 0 or the first spelling is "none given" wherever a field has a default.
The classes check the types of what comes from outside (JSON: `msgspec.json.decode(text, type=Command)`); whether the
values make sense is for the domain to say, as an event.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["GTC", "IOC", "FOK", "DAY", "GTD"]
PostOnly = Literal["off", "refuse", "slide"]
SelfTrade = Literal["allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"]
SideScope = Literal["any", "buys", "sells"]
InstrumentState = Literal["pre_open", "open", "halted", "closed"]
AccountStatus = Literal["open", "restricted", "closed"]
Unreadable = Literal["length", "magic", "version", "flags", "row_count", "checksum", "malformed_rows"]


class Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb", tag=True):
    """What every command carries. received_ns 0: the writer stamps the time at which it takes the command."""

    received_ns: int = 0
    session: int = 0
    sequence: int = 0
    account: int = 0


class ListInstrument(Common, frozen=True, kw_only=True):
    """A new instrument, in pre-open. Sizes in 10^-9 of an asset, rates in 10^-6 of the notional."""

    instrument: int
    symbol: str
    base_asset: int
    quote_asset: int
    base_scale: int = 0
    quote_scale: int = 0
    tick_size_e9: int
    lot_size_e9: int
    band_low_ticks: int
    band_high_ticks: int
    max_quantity_lots: int
    max_notional: int
    maker_rate: int = 0
    taker_rate: int = 0
    quote_units: int
    base_units: int
    day_end_ns: int = 0


class SetInstrumentState(Common, frozen=True, kw_only=True):
    """Move an instrument between trading states."""

    instrument: int
    state: InstrumentState


class SetFeeRates(Common, frozen=True, kw_only=True):
    """Other fee rates from the next fill on, in 10^-6 of the notional."""

    instrument: int
    maker_rate: int
    taker_rate: int


class OpenAccount(Common, frozen=True, kw_only=True):
    """Open the account that `account` names. A limit of 0 is the partition's or the instrument's bound."""

    group: int = 0
    max_open_orders: int = 0
    max_quantity_lots: int = 0
    max_notional: int = 0


class ChangeAccount(OpenAccount, frozen=True, kw_only=True):
    """Set an account's status, group and limits, all of them."""

    status: AccountStatus


class Deposit(Common, frozen=True, kw_only=True):
    """Bring an amount of an asset into the partition, in minor units."""

    asset: int
    amount: int


class Withdraw(Common, frozen=True, kw_only=True):
    """Take an available amount of an asset out of the partition, in minor units."""

    asset: int
    amount: int


class NewOrder(Common, frozen=True, kw_only=True):
    """Enter an order."""

    instrument: int
    side: Side
    order_type: OrderType = "limit"
    time_in_force: TimeInForce = "GTC"
    post_only: PostOnly = "off"
    stp: SelfTrade = "allow"
    client_order_id: int = 0
    price_ticks: int = 0
    quantity_lots: int
    budget: int = 0
    expires_ns: int = 0


class CancelOrder(Common, frozen=True, kw_only=True):
    """Take a live order away; it is named by either `client_order_id` or `order`."""

    client_order_id: int = 0
    order: int = 0


class ReduceOrder(Common, frozen=True, kw_only=True):
    """Take lots off a live order, which keeps its priority."""

    client_order_id: int = 0
    order: int = 0
    quantity_lots: int


class ReplaceOrder(Common, frozen=True, kw_only=True):
    """Change price, open quantity or client order id of a live order, all or nothing; 0 leaves a value as it is."""

    client_order_id: int = 0
    order: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    new_client_order_id: int = 0


class MassCancel(Common, frozen=True, kw_only=True):
    """Cancel the live orders of an account; account 0: of every account, then `instrument` must be named."""

    instrument: int = 0
    side_scope: SideScope = "any"


class TickClock(Common, frozen=True, kw_only=True):
    """Let time pass: expire the DAY and GTD orders that are due."""


class NoteUnreadable(Common, frozen=True, kw_only=True):
    """Put on record that a record of an input was no batch of commands. The reader of the input sends it, in its place."""

    topic: str
    topic_partition: int
    offset: int
    error: Unreadable
    size_bytes: int = 0


Command = (
    ListInstrument
    | SetInstrumentState
    | OpenAccount
    | ChangeAccount
    | Deposit
    | Withdraw
    | NewOrder
    | CancelOrder
    | ReduceOrder
    | ReplaceOrder
    | MassCancel
    | TickClock
    | NoteUnreadable
    | SetFeeRates
)


class Event(msgspec.Struct, frozen=True):
    """One event, readable: `index` is its number in the partition, `fields` what domain/events.py says of its kind."""

    index: int
    kind: str
    fields: dict[str, int | str]
