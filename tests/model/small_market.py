"""A market so small that every rule fires: five poor accounts, bands of a dozen ticks, odd units and rates, tight limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from domain import verbs as v
from tests.market import change_account, deposit, list_instrument, open_account, set_state, symbol
from tests.model.commands import HOUR_NS, OWNER, RECENTLY_ACCEPTED, Flow, Template

TRADERS: Final = (1, 2, 3, 4, 5)
GUESTS: Final = (6, 7, 8, 9)  # opened and closed while the others trade
NOBODY: Final = (99, 10_485_760, 10_485_761, 2**62)
ACCOUNTS: Final = TRADERS * 20 + GUESTS + NOBODY
RATES: Final = (0, 333, 777, 100_000) * 9 + (100_001,)
INSTRUMENTS: Final = (1,) * 40 + (2,) * 30 + (3,) * 30 + (4, 65_536, 2**40)
PRICES: Final = tuple(range(95, 107)) * 12 + (94, 107, 0, 1, 2**31 - 1)
LOTS: Final = tuple(range(1, 16)) * 4 + (0, 19, 20, 21, 22, 25, 2**31 - 1)
CLIENT_ORDER_IDS: Final = (0,) * 6 + (1, 2, 3, 4, 5, 6)
TARGETS: Final = (1, 2, 3, 4, 5, 6, 6, 77)
ORDERS: Final = (*range(1, 13), *(RECENTLY_ACCEPTED + age for age in range(1, 5)), 2**53, 2**62)
POST_ONLY: Final = (0,) * 6 + (1, 2)
STP: Final = (0, 1, 2, 3, 4)
BUDGETS: Final = (1, 90, 100, 101, 350, 705, 1_111, 2_222, 5_000, 14_000, 14_001, 2**62 - 1, 2**62)
AMOUNTS: Final = (1, 2, 3, 40, 41, 500, 1_000, 3_001)
EXPIRIES: Final = (-1, 0, 1, 5, 20, 10**9, HOUR_NS, HOUR_NS)  # placeholder: nanoseconds from now
LIMITS: Final = {
    "group": (0, 1, 1, 2),
    "max_open_orders": (0,) * 8 + (1, 4, 10, 100_000),
    "max_quantity_lots": (0,) * 8 + (4, 18, 2**62),
    "max_notional": (0,) * 8 + (900, 9_000, 2**62),
}
LISTING: Final[Mapping[str, Sequence[int]]] = {
    "instrument": (1, 3, 4, 4, 5, 5, 6, 7, 65_536),
    "symbol": (symbol("X"), symbol("~2345678")) * 9 + (symbol("A B"), symbol("A\0B"), 0),
    "base_asset": (1,) * 20 + (4, 0, 65_535),
    "quote_asset": (2,) * 20 + (4, 1, 0),
    "base_scale": (0, 2, 18) * 9 + (19,),
    "quote_scale": (0, 2, 18) * 9 + (19,),
    "tick_size_e9": (1, 10**9) * 9 + (0,),
    "lot_size_e9": (1, 10**9) * 9 + (0,),
    "band_low_ticks": (1, 95) * 9 + (0,),
    "band_high_ticks": (95, 106) * 9 + (94, 2**31 - 1),
    "max_quantity_lots": (1, 20) * 9 + (0, 2**31 - 1, 2**31),
    "max_notional": (1, 14_000) * 9 + (0, 2**42, 2**42 + 1),
    "maker_rate": RATES,
    "taker_rate": RATES,
    "quote_units": (1, 7) * 9 + (0, 2**31 - 1),
    "base_units": (1, 3) * 9 + (0, 2**31 - 1),
    "day_end_ns": (0, 22 * HOUR_NS, 24 * HOUR_NS - 1) * 9 + (24 * HOUR_NS,),
}


_ORDER: Final[Mapping[str, Sequence[int]]] = {
    "account": ACCOUNTS,
    "instrument": INSTRUMENTS,
    "side": (v.BUY, v.SELL),
    "stp": STP,
    "client_order_id": CLIENT_ORDER_IDS,
    "price_ticks": PRICES,
    "quantity_lots": LOTS,
}
_BY_CLIENT: Final[Mapping[str, Sequence[int]]] = {"account": ACCOUNTS, "client_order_id": TARGETS}
_BY_NUMBER: Final[Mapping[str, Sequence[int]]] = {"account": (OWNER,) * 200 + ACCOUNTS, "order": ORDERS}
_REPLACED: Final[Mapping[str, Sequence[int]]] = {
    "price_ticks": (0,) * 80 + PRICES,
    "quantity_lots": (0,) * 30 + LOTS,
    "new_client_order_id": (0, 0, *CLIENT_ORDER_IDS),
}
TEMPLATES: Final = (
    Template(70, v.NEW_ORDER, {**_ORDER, "time_in_force": (v.GTC,), "post_only": POST_ONLY}),
    Template(6, v.NEW_ORDER, {**_ORDER, "time_in_force": (v.DAY,), "post_only": POST_ONLY}),
    Template(8, v.NEW_ORDER, {**_ORDER, "time_in_force": (v.GTD,), "post_only": POST_ONLY, "expires_ns": EXPIRIES}),
    Template(9, v.NEW_ORDER, {**_ORDER, "time_in_force": (v.IOC, v.FOK)}),
    Template(3, v.NEW_ORDER, {**_ORDER, "time_in_force": (v.IOC, v.FOK), "order_type": (v.MARKET,)}),
    Template(
        5,
        v.NEW_ORDER,
        {
            **_ORDER,
            "side": (v.BUY,),
            "time_in_force": (v.IOC,),
            "order_type": (v.MARKET,),
            "budget": BUDGETS,
            "price_ticks": (0, 0, *PRICES),
        },
    ),
    Template(
        4,
        v.NEW_ORDER,
        {
            **_ORDER,
            "time_in_force": (v.GTC, v.IOC, v.FOK, v.DAY),
            "order_type": (v.LIMIT, v.MARKET),
            "post_only": (0, 0, 1, 2),
            "budget": (0,) * 12 + BUDGETS,
            "price_ticks": (0, 100),
        },
    ),
    Template(3, v.CANCEL_ORDER, _BY_CLIENT),
    Template(4, v.CANCEL_ORDER, _BY_NUMBER),
    Template(3, v.REDUCE_ORDER, {**_BY_CLIENT, "quantity_lots": (0, 1, 1, 2, 3, 5, 8, 15)}),
    Template(3, v.REDUCE_ORDER, {**_BY_NUMBER, "quantity_lots": (0, 1, 1, 2, 3, 5, 8, 15)}),
    Template(8, v.REPLACE_ORDER, {**_BY_CLIENT, **_REPLACED}),
    Template(8, v.REPLACE_ORDER, {**_BY_NUMBER, **_REPLACED}),
    Template(1, v.MASS_CANCEL, {"account": ACCOUNTS, "instrument": (0, *INSTRUMENTS), "side_scope": (1, 2, 0, 3)}),
    Template(1, v.MASS_CANCEL, {"instrument": (0, *INSTRUMENTS), "side_scope": (1, 2, 0, 3)}),
    Template(4, v.TICK_CLOCK, {}),
    Template(1, v.NOTE_UNREADABLE, {"topic": (symbol("commands"), symbol("A B"), 0), "offset": (0, 7), "error": (0, 1, 7, 8)}),
    Template(6, v.DEPOSIT, {"account": ACCOUNTS, "asset": (1, 2, 3), "amount": AMOUNTS}),
    Template(1, v.DEPOSIT, {"account": ACCOUNTS, "asset": (9, 65_535, 65_536), "amount": (0, 2**59, 2**60, 2**62 - 1, 2**62)}),
    Template(4, v.WITHDRAW, {"account": ACCOUNTS, "asset": (1, 2, 3, 9), "amount": AMOUNTS}),
    Template(3, v.CHANGE_ACCOUNT, {"account": TRADERS, "status": (1,) * 16 + (2, 3), **LIMITS}),
    Template(1, v.CHANGE_ACCOUNT, {"account": GUESTS + NOBODY, "status": (0, 1, 2, 3, 3, 3, 4), **LIMITS}),
    Template(1, v.OPEN_ACCOUNT, {"account": (*TRADERS, *GUESTS, 10_485_761, 2**62), **LIMITS}),
    Template(3, v.SET_INSTRUMENT_STATE, {"instrument": INSTRUMENTS, "state": (2,) * 12 + (1,) * 12 + (3, 3, 4, 0, 5)}),
    Template(1, v.LIST_INSTRUMENT, LISTING),
    Template(3, v.SET_FEE_RATES, {"instrument": INSTRUMENTS, "maker_rate": RATES, "taker_rate": RATES}),
)


def opening() -> list[bytes]:
    """The market before the flow: three instruments with odd units and rates, five accounts in two groups and alone, little money."""
    band = {"band_low_ticks": 95, "band_high_ticks": 106, "max_quantity_lots": 20}
    return [
        list_instrument(1, "ODD", **band, max_notional=14_000, maker_rate=333, taker_rate=777, quote_units=7, base_units=3),
        list_instrument(2, "DEAR", **band, max_notional=1_900, maker_rate=100_000, taker_rate=99_999, day_end_ns=22 * HOUR_NS),
        list_instrument(3, "CROSS", **band | {"base_asset": 2, "quote_asset": 3}, max_notional=50_000, maker_rate=1_501, quote_units=20),
        *(set_state(v.OPEN, instrument) for instrument in (1, 2, 3)),
        *(open_account(account, group=group) for account, group in zip(TRADERS, (1, 1, 2, 0, 0), strict=True)),
        *(deposit(account, asset, amount) for account in TRADERS for asset, amount in ((1, 150), (2, 12_000), (3, 30_000))),
        change_account(5, max_open_orders=3, max_quantity_lots=12, max_notional=6_000),
    ]


SMALL: Final = Flow(opening(), TEMPLATES)
