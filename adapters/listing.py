"""Lists an instrument in the words of people: tick, lot and band as decimals, assets by name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from adapters import names
from adapters.decimals import E9, BadDecimal, to_minor, to_rate, to_ticks
from adapters.market import Market
from adapters.names import Asset, BadName
from commands.messages import Event, ListInstrument, SetInstrumentState
from domain.columns import MAX_NOTIONAL

MAX_QUANTITY_LOTS = 1_000_000


def list_instrument(
    market: Market,
    folder: Path,
    symbol: str,
    *,
    quote: str,
    quote_scale: int,
    tick: str,
    lot: str,
    band: tuple[str, str] | None,
    maker: str,
    taker: str,
) -> list[Event]:
    """List *symbol* and open it; new assets get a name in *folder* when that was accepted. Raises BadDecimal, BadName, BadRow."""
    directory = market.directory
    if symbol in directory.instruments:
        raise BadName(f"{symbol} is listed already, as instrument {directory.instruments[symbol].instrument}; choose another symbol")
    pays = directory.asset_or_new(quote, quote_scale)
    traded = directory.asset_or_new(symbol, base_scale(lot))
    number = max((listed.instrument for listed in directory.instruments.values()), default=0) + 1
    happened = market.send(
        command(number, symbol, traded, pays, tick=tick, lot=lot, band=band, maker=to_rate(maker), taker=to_rate(taker)),
        SetInstrumentState(instrument=number, state="open"),
    )
    if happened[0].kind == "InstrumentListed":
        directory.names.assets |= {symbol: traded, quote: pays}
        names.save(folder, directory.names)
    return happened


def command(
    number: int,
    symbol: str,
    traded: Asset,
    pays: Asset,
    *,
    tick: str,
    lot: str,
    band: tuple[str, str] | None = None,
    maker: int = 0,
    taker: int = 0,
) -> ListInstrument:
    """The listing of *symbol* as instrument *number*.

    tick, lot, band  decimals; without a band prices are from one tick to 10,000
    maker, taker     fees in 10^-6 of the notional
    Raises           BadDecimal
    """
    low, high = band or (tick, "10000")
    tick_e9, lot_e9 = to_minor(tick, 9), to_minor(lot, 9)
    return ListInstrument(
        instrument=number,
        symbol=symbol,
        base_asset=traded.number,
        quote_asset=pays.number,
        base_scale=traded.scale,
        quote_scale=pays.scale,
        tick_size_e9=tick_e9,
        lot_size_e9=lot_e9,
        band_low_ticks=to_ticks(low, tick_e9),
        band_high_ticks=to_ticks(high, tick_e9),
        max_quantity_lots=MAX_QUANTITY_LOTS,
        max_notional=MAX_NOTIONAL,
        maker_rate=maker,
        taker_rate=taker,
        quote_units=_minor_units(tick_e9, lot_e9, pays),
        base_units=int(lot_e9 / E9 * 10**traded.scale),
    )


def terms(command: ListInstrument) -> dict[str, int | str]:
    """A listing as the registry keeps it: without what every command carries."""
    common = {"received_ns", "session", "sequence", "account", "symbol"}
    return {field: value for field, value in msgspec.structs.asdict(command).items() if field not in common}


def base_scale(lot: str) -> int:
    """Decimal digits that an asset needs whose lots are *lot*. Raises BadDecimal."""
    return max(0, -int((to_minor(lot, 9) / E9).normalize().as_tuple().exponent))


def _minor_units(tick_e9: int, lot_e9: int, pays: Asset) -> int:
    """What one lot costs at a price of one tick, in minor units: whole, or nobody could pay it."""
    exact = Decimal(tick_e9) / E9 * Decimal(lot_e9) / E9 * 10**pays.scale
    if exact != int(exact):
        raise BadDecimal(
            f"one lot at one tick costs {exact.normalize():f} minor units of the quote asset; choose tick and lot so that it is whole"
        )
    return int(exact)
