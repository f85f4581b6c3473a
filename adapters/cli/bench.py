"""`outcry bench`: how fast, measured here and now."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.cli.output import Answer, answers


@click.command()
@click.argument("what", type=click.Choice(["kernel", "block", "store", "embedded", "replay"]))
@click.option("--flow", type=click.Choice(["cross", "cancel", "deep", "sparse"]), default="cross", show_default=True)
@click.option("--accounts", type=click.IntRange(2, 10_485_760), default=64, show_default=True)
@click.option("--instruments", type=click.IntRange(1, 65_535), default=1, show_default=True)
@click.option("--commands", type=click.IntRange(1), help="Else a million; of an interpreted kernel 20,000.")
@click.option("--resting", type=click.IntRange(0), help="Orders in the book before time is taken; else as the flow has it.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--runs", type=click.IntRange(3), help="Else five.")
@click.option(
    "--against", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Kernel only: another kernel to run on the flow."
)
@answers
def bench(what: str, **options: object) -> Answer:
    """Measure one stage of the path on one flow.

    Medians of at least three runs. Works from a checkout only.
    """
    try:
        import benchmarks.cli
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "benchmarks":
            raise
        raise click.UsageError("the benchmarks are not installed: they are part of a checkout (`make bench` there)") from None
    try:
        return Answer(benchmarks.cli.run(what, options))
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None


COMMANDS = (bench,)
