"""`outcry replay`: the state as of any moment of the record, or the proof that the commands lead to it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.settings import Settings
    from adapters.wiring import Store


@click.command()
@click.option("--to-seq", type=click.IntRange(0), default=None, help="As of this block.")
@click.option("--to-event", type=click.IntRange(0), default=None, help="As of the command that caused this event.")
@click.option("--to-time", metavar="T", default=None, help="As of this time: nanoseconds, or 2012-06-21T10:31:07.123456789 (UTC).")
@click.option("--book", "symbol", metavar="SYMBOL", default=None, help="Show the book then: every order, in priority.")
@click.option("--account", metavar="A", default=None, help="Show what this account had then.")
@click.option("--order", type=click.IntRange(1, 2**63 - 1), default=None, help="Show what became of this order up to then, event by event.")
@click.option(
    "--reexecute", is_flag=True, help="Run the recorded commands again and compare every event; exit code 1 at the first that differs."
)
@options.source
@options.record
@answers
def replay(settings: Settings, *, reexecute: bool, source: str, **asked: Any) -> Answer:
    """The state as of any moment of the record.

    Without options at its end. Or, with --reexecute, the proof that its commands lead to it again.
    """
    from adapters.wiring import reading

    with reading(settings, source=source) as opened:
        if reexecute:
            if any(value is not None for value in asked.values()):
                raise click.UsageError("--reexecute runs the whole record and takes none of the other options")
            return _reexecute(opened)
        if sum(asked[name] is not None for name in ("to_seq", "to_event", "to_time")) > 1:
            raise click.UsageError("name one of --to-seq, --to-event and --to-time")
        return _travel(opened, **asked)


def _reexecute(store: Store) -> Answer:
    from adapters.cli import findings
    from replay import reexecute

    with block_progress("re-execute") as show:
        found = reexecute.reexecute(store.log, store.number, show)
    fields = asdict(found)
    shown = [findings.facts(fields, "first_difference"), *findings.difference(found.first_difference, "recorded", "executed again")]
    return Answer(fields, shown, ok=found.ok)


def _travel(
    store: Store, to_seq: int | None, to_event: int | None, to_time: str | None, symbol: str | None, account: str | None, order: int | None
) -> Answer:
    from adapters import names, times
    from adapters.cli import views
    from adapters.directory import Directory
    from replay import explain, travel

    time_ns = None if to_time is None else times.to_ns(to_time)
    with block_progress("replay") as show:
        partition, position = travel.at(
            store.log, store.snapshots, store.number, seq=to_seq, event=to_event, time_ns=time_ns, progress=show
        )
    directory = Directory(partition, names.load(store.settings.folder))
    fields: dict[str, Any] = position._asdict() | {"time": times.from_ns(position.time_ns), "state_hash": partition.state_hash()}
    shown: list[Table | str] = [Table(("", ""), list(fields.items()))]
    if symbol is not None:
        fields["book"], tables = views.queue(partition, directory, directory.instrument(symbol))
        shown += tables
    if account is not None:
        balances = views.balances(partition, directory, directory.names.account(account))
        fields["account"] = balances.fields
        shown += balances.shown or []
    if order is not None:
        with block_progress("explain") as show:
            known = explain.explain(store.log, store.number, order, show)
        fields["order"], table = views.life(directory, [each for each in known if each.lived.event <= position.event])
        shown.append(table)
    return Answer(fields, shown)


COMMANDS = (replay,)
