"""Every reason to refuse a command. The order of this table is the precedence: the first rule broken is the one named."""

from __future__ import annotations

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """code in the event; name; what the event's limit and observed mean for it."""

    code: int
    name: str
    limit: str
    observed: str


MALFORMED_FIELD: Final = 1
TOO_MANY_SESSIONS: Final = 2
UNKNOWN_INSTRUMENT: Final = 3
ALREADY_LISTED: Final = 4
TOO_MANY_INSTRUMENTS: Final = 5
STATE_TRANSITION: Final = 6
UNKNOWN_ACCOUNT: Final = 7
ACCOUNT_EXISTS: Final = 8
TOO_MANY_ACCOUNTS: Final = 9
ACCOUNT_STATUS: Final = 10
ACCOUNT_NOT_EMPTY: Final = 11
TOO_MANY_WALLETS: Final = 12
UNKNOWN_ORDER: Final = 13
INSTRUMENT_STATE: Final = 14
CLIENT_ORDER_ID_IN_USE: Final = 15
CROWDED_ID: Final = 16
MARKET_WITHOUT_BOUND: Final = 17
MARKET_MUST_NOT_REST: Final = 18
BUDGET_NOT_ALLOWED: Final = 19
POST_ONLY_MUST_REST: Final = 20
EXPIRY_PASSED: Final = 21
PRICE_BAND: Final = 22
MIN_QUANTITY: Final = 23
MAX_QUANTITY: Final = 24
ACCOUNT_MAX_QUANTITY: Final = 25
MAX_NOTIONAL: Final = 26
ACCOUNT_MAX_NOTIONAL: Final = 27
ACCOUNT_OPEN_ORDERS: Final = 28
TOO_MANY_ORDERS: Final = 29
TOO_MANY_PRICE_LEVELS: Final = 30
WOULD_TAKE: Final = 31
INSUFFICIENT_FUNDS: Final = 32
FOK_UNFILLABLE: Final = 33
SUPPLY_BOUND: Final = 34
RATE_NOT_HELD: Final = 35

RULES: Final = (
    Rule(MALFORMED_FIELD, "malformed_field", "word of the row", "value of the word"),
    Rule(TOO_MANY_SESSIONS, "too_many_sessions", "highest session number", "session"),
    Rule(UNKNOWN_INSTRUMENT, "unknown_instrument", "highest instrument listed", "instrument"),
    Rule(ALREADY_LISTED, "already_listed", "state it is in", "instrument"),
    Rule(TOO_MANY_INSTRUMENTS, "too_many_instruments", "highest instrument number", "instrument"),
    Rule(STATE_TRANSITION, "state_transition", "state it is in", "state asked for"),
    Rule(UNKNOWN_ACCOUNT, "unknown_account", "highest account opened", "account"),
    Rule(ACCOUNT_EXISTS, "account_exists", "status it has", "account"),
    Rule(TOO_MANY_ACCOUNTS, "too_many_accounts", "highest account number", "account"),
    Rule(ACCOUNT_STATUS, "account_status", "status needed", "status it has"),
    Rule(ACCOUNT_NOT_EMPTY, "account_not_empty", "live orders and balances allowed (0)", "live orders, or a balance"),
    Rule(TOO_MANY_WALLETS, "too_many_wallets", "balances the partition can keep", "balances it keeps"),
    Rule(UNKNOWN_ORDER, "unknown_order", "account that asked", "order number, or client order id"),
    Rule(INSTRUMENT_STATE, "instrument_state", "state needed", "state it is in"),
    Rule(CLIENT_ORDER_ID_IN_USE, "client_order_id_in_use", "order that has it", "client order id"),
    Rule(CROWDED_ID, "crowded_id", "places looked at for a free one", "client order id, or command id: take another one"),
    Rule(MARKET_WITHOUT_BOUND, "market_without_bound", "0", "0: a market order needs a protection price, or (buy) a budget"),
    Rule(MARKET_MUST_NOT_REST, "market_must_not_rest", "IOC", "time in force"),
    Rule(BUDGET_NOT_ALLOWED, "budget_not_allowed", "0: only a market buy that is IOC has a budget", "budget"),
    Rule(POST_ONLY_MUST_REST, "post_only_must_rest", "0", "post-only on an order that cannot rest"),
    Rule(EXPIRY_PASSED, "expiry_passed", "time of the command", "expires_ns"),
    Rule(PRICE_BAND, "price_band", "nearest price allowed", "price in ticks"),
    Rule(MIN_QUANTITY, "min_quantity", "1", "quantity in lots"),
    Rule(MAX_QUANTITY, "max_quantity", "instrument's largest quantity (reduce: open lots)", "quantity in lots"),
    Rule(ACCOUNT_MAX_QUANTITY, "account_max_quantity", "account's largest quantity", "quantity in lots"),
    Rule(MAX_NOTIONAL, "max_notional", "instrument's largest notional", "notional in minor units, or budget"),
    Rule(ACCOUNT_MAX_NOTIONAL, "account_max_notional", "account's largest notional", "notional in minor units, or budget"),
    Rule(ACCOUNT_OPEN_ORDERS, "account_open_orders", "live orders it may have", "live orders it has"),
    Rule(TOO_MANY_ORDERS, "too_many_orders", "live orders the partition can keep", "live orders it keeps"),
    Rule(TOO_MANY_PRICE_LEVELS, "too_many_price_levels", "price pages the partition can keep", "price pages it keeps"),
    Rule(WOULD_TAKE, "would_take", "best opposite price in ticks", "price in ticks"),
    Rule(INSUFFICIENT_FUNDS, "insufficient_funds", "available, minor units", "needed, minor units"),
    Rule(FOK_UNFILLABLE, "fok_unfillable", "lots that could be filled", "quantity in lots"),
    Rule(SUPPLY_BOUND, "supply_bound", "largest total of one asset, minor units", "total it would become"),
    Rule(RATE_NOT_HELD, "rate_not_held", "rate for which the live buys hold funds, 10^-6", "higher of the two rates asked for"),
)
assert [rule.code for rule in RULES] == list(range(1, len(RULES) + 1)), "codes rise by one: the table is the precedence"
