"""What a command prints: its answer as a table for people or as one JSON object, errors, and the exit codes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

NO: Final = 1
USAGE: Final = 2
WORLD: Final = 3
BUG: Final = 4
ROUNDED_FROM: Final = 2**53  # where numbers of JSON are doubles, as in browsers and jq


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; numbers stand right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say.

    fields  the JSON object of --json
    shown   what people see; without it the fields, one a line
    ok      False: exit code 1
    """

    fields: Mapping[str, object]
    shown: Sequence[Table | str] | None = None
    ok: bool = True


def answers(command: Callable[..., Answer]) -> Callable[..., int]:
    """Make a click callback of a function that returns an Answer: adds --json, prints, returns the exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
    @functools.wraps(command)
    def callback(*args: Any, as_json: bool, **options: Any) -> int:
        answer = command(*args, **options)
        if as_json:
            write_json(answer.fields)
        else:
            write_text(answer)
        return 0 if answer.ok else NO

    return callback


def write_json(fields: Mapping[str, object]) -> None:
    """One object, one line. Decimals, and whole numbers from 2^53 on, are strings, so that no reader rounds them; bytes are hex."""
    import msgspec

    click.echo(msgspec.json.encode(_exact(fields)).decode())


def _exact(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(inner) for inner in value]
    if isinstance(value, int) and abs(value) >= ROUNDED_FROM:
        return str(value)
    return value


def write_text(answer: Answer) -> None:
    """Tables and lines on stdout, as wide as they need when nobody's terminal bounds them."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    facts = Table(("", ""), [(name, _plain(value)) for name, value in answer.fields.items()])
    for part in answer.shown if answer.shown is not None else [facts]:
        console.print(_rich_table(part) if isinstance(part, Table) else part, soft_wrap=isinstance(part, str))


def _rich_table(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=box.SIMPLE_HEAD, title=table.title or None, title_justify="left", show_header=any(table.columns), pad_edge=False)
    for number, column in enumerate(table.columns):
        numeric = all(isinstance(row[number], int | float) or str(row[number])[:1].isdigit() for row in table.rows)
        made.add_column(column, justify="right" if numeric and any(table.columns) else "left", overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(_plain(cell)) for cell in row))
    return made


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def write_error(message: str, code: int, *, as_json: bool) -> int:
    """Say what is wrong on stderr, and as the JSON object when one is due. Returns *code*."""
    click.echo(f"outcry: {message}", err=True)
    if as_json:
        write_json({"error": message, "exit": code})
    return code
