"""Instruments as products: ACME-USD is ACME, paid in USD. One with a dash or slash in a name has no id in the dialect and is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from adapters.doors import shapes
from adapters.doors.coinbase.problems import NotFound
from adapters.doors.house import House, Listed
from domain.verbs import INSTRUMENT_STATES

NO_PRODUCT: Final = "Product not found"
MAX_SLIPPAGE: Final = 5  # percent
_SEPARATORS: Final = frozenset("-/")


class Product(msgspec.Struct):
    """A product. max_slippage_percentage: so far from the best price a market order goes."""

    id: str
    base_currency: str
    quote_currency: str
    quote_increment: str
    base_increment: str
    base_min_size: str
    base_max_size: str
    min_market_funds: str
    display_name: str
    status: Literal["online", "offline"]
    status_message: str
    cancel_only: bool
    limit_only: bool
    post_only: bool
    trading_disabled: bool
    auction_mode: bool
    margin_enabled: bool
    fx_stablecoin: bool
    max_slippage_percentage: str


class Products:
    """All that have an id, as they are now."""

    def __init__(self, listed: Mapping[str, Listed], asset_name: Mapping[int, str]) -> None:
        self._asset_name = asset_name
        named = ((self.id(each), each) for _, each in sorted(listed.items()))
        self.by_id = {name: each for name, each in named if name}
        self.by_number = {(each.partition, each.instrument): each for each in listed.values()}

    def id(self, listed: Listed) -> str:
        """Of a listed instrument; empty: it has none."""
        quote = self._asset_name.get(listed.terms.quote_asset, str(listed.terms.quote_asset))
        return "" if _SEPARATORS & {*listed.symbol, *quote} else f"{listed.symbol}-{quote}"

    def get(self, id: str) -> Listed:  # noqa: A002 # the dialect's word
        """What *id* names, with a dash or a slash. Raises NotFound."""
        found = self.by_id.get(id.replace("/", "-"))
        if found is None:
            raise NotFound(NO_PRODUCT)
        return found

    def shape(self, listed: Listed) -> Product:
        """As clients see it."""
        said = shapes.instrument(listed, dict(self._asset_name))
        state = INSTRUMENT_STATES[listed.terms.state]
        return Product(
            id=self.id(listed),
            base_currency=said.base_asset,
            quote_currency=said.quote_asset,
            quote_increment=said.tick_size,
            base_increment=said.lot_size,
            base_min_size=said.lot_size,
            base_max_size=said.max_quantity,
            min_market_funds=shapes.money(listed, listed.terms.quote_units),
            display_name=self.id(listed).replace("-", "/"),
            status="offline" if state == "closed" else "online",
            status_message="" if state == "open" else state,
            cancel_only=state == "halted",
            limit_only=state == "pre_open",
            post_only=False,
            trading_disabled=state in {"closed", "halted"},
            auction_mode=state == "pre_open",
            margin_enabled=False,
            fx_stablecoin=False,
            max_slippage_percentage=f"0.{MAX_SLIPPAGE:02}",
        )


async def products(house: House) -> Products:
    """What is listed now."""
    return Products(await house.listed(), {number: asset.name for number, asset in house.assets().items()})
