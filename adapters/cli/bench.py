"""`outcry bench`: how fast, measured here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from adapters.cli.output import Answer, answers

ON_ITSELF: Final = ("kernel", "block", "store", "embedded", "replay", "folds", "archive", "doors", "push", "storm")
ON_SERVERS: Final = (
    "postgres",
    "relay",
    "stack",
    "latency",
    "failover",
    "restart",
    "partitions",
    "faust",
    "rebuild",
    "redis",
    "warm",
    "balances",
    "opensearch",
    "alerts",
    "front",
)


@click.command()
@click.argument("what", type=click.Choice([*ON_ITSELF, *ON_SERVERS]))
@click.option("--flow", type=click.Choice(["cross", "cancel", "deep", "sparse"]), help="Else cross; restart: deep.")
@click.option(
    "--accounts", type=click.IntRange(2, 10_485_760), help="Else 64; postgres, restart: a million; warm: 50,000; balances: ten million."
)
@click.option("--instruments", type=click.IntRange(1, 65_535), default=1, show_default=True)
@click.option("--commands", type=click.IntRange(1), help="Else a million; of an interpreted kernel 20,000.")
@click.option("--resting", type=click.IntRange(0), help="Orders in the book before time is taken; else as the flow has it.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--runs", type=click.IntRange(3), help="Else five; on servers three.")
@click.option(
    "--against", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Kernel only: another kernel to run on the flow."
)
@click.option(
    "--stack",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="On servers: use those of the stack in this folder, with databases and topics of the benchmark's own; else it starts some.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1),
    help="Orders a second. latency: else a third of the capacity; failover: else 10,000; redis: else 200,000 trades, alerts: 100,000;"
    " push: changes of a price, else 2; doors: else as fast as they go.",
)
@click.option("--through", type=click.Choice(["process", "kafka"]), help="latency: how orders come in and answers go out; else process.")
@click.option("--kills", type=click.IntRange(1, 1_000), help="failover: how often the owner is killed; else 20.")
@click.option(
    "--events",
    type=click.IntRange(1),
    help="restart, rebuild, archive: how many are on record (restart: after the snapshot); else ten million.",
)
@click.option("--documents", type=click.IntRange(1), help="opensearch: how many are searched, at least; else 300,000.")
@click.option("--rules", type=click.IntRange(1_000, 1_000_000), help="alerts: how many are in force; else 100,000.")
@click.option("--batch", is_flag=True, default=None, help="doors: batches over one socket, instead of single orders.")
@click.option("--clients", type=click.IntRange(1, 60_000), help="push, storm: sockets, else 9,500; doors --rate: idle ones beside.")
@answers
def bench(what: str, **options: object) -> Answer:
    """Measure one stage of the path, or all of it.

    kernel, block, store, embedded, replay, folds, archive, doors, push and storm need nothing but this machine. The others run on real
    servers: unless --stack names some (front: always), in a folder of their own, gone afterwards.

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
