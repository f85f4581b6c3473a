"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.directory import Directory
    from adapters.market import Market
    from adapters.settings import Settings
    from adapters.wiring import Store
    from commands.writer import Writer
    from domain.partition import Partition


Command = Callable[..., object]


def settings_of(folder: Path | None, **given: object) -> Settings:
    """The settings of this process, with *folder* as the store when one is named, and what else is given. Raises BadSettings, OSError."""
    import os

    from adapters.settings import load

    return load(os.environ, store=folder, **given)


_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_PROFILE: Final = click.Choice(["embedded", "stack"])
_STORE: Final = "Folder of the record; else OUTCRY_STORE, the file of settings, or a folder of your data directory."


def embedded(command: Command) -> Command:
    """Adds --store; the command gets `settings`."""

    @click.option("--store", type=_FOLDER, help=_STORE)
    @functools.wraps(command)
    def with_settings(*args: Any, store: Path | None, **rest: Any) -> object:
        return command(*args, settings=settings_of(store), **rest)

    return with_settings


def record(command: Command) -> Command:
    """Adds --store, --profile, --stack and --partition: whichever record is meant. The command gets `settings`."""

    @click.option("--store", type=_FOLDER, help=_STORE)
    @click.option("--profile", type=_PROFILE, help="stack: the record in Postgres; else as OUTCRY_PROFILE and the settings say.")
    @click.option("--stack", type=_FOLDER, help="Folder of the servers of `outcry stack up`.")
    @click.option("--partition", type=click.IntRange(1, 511), help="Trading partition.")
    @functools.wraps(command)
    def with_settings(*args: Any, store: Path | None, **rest: Any) -> object:
        given = {name: rest.pop(name, None) for name in ("profile", "stack", "partition", "archive")}
        return command(*args, settings=settings_of(store, **given), **rest)

    return with_settings


archive = click.option(
    "--archive", metavar="URL", help="The archive: a folder, or s3://BUCKET/PREFIX; else OUTCRY_ARCHIVE and the settings."
)
source = click.option(
    "--source", type=click.Choice(["record", "archive"]), default="record", show_default=True, help="archive: read that, and no record."
)
account = click.option("--account", metavar="NAME", required=True, help="Whose it is: a name of this store, or a number.")


def door(command: Command) -> Command:
    """Adds --key and --at: through which door, and as whom."""

    @click.option(
        "--key", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Ask through a door, with the key in this file."
    )
    @click.option("--at", metavar="URL", help="The door, http://HOST:PORT; else as the file of the key says, or who serves the store.")
    @functools.wraps(command)
    def with_door(*args: Any, **rest: Any) -> object:
        return command(*args, **rest)

    return with_door


def state(settings: Settings, symbol: str = "") -> tuple[Partition, Directory]:
    """The partition (that of *symbol*) as the record has it now, and what people call its things."""
    from adapters import names
    from adapters.directory import Directory
    from adapters.wiring import reading

    with reading(settings, symbol) as opened, block_progress("read") as show:
        partition = opened.state(show)
    return partition, Directory(partition, names.load(settings.folder))


def opened_writer(store: Store) -> Writer:
    """The writer of *store*; a bar is shown while it rebuilds the partition from a long record."""
    with block_progress("open") as show:
        return store.writer(show)


@contextmanager
def trading(settings: Settings, symbol: str = "") -> Iterator[Market]:
    """The store (the partition of *symbol*) opened for trading by hand; says so when it was empty and got the example market."""
    from adapters import example, market

    with market.trading(settings, symbol, opened_writer) as opened:
        if opened.began:
            click.echo(example.SAYS, err=True)
        yield opened
