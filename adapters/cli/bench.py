"""`outcry bench`: how fast, measured here and now."""

from __future__ import annotations

import click

from adapters.cli.output import Answer, answers


@click.command()
@click.argument("what", type=click.Choice(["kernel", "block", "store", "embedded", "replay"]))
@click.option("--flow", type=click.Choice(["cross", "cancel", "deep", "sparse"]), default="cross", show_default=True)
@click.option("--accounts", type=click.IntRange(1), default=64, show_default=True)
@click.option("--instruments", type=click.IntRange(1), default=1, show_default=True)
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True)
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
    return Answer(benchmarks.cli.run(what, options))


COMMANDS = (bench,)
