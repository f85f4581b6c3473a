"""What can be asked: every command as a row of 16 little-endian int64 words (128 bytes). Schema version 3.

Accounts, instruments and assets are numbered from 1; 0 means none, any, or (account 0) the venue itself.
A word or bit that a verb does not name must be zero: later versions will give it a meaning.
"""

from __future__ import annotations

from typing import Final

from domain.fields import Field, RowType, checked, whole

COMMAND_WORDS: Final = 16
COMMAND_BYTES: Final = 128
SCHEMA_VERSION: Final = 3

VERB: Final = 0
RECEIVED_NS: Final = 1
SESSION: Final = 2
SEQUENCE: Final = 3
ACCOUNT: Final = 4
INSTRUMENT: Final = 5
TERMS: Final = 6
CLIENT_ORDER_ID: Final = 7
ORDER: Final = 8
PRICE_TICKS: Final = 9
QUANTITY_LOTS: Final = 10
AMOUNT: Final = 11
EXPIRES_NS: Final = 12
NEW_CLIENT_ORDER_ID: Final = 13

LIST_INSTRUMENT: Final = 1
SET_INSTRUMENT_STATE: Final = 2
OPEN_ACCOUNT: Final = 3
CHANGE_ACCOUNT: Final = 4
DEPOSIT: Final = 5
WITHDRAW: Final = 6
NEW_ORDER: Final = 7
CANCEL_ORDER: Final = 8
REDUCE_ORDER: Final = 9
REPLACE_ORDER: Final = 10
MASS_CANCEL: Final = 11
TICK_CLOCK: Final = 12
NOTE_UNREADABLE: Final = 13
SET_FEE_RATES: Final = 14

BUY: Final = 0
SELL: Final = 1

LIMIT: Final = 0
MARKET: Final = 1

GTC: Final = 0
IOC: Final = 1
FOK: Final = 2
DAY: Final = 3
GTD: Final = 4

POST_ONLY_OFF: Final = 0
POST_ONLY_REFUSE: Final = 1
POST_ONLY_SLIDE: Final = 2

STP_ALLOW: Final = 0
STP_CANCEL_NEWEST: Final = 1
STP_CANCEL_OLDEST: Final = 2
STP_CANCEL_BOTH: Final = 3
STP_DECREMENT: Final = 4

ANY_SIDE: Final = 0
ONLY_BUYS: Final = 1
ONLY_SELLS: Final = 2

PRE_OPEN: Final = 1
OPEN: Final = 2
HALTED: Final = 3
CLOSED: Final = 4

ACCOUNT_OPEN: Final = 1
ACCOUNT_RESTRICTED: Final = 2
ACCOUNT_CLOSED: Final = 3

SIDES: Final = ("buy", "sell")
ORDER_TYPES: Final = ("limit", "market")
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK", "DAY", "GTD")
POST_ONLY_MODES: Final = ("off", "refuse", "slide")
STP_MODES: Final = ("allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement")
SIDE_SCOPES: Final = ("any", "buys", "sells")
INSTRUMENT_STATES: Final = ("unlisted", "pre_open", "open", "halted", "closed")
ACCOUNT_STATUSES: Final = ("none", "open", "restricted", "closed")
UNREADABLE: Final = ("", "length", "magic", "version", "flags", "row_count", "checksum", "malformed_rows")
"""What can be wrong with a record of an input, by the code in NoteUnreadable."""
TEXTS: Final = ("symbol", "topic")
"""Fields of 1 to 8 ASCII characters, the first in the lowest byte, zero padded."""

COMMON: Final = (
    whole("received_ns", RECEIVED_NS, "nanosecond of UTC at which the door received the command"),
    whole("session", SESSION, "binary or FIX session whose sequence rises; 0: none"),
    whole("sequence", SEQUENCE, "rising number in the session; with session 0 the client's command id, 0: no dedupe"),
    whole("account", ACCOUNT, "whose command it is; 0: the venue's own"),
)
_INSTRUMENT: Final = whole("instrument", INSTRUMENT, "number of the instrument, from 1")
_CLIENT_ORDER_ID: Final = whole("client_order_id", CLIENT_ORDER_ID, "client's own order id, unique among its live orders; 0: none")
_TARGET: Final = (
    whole("client_order_id", CLIENT_ORDER_ID, "names the order by the client's own id; 0 when order names it"),
    whole("order", ORDER, "names the order by the engine's number; 0 when client_order_id names it"),
)
_RATES: Final = (
    Field("maker_rate", 13, 0, 20, "maker's fee in basis points x 100 (10^-6 of the notional)"),
    Field("taker_rate", 13, 20, 20, "taker's fee in basis points x 100 (10^-6 of the notional)"),
)
_PRICE: Final = whole("price_ticks", PRICE_TICKS, "limit (or protection) price in ticks; 0: none given")
_QUANTITY: Final = whole("quantity_lots", QUANTITY_LOTS, "quantity in lots")
_LIMITS: Final = (
    whole("group", INSTRUMENT, "accounts of one non-zero group count as self for self-trade prevention"),
    whole("max_open_orders", CLIENT_ORDER_ID, "live orders the account may have; 0: the partition's bound"),
    whole("max_quantity_lots", QUANTITY_LOTS, "largest quantity of one order in lots; 0: the instrument's bound"),
    whole("max_notional", AMOUNT, "largest notional of one order in minor units; 0: the instrument's bound"),
)
_FUNDS: Final = (
    whole("asset", INSTRUMENT, "number of the asset, from 1"),
    whole("amount", AMOUNT, "amount in minor units of the asset, above 0"),
)

_UNREADABLE_RECORD: Final = (
    whole("topic", TERMS, "where it stands: the first 8 ASCII characters of the topic, packed like a symbol"),
    whole("topic_partition", INSTRUMENT, "partition of the topic"),
    whole("offset", AMOUNT, "offset of the record in it"),
    whole("error", ORDER, "what was wrong: verbs.UNREADABLE"),
    whole("size_bytes", QUANTITY_LOTS, "size of the record"),
)

VERBS: Final = (
    RowType(
        LIST_INSTRUMENT,
        "ListInstrument",
        COMMON
        + (
            _INSTRUMENT,
            whole("symbol", 6, "1 to 8 ASCII characters, first character in the lowest byte, zero padded"),
            Field("base_asset", 7, 0, 16, "asset that is traded"),
            Field("quote_asset", 7, 16, 16, "asset that pays"),
            Field("base_scale", 7, 32, 8, "decimal digits of one base unit: minor units are 10^-scale"),
            Field("quote_scale", 7, 40, 8, "decimal digits of one quote unit: minor units are 10^-scale"),
            whole("tick_size_e9", 8, "one tick, in 10^-9 of the quote asset (for doors and reports)"),
            whole("lot_size_e9", 9, "one lot, in 10^-9 of the base asset (for doors and reports)"),
            Field("band_low_ticks", 10, 0, 31, "lowest price an order may have"),
            Field("band_high_ticks", 10, 31, 31, "highest price an order may have"),
            whole("max_quantity_lots", 11, "largest quantity of one order"),
            whole("max_notional", 12, "largest price x quantity of one order, in quote minor units"),
            *_RATES,
            Field("quote_units", 14, 0, 31, "quote minor units that one lot costs at a price of one tick"),
            Field("base_units", 14, 31, 31, "base minor units in one lot"),
            whole("day_end_ns", 15, "when DAY orders expire: nanoseconds after midnight UTC"),
        ),
        1,
        "a new instrument, in pre-open",
    ),
    RowType(
        SET_INSTRUMENT_STATE,
        "SetInstrumentState",
        COMMON + (_INSTRUMENT, Field("state", TERMS, 0, 3, "1 pre-open, 2 open, 3 halted, 4 closed")),
        1,
        "move an instrument between trading states",
    ),
    RowType(OPEN_ACCOUNT, "OpenAccount", COMMON + _LIMITS, 1, "open the account that the word account names"),
    RowType(
        CHANGE_ACCOUNT,
        "ChangeAccount",
        COMMON + _LIMITS + (Field("status", TERMS, 0, 3, "1 open, 2 restricted (cancels only), 3 closed for ever"),),
        1,
        "set an account's status, group and limits, all of them",
    ),
    RowType(DEPOSIT, "Deposit", COMMON + _FUNDS, 1, "bring an amount of an asset into the partition"),
    RowType(WITHDRAW, "Withdraw", COMMON + _FUNDS, 1, "take an available amount of an asset out of the partition"),
    RowType(
        NEW_ORDER,
        "NewOrder",
        COMMON
        + (
            _INSTRUMENT,
            Field("side", TERMS, 0, 1, "0 buy, 1 sell"),
            Field("order_type", TERMS, 1, 1, "0 limit, 1 market"),
            Field("time_in_force", TERMS, 2, 3, "0 GTC, 1 IOC, 2 FOK, 3 DAY, 4 GTD"),
            Field("post_only", TERMS, 5, 2, "0 off, 1 refuse when it would take, 2 slide to the best price that rests"),
            Field("stp", TERMS, 7, 3, "self-trade: 0 allow, 1 cancel newest, 2 oldest, 3 both, 4 decrement and cancel"),
            _CLIENT_ORDER_ID,
            _PRICE,
            _QUANTITY,
            whole("budget", AMOUNT, "market buy: most it may spend, fees included, in minor units; 0: none"),
            whole("expires_ns", EXPIRES_NS, "GTD only: nanosecond of UTC from which the order is dead"),
        ),
        1,
        "enter an order",
    ),
    RowType(CANCEL_ORDER, "CancelOrder", COMMON + _TARGET, 1, "take a live order away"),
    RowType(
        REDUCE_ORDER,
        "ReduceOrder",
        COMMON + _TARGET + (whole("quantity_lots", QUANTITY_LOTS, "lots to take off; the whole rest cancels it"),),
        1,
        "take lots off a live order, which keeps its priority",
    ),
    RowType(
        REPLACE_ORDER,
        "ReplaceOrder",
        COMMON
        + _TARGET
        + (
            whole("price_ticks", PRICE_TICKS, "new price in ticks; 0: unchanged"),
            whole("quantity_lots", QUANTITY_LOTS, "new open quantity in lots; 0: unchanged"),
            whole("new_client_order_id", NEW_CLIENT_ORDER_ID, "new client order id; 0: unchanged"),
        ),
        1,
        "change price, open quantity or client order id of a live order, all or nothing",
    ),
    RowType(
        MASS_CANCEL,
        "MassCancel",
        COMMON
        + (
            whole("instrument", INSTRUMENT, "only this instrument; 0: every one"),
            Field("side_scope", TERMS, 0, 2, "0 both sides, 1 buys, 2 sells"),
        ),
        1,
        "cancel the live orders of an account (0: of every account, then instrument must be named)",
    ),
    RowType(TICK_CLOCK, "TickClock", COMMON, 1, "let time pass: expire DAY and GTD orders that are due"),
    RowType(NOTE_UNREADABLE, "NoteUnreadable", COMMON + _UNREADABLE_RECORD, 2, "a record of an input was no batch of commands"),
    RowType(SET_FEE_RATES, "SetFeeRates", COMMON + (_INSTRUMENT, *_RATES), 3, "other fee rates from the next fill on"),
)
VERB_BY_CODE: Final = checked(VERBS, COMMAND_WORDS)
