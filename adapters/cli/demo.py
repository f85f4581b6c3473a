"""`outcry demo`, which `make run` runs: a venue to try; or, once, a simulated market through the whole path, and its proof."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress, progress

if TYPE_CHECKING:
    from adapters.drive import Tally
    from adapters.settings import Settings
    from adapters.wiring import Store


@click.command()
@click.option("--once", is_flag=True, help="A simulated market into a new folder, or that of --store, and the proof of its record.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the robot; with --once of the market.")
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True, help="With --once: how many, set-up included.")
@click.option("--store", type=click.Path(file_okay=False, path_type=Path), help="Folder of the venue; else OUTCRY_STORE and the settings.")
@click.option("--robot/--no-robot", default=True, help="Whether a market maker quotes.")
@answers
def demo(seed: int, commands: int, store: Path | None, *, once: bool, robot: bool) -> Answer:
    """A venue to try, until ctrl-C.

    People with keys, instruments, funds made of nothing, and a robot that quotes; REST and WebSockets on the loopback interface. It
    says where they are and what to type. The next time it goes on where it ended.

    With --once a simulated market is recorded, and its record is read back, verified, replayed and re-executed. Exit code 1 when the
    states differ.
    """
    if once:
        return _proved(seed, commands, store or Path(tempfile.mkdtemp(prefix="outcry-demo-")))
    return _served(seed if robot else None, store)


def _served(seed: int | None, store: Path | None) -> Answer:
    """seed: of the robot; None: there is none."""
    from adapters import serving, wiring
    from adapters.cli.bot import quoting
    from adapters.doors.demo import demonstrated

    settings = options.settings_of(store, profile="embedded", test_mode=True)
    robot = (lambda _key: nullcontext()) if seed is None else partial(quoting, seed)
    beside = partial(demonstrated, settings, robot, partial(_say, settings))
    return Answer({"worker": serving.serve(settings, partial(wiring.serving, beside=beside)), "stopped": True}, shown=[])


def _say(settings: Settings, rest: str, websocket: str) -> None:
    """Where the doors are, and what to type, as it must be typed where this was."""
    import domain.partition
    from adapters.doors import keys
    from adapters.doors.seed import INSTRUMENTS, PEOPLE

    found, called = shutil.which("outcry"), sys.argv[0]
    outcry = "outcry" if found and Path(found).resolve() == Path(called).resolve() else shlex.quote(called)
    store = shlex.quote(str(settings.store))
    lines = [
        "",
        f"The venue is open: REST {rest}/v1 (described at {rest}/docs), WebSocket {websocket}",
        f"Keys and passwords of {', '.join(PEOPLE)}: {settings.store / keys.FOLDER}",
        f"{', '.join(INSTRUMENTS)} are open. In another terminal try:",
        f"  curl {rest}/v1/instruments/ACME/book",
        f"  {outcry} order buy ACME 5 @ 13.00 --account alice --store {store}",
        f"  {outcry} watch ACME --store {store}",
    ]
    if str(domain.partition.__file__).endswith(".py"):
        lines.append("The kernel runs interpreted: right, but about fifty times slower. `make kernel` compiles it, in a few minutes.")
    click.echo("\n".join([*lines, "Ctrl-C ends it; the next time it goes on here."]), err=True)


def _proved(seed: int, commands: int, folder: Path) -> Answer:
    from adapters import names
    from adapters.cli import views
    from adapters.directory import Directory
    from adapters.wiring import RECORD, reading, writing

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
