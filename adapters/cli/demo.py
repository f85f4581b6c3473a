"""`outcry demo`, which `make run` runs: a simulated market through the whole path into a fresh store, and the proof of its record."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress, progress

if TYPE_CHECKING:
    from adapters.drive import Tally
    from adapters.wiring import Store


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same market, byte for byte.")
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True, help="How many commands, set-up included.")
@click.option("--store", type=click.Path(file_okay=False, path_type=Path), help="A folder without a record; unless told a new one.")
@answers
def demo(seed: int, commands: int, store: Path | None) -> Answer:
    """A simulated market, recorded and proved.

    The record is read back, verified, replayed and re-executed. Exit code 1 when the states differ.
    """
    from adapters import names
    from adapters.cli import views
    from adapters.directory import Directory
    from adapters.wiring import RECORD, reading, writing

    folder = store or Path(tempfile.mkdtemp(prefix="outcry-demo-"))
    settings = options.settings_of(folder)
    with writing(settings) as opened:
        tally = _market(opened, seed, commands)
    with reading(settings) as opened:
        partition = opened.state()
        hashes = {"written": partition.state_hash(), **_proof(opened)}
        top = views.top_of_book(partition, Directory(partition, names.load(folder)))
    facts = asdict(tally) | {
        "commands_per_s": round(tally.commands / tally.seconds),
        "bytes_per_event": round((folder / RECORD).stat().st_size / max(1, tally.events), 2),
    }
    same = len(set(hashes.values())) == 1
    shown: list[Table | str] = [
        Table(("", ""), list(facts.items())),
        Table(tuple(top[0]), [tuple(row.values()) for row in top]) if top else "no instrument is listed",
        Table(("the state", "its hash"), list(hashes.items())),
        f"{'All three are one state.' if same else 'THE STATES DIFFER.'} The record is in {folder}",
    ]
    return Answer({**facts, "top_of_book": top, "state_hashes": hashes, "same": same, "store": str(folder)}, shown, ok=same)


def _market(store: Store, seed: int, commands: int) -> Tally:
    from adapters.drive import drive
    from adapters.simulate import SimulatedFeed

    with progress("market", 0) as show:
        return drive(store, SimulatedFeed(seed=seed, commands=commands), f"simulate {seed}", show, options.opened_writer)


def _proof(store: Store) -> dict[str, bytes]:
    """Hash of the state twice more: the record read back, its chain verified and its events applied; its commands executed again."""
    from replay import reexecute, source

    with block_progress("read back, verify, replay", 0) as show:
        verified = source.verify(store.log, store.number, show)
    with block_progress("re-execute", 0) as show:
        executed = reexecute.reexecute(store.log, store.number, show)
    return {"replayed": verified.state_hash, "re-executed": executed.state_hash}


COMMANDS = (demo,)
