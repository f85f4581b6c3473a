"""The record in PostgreSQL: `outcry migrate`, `backup`, `restore`. The server is the one of the settings: key `postgres`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from datetime import datetime

_FOLDER = click.Path(file_okay=False, path_type=Path)


def of_stack(command: Callable[..., object]) -> Callable[..., object]:
    """Adds --stack; the command gets `server`: how to connect as the writer."""

    @click.option("--stack", type=_FOLDER, help="Folder of the servers of `outcry stack up`; else as the settings say.")
    @functools.wraps(command)
    def with_server(*args: Any, stack: Path | None, **rest: Any) -> object:
        settings = options.settings_of(None, profile="stack", stack=stack)
        if not settings.postgres:
            raise click.UsageError(
                "postgres is not set; right would be a connection string in OUTCRY_POSTGRES or the file of settings, or `outcry stack up`"
            )
        return command(*args, server=settings.postgres, **rest)

    return with_server


@click.command()
@of_stack
@answers
def migrate(server: str) -> Answer:
    """Bring the database to the schema of this release.

    As role outcry_migrator, whose password stands in the same passfile as the writer's. Does nothing when it is there already; exit code
    3 when the database is of a later release.
    """
    from eventstore import migrate
    from eventstore.postgres_server import as_role

    done = migrate.migrate(as_role(server, migrate.OWNER))
    return Answer({"applied": done, "version": len(migrate.steps())})


@click.command()
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option("--follow", is_flag=True, help="Then keep the write-ahead log in DIR up to date, until ctrl-C: restores to any moment since.")
@click.option("--forget", is_flag=True, help="Follow no more: the server need not keep log for it. Makes no copy.")
@of_stack
@answers
def backup(server: str, folder: Path, *, follow: bool, forget: bool) -> Answer:
    """Add a copy of the record to DIR while it is in use.

    As role outcry_replicator. A follower that is away costs the server disk until it is back, or --forget is said.
    """
    from eventstore import backup

    if forget:
        backup.forget(server)
        return Answer({"forgotten": backup.SLOT})
    if not follow:
        return Answer({"copy": str(backup.copy(server, folder))})
    with backup.following(server, folder) as receiver:
        click.echo(f"copied to {backup.copy(server, folder)}; following, ctrl-C ends it", err=True)
        try:
            ended = receiver.wait()
        except KeyboardInterrupt:
            ended = 0
    return Answer({"log": str(folder / "wal"), "ended": ended}, ok=ended == 0)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option("--into", type=_FOLDER, help="New folder for the server's files.  [default: DIR/restored-<time>]")
@click.option("--to-time", metavar="T", default=None, help="As of this time: 2026-11-25T14:03:01.5 (UTC), or nanoseconds.")
@answers
def restore(folder: Path, into: Path | None, to_time: str | None) -> Answer:
    """Restore a backup in DIR to a new folder, and verify it.

    As late as the log in DIR goes, or as of the time when blocks were committed. The folder is then the data directory of a server.
    Every partition is read from end to end: chain of hashes, events, state. Exit code 1 when it is not whole, or lacks what the copy
    promised.
    """
    from datetime import UTC, datetime

    from eventstore import backup

    into = (into or folder / f"restored-{datetime.now(UTC):%Y%m%dT%H%M%SZ}").absolute()
    try:
        with backup.restored(folder, into, _time(to_time)) as (server, promised):
            found, lacking = _verified(server, promised)
    except backup.BadBackup as wrong:
        raise click.UsageError(str(wrong)) from None
    fields = {"into": str(into), "cluster": promised.cluster, "partitions": found, "missing": lacking}
    columns = ("partition", "blocks", "events", "ok", "state_hash")
    table = Table(columns, [[each[name] for name in columns] for each in found])
    shown: list[Table | str] = [table, *(f"missing: {what}" for what in lacking), *(each["bad"] for each in found if each["bad"])]
    return Answer(
        fields, [*shown, f"restored; start it with: pg_ctl -D {into} start"], ok=not lacking and all(each["ok"] for each in found)
    )


def _time(text: str | None) -> datetime | None:
    from datetime import UTC, datetime, timedelta

    from adapters import times

    return None if text is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=times.to_ns(text) // 1_000)


def _verified(server: str, promised: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """What reading each partition showed, and what the copy promised and is not there."""
    from contextlib import closing

    from eventstore.backup import missing
    from eventstore.postgres import PostgresLog
    from replay import source

    found = []
    with closing(PostgresLog(server, cluster=promised.cluster, i_know_this_loses_data=True)) as log:
        for partition in log.partitions():
            with block_progress(f"verify {partition}") as show:
                seen = source.verify(log, partition, show)
            bad = "" if seen.first_bad is None else f"partition {partition}, block {seen.first_bad.seq}: {seen.first_bad.what}"
            row = {"partition": partition, "blocks": seen.blocks, "events": seen.events, "ok": seen.ok}
            found.append(row | {"state_hash": seen.state_hash, "bad": bad})
        return found, missing(log, promised)


COMMANDS = (migrate, backup, restore)
