"""What every field of a command may hold, as rules over the rows of one verb at once: read off the tables, or written out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from commands.codec import SPELLINGS
from domain import columns as c
from domain import verbs as v
from domain.fields import Field, RowType

Words = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Check(NamedTuple):
    """A rule about one word. Both functions look at the rows of one verb, transposed: int64[16, n]."""

    word: int
    field: str
    rule: str
    value: Callable[[Words], Words]
    broken: Callable[[Words], Mask]


_ANY: Final = (0, 2**63 - 1)
_NAMED: Final = (1, 2**63 - 1)
_RATE: Final = (0, c.MAX_FEE_RATE)
_UNITS: Final = (1, c.MAX_UNITS)
_ALWAYS: Final = {  # field -> lowest and highest value, whatever the verb
    "received_ns": (0, c.MAX_TIME_NS),
    "asset": (1, c.MAX_ASSET),
    "price_ticks": (0, c.MAX_PRICE_TICKS),
    "quantity_lots": (0, c.MAX_QUANTITY_LOTS),
    "amount": (1, c.MAX_AMOUNT),
    "budget": (0, c.MAX_AMOUNT),
}
_OF_VERB: Final = {  # verb -> field -> lowest and highest value, where it differs
    v.LIST_INSTRUMENT: {
        "instrument": _NAMED,
        "base_asset": _NAMED,
        "quote_asset": _NAMED,
        "base_scale": (0, 18),
        "quote_scale": (0, 18),
        "tick_size_e9": _NAMED,
        "lot_size_e9": _NAMED,
        "band_low_ticks": _NAMED,
        "max_quantity_lots": (1, c.MAX_QUANTITY_LOTS),
        "max_notional": (1, c.MAX_NOTIONAL),
        "maker_rate": _RATE,
        "taker_rate": _RATE,
        "quote_units": _UNITS,
        "base_units": _UNITS,
        "day_end_ns": (0, c.DAY_NS - 1),
    },
    v.SET_INSTRUMENT_STATE: {"instrument": _NAMED},
    v.OPEN_ACCOUNT: {"account": _NAMED},
    v.CHANGE_ACCOUNT: {"account": _NAMED},
    v.DEPOSIT: {"account": _NAMED},
    v.WITHDRAW: {"account": _NAMED},
    v.NEW_ORDER: {"account": _NAMED, "instrument": _NAMED},
    v.CANCEL_ORDER: {"account": _NAMED},
    v.REDUCE_ORDER: {"account": _NAMED},
    v.REPLACE_ORDER: {"account": _NAMED},
}


def _checks(row_type: RowType) -> list[Check]:
    """Every rule about the rows of a verb, by word; within a word: unnamed bits, each field, then fields against each other."""
    checks = [check for word in range(1, v.COMMAND_WORDS) for check in _of_word(row_type, word)]
    return sorted(checks + _TOGETHER.get(row_type.code, []) + [_SEQUENCE], key=lambda check: check.word)


def _of_word(row_type: RowType, word: int) -> Iterator[Check]:
    fields = [field for field in row_type.fields if field.word == word]
    unnamed = ~sum((2**field.bits - 1) << field.shift for field in fields) & (2**64 - 1)
    if unnamed:
        bits = np.int64(unnamed - 2**64 if unnamed >= 2**63 else unnamed)
        rule = "bits that the verb does not name must be 0" if fields else "a word that the verb does not name must be 0"
        yield Check(word, fields[0].name if fields else f"word_{word}", rule, lambda rows: rows[word], lambda rows: rows[word] & bits != 0)
    for field in fields:
        yield _in_range(field, *_range(row_type, field))


def _range(row_type: RowType, field: Field) -> tuple[int, int]:
    if field.name in SPELLINGS:
        return (1 if field.name in ("state", "status") else 0), len(SPELLINGS[field.name]) - 1
    return _OF_VERB.get(row_type.code, {}).get(field.name, _ALWAYS.get(field.name, _ANY))


def _in_range(field: Field, low: int, high: int) -> Check:
    value = _value(field)
    rule = f"it must be {low} to {high}" if high < 2**63 - 1 else f"it must be at least {low}"
    if (low, high) == _ANY:
        return Check(field.word, field.name, rule, value, lambda rows: value(rows) < 0)
    return Check(field.word, field.name, rule, value, lambda rows: (value(rows) < low) | (value(rows) > high))


def _value(field: Field) -> Callable[[Words], Words]:
    if field.bits == 64:
        return lambda rows: rows[field.word]
    mask = np.int64(2**field.bits - 1)
    return lambda rows: rows[field.word] >> field.shift & mask


def _of(verb: int, name: str) -> Callable[[Words], Words]:
    return _value(next(field for field in v.VERB_BY_CODE[verb].fields if field.name == name))


def _rule(verb: int, field: str, rule: str, broken: Callable[[Words], Mask]) -> Check:
    """A rule that compares fields; it is reported at *field*."""
    found = next(each for each in v.VERB_BY_CODE[verb].fields if each.name == field)
    return Check(found.word, field, rule, _value(found), broken)


def _no_symbol(rows: Words) -> Mask:
    """1 to 8 characters from 33 to 126, then nothing but zeros."""
    characters = np.ascontiguousarray(rows[6]).view(np.uint8).reshape(-1, 8)
    unprintable = (characters != 0) & ((characters < 33) | (characters > 126))
    after_a_zero = (characters[:, :-1] == 0) & (characters[:, 1:] != 0)
    return cast(Mask, (characters[:, 0] == 0) | np.any(unprintable, axis=1) | np.any(after_a_zero, axis=1))


def _not_one_target(rows: Words) -> Mask:
    return cast(Mask, (rows[v.CLIENT_ORDER_ID] == 0) == (rows[v.ORDER] == 0))


_BASE: Final = _of(v.LIST_INSTRUMENT, "base_asset")
_QUOTE: Final = _of(v.LIST_INSTRUMENT, "quote_asset")
_BAND_LOW: Final = _of(v.LIST_INSTRUMENT, "band_low_ticks")
_BAND_HIGH: Final = _of(v.LIST_INSTRUMENT, "band_high_ticks")
_LARGEST: Final = _of(v.LIST_INSTRUMENT, "max_quantity_lots")
_BASE_UNITS: Final = _of(v.LIST_INSTRUMENT, "base_units")
_TIF: Final = _of(v.NEW_ORDER, "time_in_force")
_TARGETED: Final = "the order is named by either client_order_id or order"

_SEQUENCE: Final = Check(
    v.SEQUENCE,
    "sequence",
    "in a session it must be at least 1",
    lambda rows: rows[v.SEQUENCE],
    lambda rows: (rows[v.SESSION] > 0) & (rows[v.SEQUENCE] < 1),
)
_TOGETHER: Final = {
    v.LIST_INSTRUMENT: [
        _rule(v.LIST_INSTRUMENT, "symbol", "it must be 1 to 8 printable ASCII characters, zero padded", _no_symbol),
        _rule(v.LIST_INSTRUMENT, "quote_asset", "it must differ from base_asset", lambda rows: _QUOTE(rows) == _BASE(rows)),
        _rule(v.LIST_INSTRUMENT, "band_high_ticks", "it must be at least band_low_ticks", lambda rows: _BAND_HIGH(rows) < _BAND_LOW(rows)),
        _rule(
            v.LIST_INSTRUMENT,
            "max_quantity_lots",
            f"times base_units it must be at most {c.MAX_BALANCE}",
            lambda rows: _LARGEST(rows) * _BASE_UNITS(rows) > c.MAX_BALANCE,
        ),
    ],
    v.NEW_ORDER: [
        _rule(
            v.NEW_ORDER,
            "expires_ns",
            "it must be given for GTD, and 0 for every other time in force",
            lambda rows: (rows[v.EXPIRES_NS] > 0) != (_TIF(rows) == v.GTD),
        )
    ],
    v.CANCEL_ORDER: [_rule(v.CANCEL_ORDER, "order", _TARGETED, _not_one_target)],
    v.REDUCE_ORDER: [_rule(v.REDUCE_ORDER, "order", _TARGETED, _not_one_target)],
    v.REPLACE_ORDER: [_rule(v.REPLACE_ORDER, "order", _TARGETED, _not_one_target)],
    v.MASS_CANCEL: [
        _rule(
            v.MASS_CANCEL,
            "instrument",
            "without an account it must be named",
            lambda rows: (rows[v.ACCOUNT] == 0) & (rows[v.INSTRUMENT] == 0),
        )
    ],
}
CHECKS: Final = {row_type.code: _checks(row_type) for row_type in v.VERBS}
