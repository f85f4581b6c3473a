"""What verify, diff and re-execution found, for people: the facts, then where it begins to be wrong, both sides beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.cli.output import Table
from replay.difference import Difference
from replay.rows import Row
from replay.source import Bad


def facts(fields: Mapping[str, Any], *but: str) -> Table:
    """The plain fields, one a line."""
    return Table(("", ""), [(name, value) for name, value in fields.items() if name not in but])


def bad(found: Bad | None) -> list[Table | str]:
    """The first bad block, in a sentence."""
    if found is None:
        return []
    place = "the store" if found.partition is None else f"partition {found.partition}"
    block = "" if found.seq is None else f", block {found.seq}"
    return [f"NOT AS COMMITTED: {place}{block}: {found.what}"]


def difference(found: Difference | None, one: str, other: str) -> list[Table | str]:
    """The first row that differs, field by field."""
    if found is None:
        return []
    said: list[Table | str] = [f"FIRST DIFFERENCE: {found.kind} of block {found.seq}, event {found.event}"]
    if found.command is not None:
        said.append(
            f"caused by {found.command.name}({', '.join(f'{name}={value}' for name, value in found.command.fields.items() if value)})"
        )
    left, right = _fields(found.one), _fields(found.other)
    rows = [(name, left.get(name), right.get(name), "<" if left.get(name) != right.get(name) else "") for name in {**left, **right}]
    return [*said, Table(("field", one, other, " "), rows)]


def _fields(row: Row | None) -> dict[str, Any]:
    return {"": "nothing"} if row is None else {"": row.name, **{name: _told(name, value) for name, value in row.fields.items()}}


def _told(name: str, value: int) -> object:
    return value.to_bytes(8, "little", signed=True).rstrip(b"\0").decode("ascii", "replace") if name == "symbol" else value
