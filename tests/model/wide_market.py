"""A market as wide as prices go: deep books on both sides of a million ticks, rich accounts, many live orders.

The rules are those of the small market; what is tried here is where an engine keeps prices, orders, client order ids and expiries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from domain import verbs as v
from tests.market import deposit, list_instrument, open_account, set_state
from tests.model.commands import OWNER, RECENTLY_ACCEPTED, Flow, Template

MIDDLE: Final = 1_000_000
MOST: Final = 2**31 - 1
POWERS: Final = tuple(2**power for power in range(31))
AROUND: Final = sorted({power + step for power in POWERS for step in (-33, -32, -1, 0, 1, 31, 32)} | {MOST, MOST - 1, MOST - 32})
NEAR: Final = 200
BELOW: Final = tuple(price for price in AROUND if 0 < price < MIDDLE) + tuple(range(MIDDLE - NEAR, MIDDLE))
ABOVE: Final = tuple(price for price in AROUND if MIDDLE < price <= MOST) + tuple(range(MIDDLE + 1, MIDDLE + NEAR))
CLOSE: Final = tuple(range(MIDDLE - 20, MIDDLE + 20))

_ORDER: Final[Mapping[str, Sequence[int]]] = {
    "account": (1, 2, 3, 4, 5),
    "instrument": (1, 1, 1, 2),
    "stp": (0, 0, 0, 1, 2, 3, 4),
    "client_order_id": (0, *range(1, 400), 2**62, 2**63 - 1),
    "quantity_lots": (1, 2, 3, 5, 8, 13),
}
_ANY: Final[Mapping[str, Sequence[int]]] = {"account": (OWNER,), "order": range(1, 1_000)}
_BUY: Final[Mapping[str, Sequence[int]]] = {**_ORDER, "side": (v.BUY,), "price_ticks": BELOW}
_SELL: Final[Mapping[str, Sequence[int]]] = {**_ORDER, "side": (v.SELL,), "price_ticks": ABOVE}
_TAKER: Final[Mapping[str, Sequence[int]]] = {**_ORDER, "side": (v.BUY, v.SELL), "quantity_lots": (5, 20, 60)}
_EXPIRES: Final = tuple(range(1, 400, 7)) + (10**6, 10**9, 10**12)
_RATES: Final = (0, 100, 250, 5_000)
_STATES: Final = (v.OPEN,) * 8 + (v.PRE_OPEN,) * 4 + (v.HALTED,)
WIDE: Final = Flow(
    opening=[
        list_instrument(1, "WIDE", band_high_ticks=MOST, maker_rate=10, taker_rate=25),
        list_instrument(2, "CHEAP", band_high_ticks=MOST, maker_rate=7, taker_rate=3, quote_units=3, base_units=10),
        *(set_state(v.OPEN, instrument) for instrument in (1, 2)),
        *(open_account(account, group=account // 4) for account in range(1, 6)),
        *(deposit(account, asset, 2**50) for account in range(1, 6) for asset in (1, 2)),
    ],
    templates=(
        Template(30, v.NEW_ORDER, {**_BUY, "post_only": (0, 0, 1, 2)}),
        Template(30, v.NEW_ORDER, {**_SELL, "post_only": (0, 0, 1, 2)}),
        Template(8, v.NEW_ORDER, {**_BUY, "time_in_force": (v.GTD,), "expires_ns": _EXPIRES}),
        Template(8, v.NEW_ORDER, {**_SELL, "time_in_force": (v.GTD,), "expires_ns": _EXPIRES}),
        Template(4, v.NEW_ORDER, {**_TAKER, "time_in_force": (v.GTC, v.IOC, v.FOK), "price_ticks": CLOSE}),
        Template(1, v.NEW_ORDER, {**_TAKER, "time_in_force": (v.IOC,), "price_ticks": (1, MOST)}),
        Template(20, v.CANCEL_ORDER, _ANY),
        Template(5, v.CANCEL_ORDER, {"account": (1, 2, 3, 4, 5), "client_order_id": range(1, 400)}),
        Template(2, v.CANCEL_ORDER, {"account": (OWNER,), "order": range(RECENTLY_ACCEPTED + 1, RECENTLY_ACCEPTED + 50)}),
        Template(4, v.REDUCE_ORDER, {**_ANY, "quantity_lots": (1, 2, 3)}),
        Template(5, v.REPLACE_ORDER, {**_ANY, "price_ticks": (0, *BELOW), "new_client_order_id": (0, 0, *range(1, 400))}),
        Template(5, v.REPLACE_ORDER, {**_ANY, "price_ticks": (0, *ABOVE), "quantity_lots": (0, 1, 9, 30)}),
        Template(2, v.TICK_CLOCK, {}),
        Template(1, v.MASS_CANCEL, {"account": (1, 2, 3, 4, 5), "instrument": (1, 2), "side_scope": (1, 2)}),
        Template(1, v.SET_INSTRUMENT_STATE, {"instrument": (1, 2), "state": _STATES}),
        Template(1, v.SET_FEE_RATES, {"instrument": (1, 2), "maker_rate": _RATES, "taker_rate": _RATES}),
    ),
)
