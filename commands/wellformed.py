"""Malformed rows, explained before they are sequenced: row, field, value and rule.

The domain says which rows are malformed, and refuses them with an event whoever sent them; a door that asks here first can tell
its client more, and need not put the row on record.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from commands.codec import SPELLINGS
from domain import columns as bounds
from domain import verbs as v
from domain.fields import Field, RowType
from domain.wellformed import bounds as word_bounds
from domain.wellformed import malformed_rows

_ROW: Final = struct.Struct(f"<{v.COMMAND_WORDS}q")
_WORD_BOUNDS: Final = word_bounds()
_PACKED: Final = {  # fields that share a word: lowest and highest value
    "base_asset": (1, bounds.MAX_ASSET),
    "quote_asset": (1, bounds.MAX_ASSET),
    "base_scale": (0, 18),
    "quote_scale": (0, 18),
    "band_low_ticks": (1, bounds.MAX_PRICE_TICKS),
    "band_high_ticks": (1, bounds.MAX_PRICE_TICKS),
    "maker_rate": (0, bounds.MAX_FEE_RATE),
    "taker_rate": (0, bounds.MAX_FEE_RATE),
    "quote_units": (1, bounds.MAX_UNITS),
    "base_units": (1, bounds.MAX_UNITS),
}
_ONE_TARGET: Final = ("order", "the order is named by either client_order_id or order")
_RELATIONS: Final = {  # what a word must be beside others: verb and word -> field and rule
    (v.LIST_INSTRUMENT, 6): ("symbol", "it must be 1 to 8 printable ASCII characters, then zeros"),
    (v.LIST_INSTRUMENT, 7): ("quote_asset", "it must differ from base_asset"),
    (v.LIST_INSTRUMENT, 10): ("band_high_ticks", "it must be at least band_low_ticks"),
    (v.LIST_INSTRUMENT, 11): ("max_quantity_lots", f"times base_units it must be at most {bounds.MAX_BALANCE}"),
    (v.NOTE_UNREADABLE, v.TERMS): ("topic", "it must be 1 to 8 printable ASCII characters, then zeros"),
    (v.NEW_ORDER, v.EXPIRES_NS): ("expires_ns", "it must be given for GTD, and 0 for every other time in force"),
    (v.CANCEL_ORDER, v.ORDER): _ONE_TARGET,
    (v.REDUCE_ORDER, v.ORDER): _ONE_TARGET,
    (v.REPLACE_ORDER, v.ORDER): _ONE_TARGET,
    (v.MASS_CANCEL, v.INSTRUMENT): ("instrument", "without an account it must be named"),
}
_IN_SESSION: Final = ("sequence", "in a session it must be at least 1")


class Malformed(NamedTuple):
    """Row *row* of a batch (from 0) is malformed: *value* is what *field*, in word *word*, holds; *rule* is what it breaks."""

    row: int
    verb: str
    field: str
    word: int
    value: int
    rule: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.verb}.{self.field} (word {self.word}) is {self.value}: {self.rule}"


def check(rows: bytes) -> list[Malformed]:
    """The malformed ones among k*128 bytes of command rows, ascending: for each the first word that is wrong."""
    return [_explained(row, word, _ROW.unpack_from(rows, row * v.COMMAND_BYTES)) for row, word in malformed_rows(rows)]


def _explained(row: int, word: int, words: tuple[int, ...]) -> Malformed:
    row_type = v.VERB_BY_CODE.get(words[v.VERB])
    if row_type is None:
        return Malformed(row, "unknown", "verb", v.VERB, words[v.VERB], f"verbs are {min(v.VERB_BY_CODE)} to {max(v.VERB_BY_CODE)}")
    fields = [field for field in row_type.fields if field.word == word]
    named = sum((2**field.bits - 1) << field.shift for field in fields)
    if words[word] % 2**64 & ~named:
        rule = "a bit that the verb does not name must be 0" if fields else "a word that the verb does not name must be 0"
        return Malformed(row, row_type.name, fields[0].name if fields else f"word_{word}", word, words[word], rule)
    for field in fields:
        value, (low, high) = _value(field, words), _range(row_type, field)
        if not low <= value <= high:
            rule = f"it must be {low} to {high}" if high < 2**63 - 1 else f"it must be at least {low}"
            return Malformed(row, row_type.name, field.name, word, value, rule)
    name, rule = _IN_SESSION if word == v.SEQUENCE else _RELATIONS[row_type.code, word]
    value = next(_value(field, words) for field in fields if field.name == name)
    return Malformed(row, row_type.name, name, word, value, rule)


def _value(field: Field, words: tuple[int, ...]) -> int:
    return words[field.word] if field.bits == 64 else words[field.word] >> field.shift & (2**field.bits - 1)


def _range(row_type: RowType, field: Field) -> tuple[int, int]:
    """Lowest and highest value of a field by itself."""
    if field.name in SPELLINGS:
        return (1 if field.name in ("state", "status") else 0), len(SPELLINGS[field.name]) - 1
    place = (row_type.code * v.COMMAND_WORDS + field.word) * 2
    return _PACKED.get(field.name) or (_WORD_BOUNDS[place], _WORD_BOUNDS[place + 1])
