"""`outcry demo`, which `make run` runs: a simulated market through the whole path into a fresh store, and the proof of its record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import progress

if TYPE_CHECKING:
    from adapters.wiring import Store


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option(
    "--store", type=click.Path(file_okay=False, path_type=Path), default=None, help="A folder without a record; a new one unless told."
)
@answers
def demo(seed: int, commands: int, store: Path | None) -> Answer:
    """A simulated market, recorded, read back, verified, replayed and re-executed. Exit code 1 when the three states differ."""
    from adapters.wiring import writing

    folder = store or Path(tempfile.mkdtemp(prefix="outcry-demo-"))
    with writing(folder) as opened:
        facts = _market(opened, seed, commands)
        proof = _proof(opened)
    same = len(set(proof.values())) == 1
    top = facts.pop("top_of_book")
    shown: list[Table | str] = [
        Table(("", ""), list(facts.items())),
        Table(("symbol", "bid size", "bid", "ask", "ask size"), [tuple(row.values()) for row in top], "top of book"),
        Table(("state hash of what was", ""), list(proof.items())),
        f"{'the three are one state' if same else 'THE STATES DIFFER'}; the record is in {folder}",
    ]
    return Answer({**facts, "top_of_book": top, "state_hashes": proof, "same": same, "store": str(folder)}, shown, ok=same)


def _market(store: Store, seed: int, commands: int) -> dict[str, Any]:
    """Run the market; what it came to."""
    from dataclasses import asdict

    from adapters.drive import drive
    from adapters.simulate import SimulatedFeed

    with progress("market") as show:
        tally = drive(store, SimulatedFeed(seed=seed, commands=commands), f"simulate {seed}", show)
    return asdict(tally)


def _proof(store: Store) -> dict[str, bytes]:
    """The state three times over: as the writer left it, by applying the recorded events, by running the recorded commands again."""
    raise NotImplementedError(store)


COMMANDS = (demo,)
