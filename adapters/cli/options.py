"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.directory import Directory
    from adapters.market import Market
    from adapters.settings import Settings
    from adapters.wiring import Store
    from commands.writer import Writer
    from domain.partition import Partition


def settings_of(folder: Path | None) -> Settings:
    """The settings of this process, with *folder* as the store when one is named. Raises BadSettings, OSError."""
    import os

    from adapters.settings import load

    return load(os.environ, store=folder)


store = click.option(
    "--store",
    "settings",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _context, _option, folder: settings_of(folder),
    help="Folder of the record; else OUTCRY_STORE, the file of settings, or a folder of your data directory.",
)
account = click.option("--account", metavar="NAME", required=True, help="Whose it is: a name of this store, or a number.")


def state(settings: Settings) -> tuple[Partition, Directory]:
    """The partition as the record has it now, and what people call its things."""
    from adapters import names
    from adapters.directory import Directory
    from adapters.wiring import reading

    with reading(settings) as opened, block_progress("read") as show:
        partition = opened.state(show)
    return partition, Directory(partition, names.load(settings.store))


def opened_writer(store: Store) -> Writer:
    """The writer of *store*; a bar is shown while it rebuilds the partition from a long record."""
    with block_progress("open") as show:
        return store.writer(show)


@contextmanager
def trading(settings: Settings) -> Iterator[Market]:
    """The store opened for trading by hand; says so when it was empty and got the example market."""
    from adapters import example, market

    with market.trading(settings) as opened:
        if opened.began:
            click.echo(example.SAYS, err=True)
        yield opened
