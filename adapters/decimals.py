"""Decimals of people <-> integers of the market, exactly: prices to ticks, quantities to lots, money to minor units, rates to 10^-6.

Nothing is rounded.
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import Final

from domain.columns import MAX_FEE_RATE

E6: Final = Decimal(10**6)
E9: Final = Decimal(10**9)
MAX_DIGITS: Final = 30  # of a decimal, before and after the point: more than any bound of the market
EXACT: Final = Context(prec=4 * MAX_DIGITS)


class BadDecimal(ValueError):
    """A number that is none, or lies off its grid: what was given and what would be right."""


def to_ticks(text: str, tick_size_e9: int) -> int:
    """A price as ticks of *tick_size_e9* x 10^-9. Raises BadDecimal off the tick."""
    return _units(text, Decimal(tick_size_e9) / E9, "price", "tick")


def to_lots(text: str, lot_size_e9: int) -> int:
    """A quantity as lots of *lot_size_e9* x 10^-9. Raises BadDecimal for parts of a lot."""
    return _units(text, Decimal(lot_size_e9) / E9, "quantity", "lot")


def to_minor(text: str, scale: int) -> int:
    """An amount as minor units of 10^-*scale*. Raises BadDecimal for parts of a minor unit."""
    return _units(text, Decimal(1).scaleb(-scale), "amount", "minor unit")


def to_rate(text: str) -> int:
    """A fee rate, 0.0002 of the value, as 10^-6 of it. Raises BadDecimal for parts of a millionth, and above the highest there is."""
    rate = _units(text, 1 / E6, "fee rate", "millionth", or_zero=True)
    if rate > MAX_FEE_RATE:
        raise BadDecimal(f"fee rate {text} is above {from_rate(MAX_FEE_RATE)} of the value, the highest")
    return rate


def from_ticks(price_ticks: int, tick_size_e9: int) -> Decimal:
    """A price for people."""
    return _shown(price_ticks, Decimal(tick_size_e9) / E9)


def from_lots(quantity_lots: int, lot_size_e9: int) -> Decimal:
    """A quantity for people."""
    return _shown(quantity_lots, Decimal(lot_size_e9) / E9)


def from_minor(amount: int, scale: int) -> Decimal:
    """An amount for people."""
    return _shown(amount, Decimal(1).scaleb(-scale))


def from_rate(rate: int) -> Decimal:
    """A fee rate for people: so much of the value, with the digits that it needs."""
    return rate / E6


def _units(text: str, unit: Decimal, what: str, unit_name: str, *, or_zero: bool = False) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadDecimal(f"{what} {text!r} is no number; right would be for example {_shown(1250, unit)}") from None
    if or_zero and value.is_zero():
        return 0
    if not value.is_finite() or value <= 0 or len(value.as_tuple().digits) > MAX_DIGITS or not -MAX_DIGITS < value.adjusted() < MAX_DIGITS:
        raise BadDecimal(f"{what} {text!r} is not {'0, or ' if or_zero else ''}above 0 and below 10^{MAX_DIGITS}")
    whole, rest = EXACT.divmod(value, unit)
    if rest:
        below, above = _shown(int(whole), unit), _shown(int(whole) + 1, unit)
        raise BadDecimal(f"{what} {text} is not a multiple of the {unit_name} {unit.normalize():f}; the nearest are {below} and {above}")
    return int(whole)


def _shown(units: int, unit: Decimal) -> Decimal:
    """units x unit with the digits of the unit: 12.50, not 12.5."""
    places = max(0, -int(unit.normalize().as_tuple().exponent))
    return EXACT.quantize(EXACT.multiply(Decimal(units), unit), Decimal(1).scaleb(-places))
