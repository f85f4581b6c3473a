"""Writes docs/events.md from the tables of the vocabulary: `python -m adapters.vocabulary`. A test demands that the page is up to date."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from domain.events import EVENT_BYTES, EVENT_WORDS, EVENTS, FIRST_CONSEQUENCE, REMOVAL_REASONS
from domain.fields import Field, RowType
from domain.rules import RULES
from domain.verbs import COMMAND_BYTES, COMMAND_WORDS, COMMON, SCHEMA_VERSION, VERBS
from eventstore.arrow import COLUMNS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "events.md"

_HEAD: Final = f"""# Commands, events, rules

Written by `python -m adapters.vocabulary` from `domain/verbs.py`, `domain/events.py`, `domain/rules.py` and `eventstore/arrow.py`:
change those, then run it. What the engine does with a command stands in `rules.md`.

Schema version {SCHEMA_VERSION}. Words are little-endian, signed, of 64 bits.
A command is {COMMAND_WORDS} words ({COMMAND_BYTES} bytes), an event {EVENT_WORDS} ({EVENT_BYTES} bytes).
*Bits* count from the lowest of the word; `all` is the whole signed word, any other field is unsigned. Words and bits not named are zero.
*Since* is the schema version that introduced the row. A code is never used again.
"""
_EVENTS: Final = f"""
Word 0, bits 0-7: the code. Codes below {FIRST_CONSEQUENCE} are *outcomes*: exactly one per command, its first event.
The others are *consequences* and follow it. The number of a trade is partition x 2^53 + the index of its event.
"""
_RULES: Final = """
Why a command was refused: `rule`, `limit` and `observed` of CommandRefused.
The order is the precedence: the first rule broken is the one named.
"""
_COLUMNS: Final = """
`Block.to_arrow()` and `outcry export` give one row per event. The row of an outcome carries its command's fields too; where command
and event both have a field of that name, the plain column is the event's and `command_…` is what the command asked for. A consequence
without account or instrument of its own shows its command's. Empty is null. In an export `time_ns` rises over the whole range; a
block opened alone knows no time before it. SQL wants `"order"`, `"group"` and `"limit"` in quotes.
"""


def page() -> str:
    """The whole of docs/events.md."""
    reasons = ", ".join(f"{code} {name}" for code, name in enumerate(REMOVAL_REASONS) if name)
    columns = ((f"`{column.name}`", column.type, column.means) for column in COLUMNS)
    return "\n".join(
        [
            _HEAD,
            "## Commands\n",
            _index(VERBS),
            f"### Every command\n\nWord 0: the code.\n\n{_fields(COMMON)}",
            *(_section(verb, COMMON) for verb in VERBS),
            f"## Events\n{_EVENTS}",
            _index(EVENTS),
            *(_section(kind) for kind in EVENTS),
            f"Reasons of OrderRemoved: {reasons}.\n",
            f"## Rules\n{_RULES}",
            _table(("code", "rule", "limit", "observed"), RULES),
            f"## Columns of an opened block\n{_COLUMNS}",
            _table(("column", "type", "meaning"), columns),
        ]
    )


def _index(rows: Iterable[RowType]) -> str:
    return _table(("code", "name", "since", "meaning"), ((row.code, row.name, row.since, row.means) for row in rows))


def _section(row: RowType, shared: tuple[Field, ...] = ()) -> str:
    own = tuple(field for field in row.fields if field not in shared)
    return f"### {row.name} ({row.code})\n\n{row.means}\n\n{_fields(own)}"


def _fields(fields: tuple[Field, ...]) -> str:
    if not fields:
        return "No fields of its own.\n"
    return _table(("field", "word", "bits", "meaning"), ((f"`{f.name}`", f.word, _bits(f), f.means) for f in fields))


def _bits(field: Field) -> str:
    last = field.shift + field.bits - 1
    return "all" if field.bits == 64 else f"{field.shift}-{last}" if field.bits > 1 else f"{field.shift}"


def _table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
