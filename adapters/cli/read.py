"""`outcry read`: what a view shows, from whichever level has it, and what that answer says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.reads import answer
    from adapters.settings import Settings

VIEWS: Final = (
    "quotes", "depth", "book", "trades", "bars", "statistics", "orders", "executions", "balances", "statements", "instruments",
    "commands", "totals",
)  # fmt: skip


@click.command()
@click.argument("view", type=click.Choice(VIEWS))
@click.argument("key")
@click.option("--group", "is_group", is_flag=True, help="KEY is all of a key but its last part: balance:7 for all that account 7 has.")
@click.option("--partition", type=click.IntRange(1, 511), help="Else as the settings say.")
@click.option("--at-least", type=click.IntRange(0), default=0, help="A block that the answer must have seen, as of whoever wrote it.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 3600), default=2.0, show_default=True, help="Seconds.")
@click.option("--stack", type=click.Path(file_okay=False), help="Folder of the servers of `outcry stack up`.")
@answers
def read(view: str, key: str, *, is_group: bool, partition: int | None, at_least: int, timeout_s: float, stack: str | None) -> Answer:
    """Show a row of a view, or a group of rows: `outcry read quotes quote:1`.

    From Redis, else folded from the record. docs/views.md has the keys, and what the fields mean.
    """
    import asyncio

    import uvloop

    from adapters.cli.options import settings_of
    from adapters.settings import BadSettings

    settings = settings_of(None, profile="stack", stack=stack, partition=partition)
    if settings.partition > settings.partitions:
        raise BadSettings(f"partition is {settings.partition}; right would be 1 to {settings.partitions}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return shown(runner.run(_read(settings, view, key, is_group=is_group, at_least=at_least, timeout_s=timeout_s)))


async def _read(settings: Settings, view: str, key: str, *, is_group: bool, at_least: int, timeout_s: float) -> answer.Answer:
    from adapters.readers import reading_views
    from adapters.reads.answer import Asked

    async with reading_views(settings, pushed={}, warm=False, patience_s=timeout_s / 4) as opened:
        return await opened.reads.read(Asked(view, key, settings.partition, is_group), at_least=at_least, timeout_s=timeout_s)


def shown(found: answer.Answer) -> Answer:
    """An answer with its rows decoded."""
    import time

    from adapters.times import from_ns
    from projections.layouts import layout_of

    rows = [{"key": key, **record._asdict()} for key, row in sorted(found.rows.items()) for record in layout_of(key).unpack(row)]
    says: dict[str, Any] = {
        "partition": found.partition,
        "seq": found.seq,
        "time": from_ns(found.time_ns) if found.time_ns else None,
        "age_s": round(found.age_ns(time.time_ns()) / 1e9, 3) if found.time_ns else None,
        "level": found.level,
        "behind": found.behind,
    }
    as_of = f"partition {found.partition} as of block {found.seq}, {says['time'] or 'at an unknown time'}, from {found.level}"
    kinds = dict.fromkeys(tuple(row) for row in rows)
    tables: list[Table | str] = [_table(kind, [row for row in rows if tuple(row) == kind]) for kind in kinds]
    return Answer({**says, "rows": rows}, [as_of, *(tables or ["there is nothing"])])


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    return Table(columns, [tuple(str(row[column]) for column in columns) for row in rows])


COMMANDS = (read,)
