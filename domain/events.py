"""What can happen: every event as a row of 8 little-endian int64 words (64 bytes). Schema version 3.

Every command causes at least one event. Kinds below 32 are *outcomes*: exactly one per command, always its first
event; it stands for the whole command (the block keeps the command's own row beside it). Kinds from 32 are
*consequences* and follow the outcome of the command that caused them. A trade's number is the number of its event.
Word 0 holds the kind (bits 0-7), the side (bit 8), a reason (bits 16-23) and the instrument (bits 32-51).
"""

from __future__ import annotations

from typing import Final

from domain.fields import Field, RowType, checked, whole

EVENT_WORDS: Final = 8
EVENT_BYTES: Final = 64
FIRST_CONSEQUENCE: Final = 32

COMMAND_REFUSED: Final = 1
COMMAND_REPEATED: Final = 2
INSTRUMENT_LISTED: Final = 3
INSTRUMENT_STATE_CHANGED: Final = 4
ACCOUNT_OPENED: Final = 5
ACCOUNT_CHANGED: Final = 6
FUNDS_DEPOSITED: Final = 7
FUNDS_WITHDRAWN: Final = 8
ORDER_ACCEPTED: Final = 9
ORDER_CANCELLED: Final = 10
ORDER_REDUCED: Final = 11
ORDER_REPLACED: Final = 12
ORDERS_MASS_CANCELLED: Final = 13
CLOCK_TICKED: Final = 14
RECORD_UNREADABLE: Final = 15
FEE_RATES_SET: Final = 16

TRADE_EXECUTED: Final = 32
ORDER_RESTED: Final = 33
ORDER_REMOVED: Final = 34
SELF_TRADE_PREVENTED: Final = 35

REMOVED_IOC: Final = 1
REMOVED_BUDGET: Final = 2
REMOVED_SELF_TRADE: Final = 3
REMOVED_MASS_CANCEL: Final = 4
REMOVED_EXPIRED: Final = 5
REMOVED_PRICE_LEVELS: Final = 6
REMOVAL_REASONS: Final = ("", "ioc_remainder", "budget_spent", "self_trade", "mass_cancel", "expired", "price_levels_full")

_SIDE: Final = Field("side", 0, 8, 1, "0 buy, 1 sell")
_INSTRUMENT: Final = Field("instrument", 0, 32, 20, "number of the instrument")
_ORDER: Final = whole("order", 1, "the engine's number of the order")
_ACCOUNT: Final = whole("account", 2, "owner of the order")
_PRICE: Final = whole("price_ticks", 3, "price in ticks")
_LOTS: Final = whole("quantity_lots", 4, "quantity in lots")
_RELEASED: Final = whole("released", 5, "held -> available, minor units (quote for a buy, base for a sell)")
_BALANCE: Final = (whole("available", 1, "available balance of that asset after it, minor units"),)

EVENTS: Final = (
    RowType(
        COMMAND_REFUSED,
        "CommandRefused",
        (
            whole("rule", 1, "code of the rule (domain/rules.py)"),
            whole("limit", 2, "what the rule allows"),
            whole("observed", 3, "what it saw"),
        ),
        1,
        "nothing changed; which rule, what it allows, what it saw",
    ),
    RowType(
        COMMAND_REPEATED,
        "CommandRepeated",
        (
            whole("first_kind", 1, "kind of the first outcome; 0: older than the window remembers"),
            whole("first_detail", 2, "word 1 of that outcome: its order, or its rule"),
        ),
        1,
        "this session and sequence (or command id) was seen before; nothing changed",
    ),
    RowType(INSTRUMENT_LISTED, "InstrumentListed", (_INSTRUMENT,), 1, "the instrument exists, in pre-open"),
    RowType(
        INSTRUMENT_STATE_CHANGED,
        "InstrumentStateChanged",
        (_INSTRUMENT, whole("previous_state", 1, "state it was in"), whole("state", 2, "state it is in now")),
        1,
        "the instrument moved between trading states",
    ),
    RowType(ACCOUNT_OPENED, "AccountOpened", (), 1, "the account exists and may trade"),
    RowType(ACCOUNT_CHANGED, "AccountChanged", (whole("previous_status", 1, "status before"),), 1, "status, group and limits set"),
    RowType(FUNDS_DEPOSITED, "FundsDeposited", _BALANCE, 1, "the amount is available"),
    RowType(FUNDS_WITHDRAWN, "FundsWithdrawn", _BALANCE, 1, "the amount left the partition"),
    RowType(
        ORDER_ACCEPTED,
        "OrderAccepted",
        (
            _SIDE,
            _INSTRUMENT,
            _ORDER,
            whole("held", 2, "available -> held: its worst case with fees, minor units (quote for a buy, base for a sell)"),
            whole("price_ticks", 3, "price it will trade or rest at, after a slide; protection price of a market order"),
            whole("quantity_lots", 4, "quantity in lots"),
            whole("expires_ns", 5, "nanosecond from which it is dead (DAY, GTD); 0: never"),
        ),
        1,
        "the order is live; what it met and whether it rests follows",
    ),
    RowType(
        ORDER_CANCELLED, "OrderCancelled", (_SIDE, _INSTRUMENT, _ORDER, _ACCOUNT, _PRICE, _LOTS, _RELEASED), 1, "gone, as its owner asked"
    ),
    RowType(
        ORDER_REDUCED,
        "OrderReduced",
        (_SIDE, _INSTRUMENT, _ORDER, _ACCOUNT, _PRICE, _LOTS, _RELEASED, whole("remaining_lots", 6, "lots still open; 0: gone")),
        1,
        "quantity_lots taken off, priority kept",
    ),
    RowType(
        ORDER_REPLACED,
        "OrderReplaced",
        (
            _SIDE,
            Field("kept_priority", 0, 9, 1, "1: same place in the queue; 0: left the book, entered anew"),
            _INSTRUMENT,
            _ORDER,
            whole("previous_price_ticks", 2, "price it had"),
            _PRICE,
            _LOTS,
            whole("held_change", 5, "change of what the order holds, minor units, signed"),
            whole("previous_lots", 6, "open quantity it had"),
        ),
        1,
        "price, open quantity or client order id changed; without kept priority what it met and whether it rests follows",
    ),
    RowType(
        ORDERS_MASS_CANCELLED,
        "OrdersMassCancelled",
        (whole("count", 1, "orders cancelled; each is an OrderRemoved that follows"), whole("more", 2, "1: the bound was met, ask again")),
        1,
        "the scope's live orders are gone",
    ),
    RowType(
        CLOCK_TICKED,
        "ClockTicked",
        (whole("count", 1, "orders expired; each is an OrderRemoved that follows"), whole("more", 2, "1: the bound was met, tick again")),
        1,
        "time passed",
    ),
    RowType(
        RECORD_UNREADABLE,
        "RecordUnreadable",
        (
            whole("topic", 1, "where it stands: the first 8 ASCII characters of the topic, packed like a symbol"),
            whole("topic_partition", 2, "partition of the topic"),
            whole("offset", 3, "offset of the record in it"),
            whole("error", 4, "what was wrong: verbs.UNREADABLE"),
        ),
        2,
        "a record of an input was no batch of commands; it was passed over, and this is all that is left of it",
    ),
    RowType(
        FEE_RATES_SET,
        "FeeRatesSet",
        (
            _INSTRUMENT,
            whole("maker_rate", 1, "maker's fee from now on, 10^-6 of the notional"),
            whole("taker_rate", 2, "taker's fee from now on, likewise"),
            whole("held_rate", 3, "the rate for which a buy holds funds from now on, likewise"),
        ),
        3,
        "fills cost these rates from now on",
    ),
    RowType(
        TRADE_EXECUTED,
        "TradeExecuted",
        (
            _SIDE,
            _INSTRUMENT,
            whole("maker_order", 1, "resting order"),
            whole("maker_account", 2, "owner of the resting order"),
            _PRICE,
            _LOTS,
            whole("taker_fee", 5, "fee of the incoming order, quote minor units"),
            whole("maker_fee", 6, "fee of the resting order, quote minor units"),
            whole("buyer_released", 7, "taken from the buyer's hold, quote minor units; what was not spent went back to available"),
        ),
        1,
        "incoming order (side is its side) met a resting one, at the resting price",
    ),
    RowType(
        ORDER_RESTED,
        "OrderRested",
        (_SIDE, _INSTRUMENT, _ORDER, _ACCOUNT, _PRICE, _LOTS),
        1,
        "the rest of the incoming order is in the book",
    ),
    RowType(
        ORDER_REMOVED,
        "OrderRemoved",
        (_SIDE, Field("reason", 0, 16, 8, "why: events.REMOVAL_REASONS"), _INSTRUMENT, _ORDER, _ACCOUNT, _PRICE, _LOTS, _RELEASED),
        1,
        "the order is gone without its owner asking for exactly that",
    ),
    RowType(
        SELF_TRADE_PREVENTED,
        "SelfTradePrevented",
        (
            _SIDE,
            _INSTRUMENT,
            whole("maker_order", 1, "resting order"),
            whole("maker_account", 2, "owner of the resting order"),
            _PRICE,
            _LOTS,
            whole("taker_released", 5, "held -> available of the incoming order, minor units"),
            whole("maker_released", 6, "held -> available of the resting order, minor units"),
        ),
        1,
        "both orders lost quantity_lots without a trade; one without rest is gone",
    ),
)
EVENT_BY_CODE: Final = checked(EVENTS, EVENT_WORDS)
