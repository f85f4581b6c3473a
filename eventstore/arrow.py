"""A block opened for others: one row per event, one column per field name of the vocabulary, without the engine.

The row of an outcome carries the fields of its command too. Where command and event both have a field of that name (an order's
price before and after a slide), the plain column is the event's and `command_…` is what the command asked for. So nothing is lost:
the rows of a well-formed command and of its events can be made again from the columns.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.events import COMMAND_REFUSED, EVENT_BY_CODE, EVENTS, FIRST_CONSEQUENCE
from domain.fields import Field, RowType
from domain.rules import MALFORMED_FIELD
from domain.verbs import RECEIVED_NS, TEXTS, VERB, VERB_BY_CODE, VERBS
from eventstore.blocks import Block

Words = NDArray[np.int64]
Rows = NDArray[np.intp]

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


def to_arrow(block: Block, time_before_ns: int = 0) -> pa.RecordBatch:
    """Open *block*: one row per event, columns as COLUMNS, the block's place in the chain as metadata of the schema.

    time_before_ns  time of the block before. Without it a command whose received_ns is older than that block shows its received_ns (or the
                    greatest before it in this block) as its time.
    Raises          Damaged, NewerSchema
    """
    rows = block.arrays()
    opened = _Opened(rows.commands, rows.events)
    places: dict[str, pa.Array] = {
        "partition": pa.array(np.full(len(rows.events), block.partition, np.int32)),
        "seq": pa.array(np.full(len(rows.events), block.seq)),
        "event_index": pa.array(np.arange(block.first_event, block.first_event + block.event_count)),
        "command": pa.array(opened.command.astype(np.int32)),
        "kind": _names_of(opened.kinds, EVENTS),
        "verb": _names_of(opened.verbs[opened.command], VERBS),
        "time_ns": pa.array(opened.times(time_before_ns)[opened.command]),
    }
    arrays = [places[column.name] if column.name in places else opened.array(column) for column in COLUMNS]
    return pa.record_batch(arrays, schema=SCHEMA.with_metadata(facts(block)))


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


class _Opened:
    """The field columns of one block while they are filled: values and which of them are there, by column name."""

    def __init__(self, commands: Words, events: Words) -> None:
        self.commands, self.events = commands, events
        self.kinds = events[:, 0] & 255
        self.verbs = commands[:, VERB]
        self.first = np.flatnonzero(self.kinds < FIRST_CONSEQUENCE)  # row of each command's outcome
        assert len(self.first) == len(commands), "every command has one outcome"
        assert len(events) == 0 or self.first[0] == 0, "the first event is an outcome"
        self.command = np.cumsum(self.kinds < FIRST_CONSEQUENCE) - 1
        self.filled: dict[str, tuple[Words, NDArray[np.bool_]]] = {}
        for code in np.unique(self.verbs):
            if code in VERB_BY_CODE:
                self._fill_from_commands(VERB_BY_CODE[code])
        for code in np.unique(self.kinds):
            assert code in EVENT_BY_CODE, f"unknown kind of event {code}"
            self._fill_from_events(EVENT_BY_CODE[code])

    def times(self, time_before_ns: int) -> Words:
        """Time of each command: rises, and a malformed row does not move it (docs/rules.md, 1.1)."""
        outcomes = self.events[self.first]
        malformed = (self.kinds[self.first] == COMMAND_REFUSED) & (outcomes[:, 1] == MALFORMED_FIELD)
        received = np.where(malformed, time_before_ns, self.commands[:, RECEIVED_NS])
        return np.maximum.accumulate(np.maximum(received, time_before_ns))

    def array(self, column: Column) -> pa.Array:
        """The finished column, null where no row has the field."""
        if column.name not in self.filled:
            return pa.nulls(len(self.events), column.type)
        values, there = self.filled[column.name]
        if column.name.removeprefix("command_") in TEXTS:
            return pa.array(_text(values, there), column.type)
        return pa.array(values.astype(column.type.to_pandas_dtype()), mask=~there)

    def _fill_from_commands(self, verb: RowType) -> None:
        """The command's fields into the row of its outcome, account and instrument into those of the consequences too."""
        caused = np.flatnonzero(self.verbs[self.command] == verb.code)
        outcomes = self.first[self.verbs == verb.code]
        for field in verb.fields:
            rows = caused if field.name in CAUSE else outcomes
            self._fill(field.name, rows, _get(self.commands, self.command[rows], field))

    def _fill_from_events(self, kind: RowType) -> None:
        """The event's own fields; where an outcome's command has one of that name, its value moves to `command_…`.

        Kinds come in rising order: the taker's order is there when a trade asks for it.
        """
        happened = np.flatnonzero(self.kinds == kind.code)
        if kind in _TAKEN:
            self._fill("taker_order", happened, self.filled["order"][0][self.first[self.command[happened]]])
            self._fill("taker_account", happened, self.filled["account"][0][happened])
        for field in kind.fields:
            if kind in _OUTCOMES and field.name in self.filled:
                values, there = self.filled[field.name]
                asked = happened[there[happened]]
                self._fill(f"command_{field.name}", asked, values[asked])
            self._fill(field.name, happened, _get(self.events, happened, field))

    def _fill(self, name: str, rows: Rows, values: Words) -> None:
        if name not in self.filled:
            self.filled[name] = np.zeros(len(self.events), np.int64), np.zeros(len(self.events), np.bool_)
        self.filled[name][0][rows] = values
        self.filled[name][1][rows] = True


def _get(words: Words, rows: Rows, field: Field) -> Words:
    """One field of some rows."""
    word: Words = words[rows, field.word]
    return word if field.bits == 64 else (word >> field.shift) & ((1 << field.bits) - 1)


def _names_of(codes: Words, table: tuple[RowType, ...]) -> pa.DictionaryArray:
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
