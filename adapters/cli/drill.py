"""`outcry drill`: what happens to the market when something breaks, tried on real servers, judged by an oracle."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.drill.run import Result


@click.command()
@click.argument("name")
@click.option("--short", is_flag=True, help="Little load: seconds instead of a minute each.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of everything that is left to chance.")
@click.option(
    "--controls/--no-controls", default=True, help="Also try each without its safeguard: that must be caught.  [default: controls]"
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where servers, logs and the clients' intents lie; else a new one."
)
@answers
def drill(name: str, *, short: bool, seed: int, controls: bool, folder: Path | None) -> Answer:
    """Break something under load, and see whether a promise breaks: NAME of a drill, `all`, or `list`.

    Each drill starts real servers of its own, two workers and a load that writes down what it means to send and what it was told. Then an
    oracle, which knows nothing of the engine, compares that with what lies in Postgres and in Kafka: what was acknowledged is there, once,
    as it was said; one chain without fork; the topic a copy; all money accounted for. Where views are kept, a reader looks at them all the
    time: what he saw must be what the events make at the very block that he was told.
    """
    from adapters.drill.drills import BY_NAME, DRILLS
    from adapters.drill.run import LONG, SHORT, run

    if name == "list":
        rows = [(each.name, each.happens, each.control.without) for each in DRILLS]
        fields = {"drills": [{"drill": each, "fault": happens, "control": without} for each, happens, without in rows]}
        return Answer(fields, [Table(("drill", "fault", "control: without its safeguard"), rows)])
    if name != "all" and name not in BY_NAME:
        raise click.UsageError(f"there is no drill {name!r}; right would be all, list, or one of {', '.join(BY_NAME)}")
    chosen = DRILLS if name == "all" else (BY_NAME[name],)
    place = folder or Path(tempfile.mkdtemp(prefix="outcry-drill-"))
    results = list(run(chosen, place, seed, SHORT if short else LONG, _say, controls=controls))
    if folder is None and all(result.passed for result in results):
        shutil.rmtree(place, ignore_errors=True)
    return _answer(results, seed, place)


def _say(what: str) -> None:
    click.echo(f"drill: {what}", err=True)


def _answer(results: list[Result], seed: int, place: Path) -> Answer:
    passed = all(result.passed for result in results)
    fields: dict[str, Any] = {"seed": seed, "passed": passed, "drills": [result.fields() for result in results]}
    columns = ("drill", "what happens", "seconds", "acknowledged", "lost", "doubled", "longest pause, s", "verdict")
    rows = [
        (
            result.drill if not result.control else "  control",
            result.happens if not result.control else f"without: {result.control}",
            round(result.seconds, 1),
            result.verdict.acknowledged,
            len(result.verdict.lost),
            len(result.verdict.doubled),
            round(result.verdict.longest_pause_s, 2),
            result.says,
        )
        for result in results
    ]
    caught = ", and every missing safeguard was caught" if any(result.control for result in results) else ""
    said = f"every promise held{caught}" if passed else f"look at the verdicts; logs and intents are in {place}"
    return Answer(fields, [Table(columns, rows), f"seed {seed}: {said}"], ok=passed)


COMMANDS = (drill,)
