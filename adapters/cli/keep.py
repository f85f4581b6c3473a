"""Views in Redis and the audit index in OpenSearch: the workers that keep them, how they are, and how they are made anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.settings import Settings
    from adapters.wiring import AuditStore, ViewStore
    from eventstore.ports import BlockLog
    from projections.rebuild import Generation
    from projections.states import Begun
    from projections.view import Fold


class ViewNames(click.ParamType):
    """Names of views after commas, or all of those in Redis. also: names that are no views of that list, and may be given alone."""

    name = "views"

    def __init__(self, *also: str) -> None:
        self._also = also

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Each of them, once, in the order of docs/views.md."""
        from projections.embedded import FOLDS

        names, known = set(FOLDS) if value == "all" else set(str(value).split(",")), [*_folds(), *self._also]
        for wrong in sorted(names - set(known)):
            self.fail(
                f"no view {wrong!r}; there are {', '.join(known)}, and all, which are those without {' and '.join(known[len(FOLDS) :])}",
                param,
                ctx,
            )
        return [name for name in known if name in names]


def _folds() -> dict[str, Callable[[], Fold]]:
    """Every view by name, and what makes its fold."""
    from adapters.wiring import AUDIT
    from projections.audit import Audit
    from projections.embedded import FOLDS

    return {**FOLDS, AUDIT: Audit}


@click.group()
def worker() -> None:
    """Workers beside those that trade."""


@worker.command("views")
@click.option("--views", "names", type=ViewNames(), default="all", show_default=True, help="Which ones: quotes,depth,trades …")
@options.record
@answers
def worker_views(settings: Settings, names: list[str]) -> Answer:
    """Keep views in Redis, or (--views audit) the audit index in OpenSearch, until SIGTERM or ctrl-C.

    Fed by Kafka and, where that has not all, by the record in Postgres. Workers that are given the same --views share the partitions
    among them; a view should be kept by one such group. Logs go to stderr, metrics and readiness are at the port that the first line
    names, as of `outcry serve`.
    """
    from adapters import serving, wiring

    if wiring.AUDIT in names and len(names) > 1:
        raise click.UsageError(
            "audit is kept by workers of its own, since a slow OpenSearch would hold the other views up; right would be --views audit"
        )
    folds = {name: make for name, make in _folds().items() if name in names}
    called = serving.serve(settings, lambda given: wiring.keeping(given, folds))
    return Answer({"worker": called, "views": names, "stopped": True}, shown=[])


@click.command()
@options.record
@answers
def views(settings: Settings) -> Answer:
    """How the views in Redis and the audit index in OpenSearch are.

    Of each view and partition the block that it is as of, how many blocks of the record it does not show, its generation (how often it
    was rebuilt), and why it stands still, if it does. Exit code 1 when one of them was stopped by a block that it could not take in, or
    when the audit index refuses documents.
    """
    found = list(_statuses(settings))
    for each in found:
        each["behind"] = max(each["record"] - each["seq"], 0)
    columns = ("view", "partition", "seq", "behind", "generation", "stopped")
    table = Table(
        ("view", "partition", "as of block", "behind", "generation", "stopped"), [[row[name] for name in columns] for row in found]
    )
    refused = [
        f"REFUSED: {each['refused']} documents of partition {each['partition']} lie beside the audit index, with reasons; docs/operating.md"
        for each in found
        if each.get("refused")
    ]
    ok = not refused and not any(each["stopped"] for each in found)
    return Answer({"ok": ok, "views": found}, [table, *refused], ok=ok)


def _statuses(settings: Settings) -> Iterator[dict[str, Any]]:
    """How each view is, of each partition. One that cannot be asked keeps nobody from asking the others."""
    from adapters import wiring
    from adapters.alerts.stream import VIEW
    from projections.embedded import FOLDS
    from projections.view import ViewAway

    if settings.redis or not settings.opensearch:
        with wiring.views(settings) as store:
            for partition in range(1, settings.partitions + 1):
                for name in (*FOLDS, VIEW):
                    status, head = store.view(name).status(partition), store.log.head(partition)
                    yield {"view": name, "partition": partition, "record": head.seq, **status._asdict()}
    if settings.opensearch:
        with wiring.audit(settings) as index:
            for partition in range(1, settings.partitions + 1):
                shown = {"view": wiring.AUDIT, "partition": partition, "record": index.log.head(partition).seq}
                try:
                    yield shown | index.view().status(partition)._asdict()
                except ViewAway as away:
                    yield shown | {"seq": 0, "generation": 0, "stopped": str(away)}


@click.command()
@click.argument("view", type=ViewNames("alerts"))
@click.option(
    "--from",
    "source",
    type=click.Choice(["genesis", "snapshot", "archive"]),
    default="genesis",
    show_default=True,
    help="Where to begin: at the first block of the record; with the newest state of the fold that a worker of this machine kept; "
    "at the first block of the archive, and the record has the rest.",
)
@options.archive
@options.record
@answers
def rebuild(settings: Settings, view: list[str], source: str) -> Answer:
    """Fold VIEW (a name, several after commas, or all) anew.

    Into keys of their own, beside what is looked at and goes on to be kept; the new ones are looked at, in one step for each partition,
    when they are as far. Then the old ones are removed. The rows are the same, byte for byte, wherever it begins. `alerts` is the stream of
    them: what was delivered is not delivered again.
    """
    from adapters import wiring
    from adapters.alerts.stream import VIEW

    if source == "snapshot":
        _refuse_those_without_all_rows(view)
    done = list[dict[str, Any]]()
    for name in view:
        if name == VIEW:
            done += _alerts_rebuilt(settings, source)
            continue
        with wiring.audit(settings) if name == wiring.AUDIT else wiring.views(settings) as store:
            logs = [*_archive(settings, source), store.log]
            for partition in range(1, settings.partitions + 1):
                done.append(_rebuilt(store, name, partition, _begun(store, name, partition, source), logs))
    return Answer({"rebuilt": done}, [Table(tuple(done[0]), [list(each.values()) for each in done])])


def _refuse_those_without_all_rows(names: list[str]) -> None:
    from projections.view import Whole

    whole = [name for name, fold in _folds().items() if isinstance(fold(), Whole)]
    for name in names:
        if name not in whole:
            right = f"right would be --from genesis, or one of {', '.join(whole)}"
            raise click.UsageError(f"--from snapshot: {name} shows rows of the past that no state of its fold has; {right}")


def _archive(settings: Settings, source: str) -> list[BlockLog]:
    from eventstore.cold import ArchiveLog

    return [ArchiveLog(settings.archive_url)] if source == "archive" else []


def _begun(store: ViewStore | AuditStore, name: str, partition: int, source: str) -> Begun:
    """What a rebuild begins with."""
    from projections.states import Begun

    make = _folds()[name]
    begun = Begun(make(), 0, 0)
    if source == "snapshot" and not (begun := store.states().newest(name, partition, make)).seq:
        none = f"no state of {name}, partition {partition}, that fits the record is kept in {store.states_folder}"
        raise click.UsageError(f"--from snapshot: {none}; right would be --from genesis")
    return begun


def _rebuilt(store: ViewStore | AuditStore, name: str, partition: int, begun: Begun, logs: Sequence[BlockLog]) -> dict[str, Any]:
    """Rebuild one view of one partition: what was done."""
    began_s, old = time.monotonic(), store.view(name).status(partition).generation
    if old:  # one that was killed may have left what it had replaced
        store.view(name, old - 1).clear(partition)
    new = store.view(name, old + 1)
    seq = _folded(name, partition, begun, logs, new)
    store.view(name, old).clear(partition)
    return _done(name, partition, begun, seq, old + 1, store.log.head(partition).next_event, time.monotonic() - began_s)


def _alerts_rebuilt(settings: Settings, source: str) -> Iterator[dict[str, Any]]:
    """Rebuild the stream of each partition: what was done."""
    from adapters import wiring
    from adapters.alerts.stream import VIEW, AlertStream
    from adapters.alerts.worker import ruled
    from projections.states import Begun

    with wiring.views(settings) as store, wiring.alert_rules(settings) as rules:
        for partition in range(1, settings.partitions + 1):
            began_s, begun = time.monotonic(), Begun(ruled(rules), 0, 0)
            new = AlertStream(store.client, store.log.cluster, anew=True)
            seq = _folded(VIEW, partition, begun, [*_archive(settings, source), store.log], new)
            yield _done(VIEW, partition, begun, seq, 0, store.log.head(partition).next_event, time.monotonic() - began_s)


def _folded(name: str, partition: int, begun: Begun, logs: Sequence[BlockLog], new: Generation) -> int:
    from projections.rebuild import rebuild as anew

    with block_progress(f"{name}, partition {partition}") as show:
        return anew(partition, begun, logs, new, show)


def _done(name: str, partition: int, begun: Begun, seq: int, generation: int, events: int, took_s: float) -> dict[str, Any]:
    return {
        "view": name,
        "partition": partition,
        "from_block": begun.seq + 1,
        "seq": seq,
        "generation": generation,
        "seconds": round(took_s, 3),
        "events_per_s": round((events - begun.events) / took_s),
    }


COMMANDS = (worker, views, rebuild)
