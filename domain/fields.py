"""How a row of int64 words carries named fields: the form in which commands and events are defined."""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """One named value inside a row.

    name   unit last where it has one: price_ticks, quantity_lots, received_ns
    word   which int64 of the row, from 0
    shift  lowest bit inside the word
    bits   width in bits; 64 means the whole signed word
    means  what a reader must know, in one line
    """

    name: str
    word: int
    shift: int
    bits: int
    means: str


def whole(name: str, word: int, means: str) -> Field:
    """A field that is a whole signed word."""
    return Field(name, word, 0, 64, means)


class RowType(NamedTuple):
    """One kind of row: a command (verb) or an event (kind).

    code    value of the low 8 bits of word 0; never reused
    name    CamelCase, imperative for commands, past tense for events
    fields  what the row carries besides its code
    since   schema version that introduced it
    means   one line
    """

    code: int
    name: str
    fields: tuple[Field, ...]
    since: int
    means: str


def checked(rows: tuple[RowType, ...], words: int) -> dict[int, RowType]:
    """Index *rows* by code; assert that codes are unique and that no two fields of a row overlap."""
    index: dict[int, RowType] = {}
    for row in rows:
        assert 0 < row.code < 256 and row.code not in index, f"{row.name}: code {row.code} is used twice or too big"
        index[row.code] = row
        taken: dict[int, int] = {0: 255}
        for field in row.fields:
            assert 0 <= field.word < words, f"{row.name}.{field.name}: word {field.word} is outside the row"
            mask = (2**field.bits - 1) * 2**field.shift
            assert mask < 2**64, f"{row.name}.{field.name}: outside its word"
            assert taken.get(field.word, 0) & mask == 0, f"{row.name}.{field.name}: overlaps another field"
            taken[field.word] = taken.get(field.word, 0) | mask
    return index
