"""Views in Redis: the workers that keep them, how they are, and how they are made anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.settings import Settings


class ViewNames(click.ParamType):
    """Names of views after commas, or all."""

    name = "views"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Each of them, once, in the order of docs/views.md."""
        from projections.embedded import FOLDS

        names = set(FOLDS) if value == "all" else set(str(value).split(","))
        for wrong in sorted(names - set(FOLDS)):
            self.fail(f"no view {wrong!r}; there are {', '.join(FOLDS)}, all", param, ctx)
        return [name for name in FOLDS if name in names]


@click.group()
def worker() -> None:
    """Workers beside those that trade."""


@worker.command("views")
@click.option("--views", "names", type=ViewNames(), default="all", show_default=True, help="Which ones: quotes,depth,trades …")
@options.record
@answers
def worker_views(settings: Settings, names: list[str]) -> Answer:
    """Keep views in Redis until SIGTERM or ctrl-C.

    Fed by Kafka and, where that has not all, by the record in Postgres. Workers that are given the same --views share the partitions
    among them; a view should be kept by one such group. Logs go to stderr, metrics and readiness are at the port that the first line
    names, as of `outcry serve`.
    """
    from adapters import serving, wiring
    from projections.embedded import FOLDS

    folds = {name: FOLDS[name] for name in names}
    called = serving.serve(settings, lambda given: wiring.keeping(given, folds))
    return Answer({"worker": called, "views": names, "stopped": True}, shown=[])


@click.command()
@options.record
@answers
def views(settings: Settings) -> Answer:
    """How the views in Redis are.

    Of each view and partition the block that it is as of, how many blocks of the record it does not show, its generation (how often it
    was rebuilt), and why it stands still, if it does. Exit code 1 when one of them was stopped by a block that it could not take in.
    """
    from adapters import wiring
    from projections.embedded import FOLDS

    found = []
    with wiring.views(settings) as store:
        for partition in range(1, settings.partitions + 1):
            for name in FOLDS:
                status, head = store.view(name).status(partition), store.log.head(partition)
                found.append({"view": name, "partition": partition, "record": head.seq, **status._asdict()})
    for each in found:
        each["behind"] = max(each["record"] - each["seq"], 0)
    columns = ("view", "partition", "seq", "behind", "generation", "stopped")
    table = Table(
        ("view", "partition", "as of block", "behind", "generation", "stopped"), [[row[name] for name in columns] for row in found]
    )
    ok = not any(each["stopped"] for each in found)
    return Answer({"ok": ok, "views": found}, [table], ok=ok)


@click.command()
@click.argument("view", type=ViewNames())
@options.record
@answers
def rebuild(settings: Settings, view: list[str]) -> Answer:
    """Fold VIEW (a name, several after commas, or all) anew from the first block.

    Into keys of their own, beside what is looked at and goes on to be kept; the new ones are looked at, in one step for each partition,
    when they are as far. Then the old ones are removed.
    """
    from adapters import wiring
    from projections.embedded import FOLDS
    from projections.rebuild import rebuild as anew

    done = []
    with wiring.views(settings) as store:
        for name in view:
            for partition in range(1, settings.partitions + 1):
                began_s, old = time.monotonic(), store.view(name).status(partition).generation
                if old:  # one that was killed may have left what it had replaced
                    store.view(name, old - 1).clear(partition)
                new = store.view(name, old + 1)
                with block_progress(f"{name}, partition {partition}") as show:
                    seq = anew(partition, FOLDS[name](), store.log, new, show)
                store.view(name, old).clear(partition)
                events, took_s = store.log.head(partition).next_event, time.monotonic() - began_s
                done.append(
                    {
                        "view": name,
                        "partition": partition,
                        "seq": seq,
                        "generation": old + 1,
                        "seconds": round(took_s, 3),
                        "events_per_s": round(events / took_s),
                    }
                )
    return Answer({"rebuilt": done}, [Table(tuple(done[0]), [list(each.values()) for each in done])])


COMMANDS = (worker, views, rebuild)
