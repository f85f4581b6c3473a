"""A block opened for others: one row per event, one column per field name of the vocabulary, without the engine.

The row of an outcome carries the fields of its command too. Where command and event both have a field of that name (an order's
price before and after a slide), the plain column is the event's and `command_…` is what the command asked for. So nothing is lost:
the rows of a well-formed command and of its events can be made again from the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.events import COMMAND_REFUSED, EVENT_BY_CODE, EVENTS, FIRST_CONSEQUENCE
from domain.fields import Field, RowType
from domain.rules import MALFORMED_FIELD
from domain.verbs import RECEIVED_NS, TEXTS, VERB, VERBS
from eventstore.blocks import Block
from eventstore.lazy import Opened

Words = NDArray[np.int64]

CAUSE: Final = ("account", "instrument")  # what a consequence takes from its command when it has none of its own
MAKER: Final = "maker_order"  # kinds with this field have a taker: the order of the outcome before


class Column(NamedTuple):
    """name, Arrow type, whether it may be null, and where its values come from."""

    name: str
    type: pa.DataType
    nullable: bool
    means: str


def _type_of(name: str) -> pa.DataType:
    """The smallest signed type that holds the field in every row that has it."""
    if name in TEXTS:
        return pa.string()
    bits = max(field.bits for row in EVENTS + VERBS for field in row.fields if field.name == name)
    return pa.int8() if bits < 8 else pa.int16() if bits < 16 else pa.int32() if bits < 32 else pa.int64()


def _names(rows: tuple[RowType, ...]) -> tuple[str, ...]:
    """Distinct field names in the order of the tables."""
    return tuple(dict.fromkeys(field.name for row in rows for field in row.fields))


_OUTCOMES: Final = tuple(kind for kind in EVENTS if kind.code < FIRST_CONSEQUENCE)
_TAKEN: Final = tuple(kind for kind in EVENTS if any(field.name == MAKER for field in kind.fields))
_BOTH: Final = tuple(name for name in _names(_OUTCOMES) if name in _names(VERBS))


_TAKERS: Final = {"taker_order": "order", "taker_account": "account"}
_ASKED: Final = "command_"


def _found_in(name: str) -> str:
    """Which rows have the field."""
    verbs = [row.name for row in VERBS if name in _names((row,))]
    kinds = [row.name for row in EVENTS if name in _names((row,))]
    return "field of " + ", ".join([*(["every command"] if len(verbs) == len(VERBS) else verbs), *kinds])


_NAME: Final = pa.dictionary(pa.int8(), pa.string())
COLUMNS: Final = (
    Column("partition", pa.int32(), False, "partition of the block"),
    Column("seq", pa.int64(), False, "number of the block in its partition, from 1"),
    Column("event_index", pa.int64(), False, "number of the event in its partition, from 0"),
    Column("command", pa.int32(), False, "number in the block of the command that caused it, from 0"),
    Column("kind", _NAME, False, "name of the event"),
    Column("verb", _NAME, True, "name of the command that caused it; null: a refused row with an unknown verb"),
    Column("time_ns", pa.int64(), False, "time of the command: received_ns made to rise"),
    *(Column(name, _type_of(name), True, _found_in(name)) for name in _names(EVENTS + VERBS)),
    Column("taker_order", pa.int64(), True, "order of the outcome before, in " + ", ".join(kind.name for kind in _TAKEN)),
    Column("taker_account", pa.int64(), True, "account of the command, in " + ", ".join(kind.name for kind in _TAKEN)),
    *(Column(f"command_{name}", _type_of(name), True, f"{name} of the command, where its outcome has one too") for name in _BOTH),
)
SCHEMA: Final = pa.schema([pa.field(column.name, column.type, column.nullable) for column in COLUMNS])


def to_arrow(block: Block, time_before_ns: int = 0, names: Sequence[str] = ()) -> pa.RecordBatch:
    """Open *block*: one row per event, columns as COLUMNS, the block's place in the chain as metadata of the schema.

    time_before_ns  time of the block before. Without it a command whose received_ns is older than that block shows its received_ns (or the
                    greatest before it in this block) as its time.
    names           only these columns, in this order; no more is decoded than they need
    Raises          Damaged, NewerSchema
    """
    with block.reading():
        columns = Columns(block, time_before_ns)
        arrays = [columns.array(name) for name in names or SCHEMA.names]
    schema = pa.schema([SCHEMA.field(name) for name in names]) if names else SCHEMA
    return pa.record_batch(arrays, schema=schema.with_metadata(facts(block)))


def facts(block: Block) -> dict[str, str]:
    """The block's place in the chain, as text: the metadata of its schema."""
    return {
        "outcry.partition": str(block.partition),
        "outcry.seq": str(block.seq),
        "outcry.epoch": str(block.epoch),
        "outcry.prev_hash": block.prev_hash.hex(),
        "outcry.hash": block.hash.hex(),
        "outcry.schema_version": str(block.schema_version),
    }


class Columns:
    """The columns of one block, each made when it is asked for."""

    def __init__(self, block: Block, time_before_ns: int) -> None:
        self._block, self._time_before_ns = block, time_before_ns
        self._opened = opened = block.opened()
        self._kinds = [EVENT_BY_CODE[code] for code in np.flatnonzero(np.bincount(opened.kinds)).tolist()]

    def array(self, name: str) -> pa.Array:
        """The column *name*, null where no row has the field. Raises BadPayload."""
        block, opened = self._block, self._opened
        match name:
            case "partition":
                return pa.array(np.full(opened.events, block.partition, np.int32))
            case "seq":
                return pa.array(np.full(opened.events, block.seq))
            case "event_index":
                return pa.array(np.arange(block.first_event, block.first_event + opened.events))
            case "command":
                return pa.array(opened.cause.astype(np.int32))
            case "kind":
                return names_of(opened.kinds.astype(np.int64), EVENTS)
            case "verb":
                return names_of(opened.command(VERB)[opened.cause], VERBS)
            case "time_ns":
                return pa.array(times(opened, self._time_before_ns)[opened.cause])
        return self._field(name)

    def _field(self, name: str) -> pa.Array:
        column = SCHEMA.field(name)
        values, there = self._values(name)
        if not there.any():
            return pa.nulls(self._opened.events, column.type)
        if name.removeprefix("command_") in TEXTS:
            return pa.array(_text(values, there), column.type)
        return pa.array(values.astype(column.type.to_pandas_dtype()), mask=~there)

    def _values(self, name: str) -> tuple[Words, NDArray[np.bool_]]:
        if name in _TAKERS:
            return self._of_takers(_TAKERS[name])
        if name.startswith(_ASKED):
            return self._replaced(name.removeprefix(_ASKED))
        values, there = self._asked(name)
        for kind in self._kinds:
            for field in kind.fields:
                if field.name == name:
                    rows = self._opened.rows(kind.code)
                    values[rows] = _bits(self._opened.event(kind.code, field.word), field)
                    there[rows] = True
        return values, there

    def _asked(self, name: str) -> tuple[Words, NDArray[np.bool_]]:
        """The commands' field into the row of the outcome; account and instrument into those of the consequences too."""
        opened = self._opened
        values, there = np.zeros(opened.events, np.int64), np.zeros(opened.events, np.bool_)
        for verb in VERBS:
            for field in verb.fields:
                if field.name == name:
                    commands = np.flatnonzero(opened.command(VERB) == verb.code)
                    if name in CAUSE:
                        mine = np.zeros(opened.commands, np.bool_)
                        mine[commands] = True
                        rows = np.flatnonzero(mine[opened.cause])
                        commands = opened.cause[rows]
                    else:
                        rows = opened.outcomes[commands]
                    values[rows] = _bits(opened.command(field.word)[commands], field)
                    there[rows] = True
        return values, there

    def _replaced(self, name: str) -> tuple[Words, NDArray[np.bool_]]:
        """What the command asked for, where its outcome has a field of that name too."""
        values, there = self._asked(name)
        both = np.zeros(256, np.bool_)
        both[[kind.code for kind in _OUTCOMES if name in _names((kind,))]] = True
        return values, there & both[self._opened.kinds]

    def _of_takers(self, name: str) -> tuple[Words, NDArray[np.bool_]]:
        """A field that the outcome before has, in the rows of what a taker met."""
        values, _ = self._values(name) if name == "order" else self._asked(name)
        there = np.isin(self._opened.kinds, [kind.code for kind in _TAKEN])
        opened = self._opened
        return np.where(there, values[opened.outcomes[opened.cause]], 0), there


def times(opened: Opened, time_before_ns: int) -> Words:
    """Time of each command: rises, and a malformed row does not move it (docs/rules.md, 1.1)."""
    refused = np.zeros(opened.commands, np.bool_)
    refused[opened.cause[opened.rows(COMMAND_REFUSED)]] = opened.event(COMMAND_REFUSED, 1) == MALFORMED_FIELD
    received = np.where(refused, time_before_ns, opened.command(RECEIVED_NS))
    found: Words = np.maximum.accumulate(np.maximum(received, time_before_ns))
    return found


def _bits(word: Words, field: Field) -> Words:
    """One field of a word of some rows."""
    return word if field.bits == 64 else (word >> field.shift) & ((1 << field.bits) - 1)


def names_of(codes: Words, table: tuple[RowType, ...]) -> pa.DictionaryArray:
    """Names by code, null for a code that *table* does not have. The dictionary is the whole table: the same in every block."""
    places = np.full(256, -1, np.int8)
    places[[row.code for row in table]] = np.arange(len(table))
    known = np.where((codes >= 0) & (codes < 256), places[codes & 255], -1)
    return pa.DictionaryArray.from_arrays(pa.array(known, mask=known < 0), pa.array([row.name for row in table]))


def _text(words: Words, there: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Words that are eight characters, first in the lowest byte and zero padded, as text; None where there is no word."""
    texts = np.full(len(words), None, np.object_)
    for row in np.flatnonzero(there):
        texts[row] = words[row].tobytes().rstrip(b"\0").decode("latin-1")
    return texts
