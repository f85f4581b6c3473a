"""`outcry feed`: a whole day of another venue, or a simulated one, into the record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers
from adapters.cli.progress import block_progress, progress

if TYPE_CHECKING:
    from adapters.feed import Feed, Judge
    from adapters.settings import Settings
    from adapters.wiring import Store

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def feed() -> None:
    """Run a whole market into a store of its own.

    Run again, it goes on where the record ends.
    """


@feed.command()
@click.argument("file", type=FILE)
@options.embedded
@answers
def itch(file: Path, settings: Settings) -> Answer:
    """A file of Nasdaq TotalView-ITCH 5.0 messages."""
    from adapters.itch_feed import ItchFeed

    return _run(ItchFeed(file), _source("itch", file), settings)


@feed.command()
@click.argument("zip", type=FILE)
@options.embedded
@answers
def lobster(zip: Path, settings: Settings) -> Answer:  # noqa: A002 - what the argument is called
    """A LOBSTER day: a ZIP of messages and book."""
    from adapters.lobster_feed import LobsterFeed

    return _run(LobsterFeed(zip), _source("lobster", zip), settings)


@feed.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same market, byte for byte.")
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True, help="How many commands, set-up included.")
@options.embedded
@answers
def simulate(seed: int, commands: int, settings: Settings) -> Answer:
    """A simulated market of makers, takers and cancellers."""
    from adapters.simulate import SimulatedFeed

    return _run(SimulatedFeed(seed=seed, commands=commands), f"simulate {seed}", settings)


def _source(kind: str, file: Path) -> str:
    from adapters.feed import file_source

    with progress(f"read {file.name}") as show:
        return file_source(kind, file, show)


def _run(source_feed: Feed, source: str, settings: Settings) -> Answer:
    """Drive the feed, then let its judge (when it has one) read the record."""
    from adapters.drive import drive
    from adapters.wiring import writing

    with writing(settings) as store:
        with progress("feed") as show:
            tally = drive(store, source_feed, source, show, options.opened_writer)
        with block_progress("read back") as show_blocks:
            fields: dict[str, Any] = asdict(tally) | {"state_hash": store.state(show_blocks).state_hash()}
        if source_feed.judge is not None:
            fields |= _judged(store, source_feed.judge)
    return Answer(fields | {"store": str(settings.store)})


def _judged(store: Store, judge: Judge) -> dict[str, Any]:
    """What became of the venue's own executions, by the whole record."""
    from replay import source

    with block_progress("compare with the venue") as show:
        for block in source.blocks(store.log, store.number, progress=show):
            judge.see(*block.rows())
    return asdict(judge.verdict())


COMMANDS = (feed,)
