"""The record as a whole: verify, diff, export."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    import random

    from adapters.settings import Settings
    from adapters.wiring import ViewStore


@click.command()
@click.option("--views", is_flag=True, help="Check the views in Redis instead: the record is folded anew and compared with a sample.")
@click.option("--archive", "archived", is_flag=True, help="Check the archive instead: each block of it, and against the record.")
@click.option("--sample", type=click.IntRange(1, 65_536), default=1_000, show_default=True, help="Of each view: groups of rows, at random.")
@click.option("--partitions", "count", type=click.IntRange(1), default=None, help="--views: of so many at random; all unless told.")
@click.option("--seed", type=click.IntRange(0), default=None, help="--views: what is chosen at random is chosen again; else another time.")
@options.source
@options.record
@answers
def verify(settings: Settings, *, views: bool, archived: bool, sample: int, count: int | None, seed: int | None, source: str) -> Answer:
    """Check the whole record.

    Reads every block, checks the chain of hashes and applies the events; in a stack of every partition, and compares the copies in Kafka
    and in the standby of Postgres. Exit code 1 when anything is not as it was committed: it names partition, block and what differs.
    """
    from adapters.cli import findings
    from adapters.wiring import reading
    from eventstore.ports import CONSUMER_PARTITION
    from replay.source import verify as read_through

    if views:
        return _verify_views(settings, sample, count, secrets.randbits(32) if seed is None else seed)
    if archived:
        return _verify_archive(settings, source)
    if settings.profile == "stack" and source == "record":
        return _verify_stack(settings)
    with reading(settings, source=source) as opened, block_progress("verify") as show:
        found = read_through(opened.log, opened.number, show)
        registry = read_through(opened.log, CONSUMER_PARTITION) if CONSUMER_PARTITION in opened.log.partitions() else None
    fields, shown = asdict(found), findings.bad(found.first_bad)
    if registry is not None:
        fields |= {"ok": found.ok and registry.ok, "registry": asdict(registry)}
        shown += findings.bad(registry.first_bad)
    return Answer(fields, [findings.facts(fields, "first_bad", "registry"), *shown], ok=bool(fields["ok"]))


def _verify_stack(settings: Settings) -> Answer:
    from contextlib import closing

    from adapters import copies
    from adapters.cli import findings
    from adapters.wiring import postgres

    with closing(postgres(settings)) as log:
        found = []
        for number in sorted({*log.partitions(), *range(1, settings.partitions + 1)}):
            with block_progress(f"verify partition {number}") as show:
                found.append(copies.check(settings, log, number, show))
    ok = all(checked.ok for checked in found)
    first_bad = next((checked.record.first_bad for checked in found if checked.record.first_bad), None)
    rows: list[tuple[object, ...]] = []
    wrong = []
    for checked in found:
        record = checked.record
        rows.append((checked.partition, "postgres", record.blocks, 0, record.ok, record.state_hash.hex()[:16]))
        rows += [(checked.partition, copy.name, copy.blocks, copy.behind, copy.difference is None, "") for copy in checked.copies]
        wrong += findings.bad(record.first_bad)
        wrong += [
            f"NOT A COPY: {copy.name}, partition {checked.partition}: {copy.difference}" for copy in checked.copies if copy.difference
        ]
    fields = {
        "ok": ok,
        "blocks": sum(checked.record.blocks for checked in found),
        "events": sum(checked.record.events for checked in found),
        "durability": log.durability,
        "first_bad": None if first_bad is None else asdict(first_bad),
        "partitions": [asdict(checked) | {"ok": checked.ok} for checked in found],
    }
    shown = Table(("partition", "where", "blocks", "behind", "ok", "state hash"), rows)
    return Answer(fields, [shown, log.durability, *wrong], ok=ok)


def _verify_archive(settings: Settings, source: str) -> Answer:
    from contextlib import ExitStack

    from adapters import wiring
    from eventstore.checking import check

    shelf = wiring.shelf(settings)
    with ExitStack() as opened:
        log = opened.enter_context(wiring.reading(settings)).log if source == "record" else None
        found = []
        for partition in shelf.partitions():
            with block_progress(f"verify the archive of partition {partition}") as show:
                found.append(check(shelf, partition, log, show))
    ok = all(each.ok for each in found)
    columns = ("partition", "ranges", "blocks", "events", "size_bytes", "compared", "ok")
    rows = [[getattr(each, name) for name in columns] for each in found]
    wrong = [f"NOT AS ARCHIVED: {bad.file}, blocks {bad.from_seq} to {bad.to_seq}: {bad.what}" for each in found if (bad := each.first_bad)]
    fields = {"ok": ok, "archive": shelf.name, "partitions": [asdict(each) for each in found]}
    return Answer(fields, [Table(columns, rows, shelf.name), *wrong], ok=ok)


def _verify_views(settings: Settings, sample: int, count: int | None, seed: int) -> Answer:
    """*sample* groups of rows of each view, and *count* partitions (None: all), chosen by *seed*, each as of the block it is as of then."""
    import random

    from adapters import wiring
    from adapters.redis_view import BUCKETS, bucket_of
    from projections.embedded import FOLDS
    from projections.proof import Proof

    every, dice = range(1, settings.partitions + 1), random.Random(seed)
    partitions = sorted(dice.sample(every, min(count or settings.partitions, settings.partitions)))
    found = list(_verify_audit(settings, sample, partitions, dice)) if settings.opensearch else []
    if not settings.redis and found:
        return _verified(found, seed)
    with wiring.views(settings) as store:
        for name, fold in FOLDS.items():
            for partition in partitions:
                view = store.view(name)
                if not view.status(partition).seq:
                    continue  # nobody keeps it
                proof = Proof(partition, fold(), store.log, view, bucket_of, BUCKETS)
                with block_progress(f"verify {name}, partition {partition}") as show:
                    compared = proof.compare(sample, dice, show)
                found.append({"view": name, "partition": partition, **asdict(compared)})
        found += _verify_alerts(settings, store, partitions)
    return _verified(found, seed)


def _verify_alerts(settings: Settings, store: ViewStore, partitions: Sequence[int]) -> Iterator[dict[str, Any]]:
    """All alerts of the stream, evaluated anew."""
    from adapters import wiring
    from adapters.alerts.proof import AlertsProof
    from adapters.alerts.stream import VIEW, AlertStream
    from adapters.alerts.worker import ruled

    stream = AlertStream(store.client, store.log.cluster)
    with wiring.alert_rules(settings) as rules:
        for partition in partitions:
            if stream.status(partition).seq:
                with block_progress(f"verify {VIEW}, partition {partition}") as show:
                    compared = AlertsProof(partition, ruled(rules), store.log, stream).compare(show)
                yield {"view": VIEW, "partition": partition, **asdict(compared)}


def _verify_audit(settings: Settings, sample: int, partitions: Sequence[int], dice: random.Random) -> Iterator[dict[str, Any]]:
    from adapters import wiring
    from projections.audit_proof import AuditProof

    with wiring.audit(settings) as store:
        for partition in partitions:
            if store.view().status(partition).seq:
                with block_progress(f"verify {wiring.AUDIT}, partition {partition}") as show:
                    compared = AuditProof(partition, store.log, store.view()).compare(sample, dice, show)
                yield {"view": wiring.AUDIT, "partition": partition, **asdict(compared)}


def _verified(found: Sequence[Mapping[str, Any]], seed: int) -> Answer:
    wrong = [
        f"NOT AS RECORDED: {each['view']}, partition {each['partition']}, {each['difference']}" for each in found if each["difference"]
    ]
    rows = [(each["view"], each["partition"], each["seq"], each["rows"], not each["difference"]) for each in found]
    table = Table(("view", "partition", "as of block", "rows compared", "ok"), rows, f"chosen at random by --seed {seed}")
    return Answer({"ok": not wrong, "seed": seed, "views": found}, [table, *wrong], ok=not wrong)


@click.command()
@click.argument("a", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("b", type=click.Path(exists=True, file_okay=False, path_type=Path))
@answers
def diff(a: Path, b: Path) -> Answer:
    """Compare the records in folders A and B.

    Exit code 1 at the first command or event that differs, showing both sides.
    """
    from adapters.cli import findings
    from adapters.wiring import reading
    from replay import compare

    with reading(options.settings_of(a)) as one, reading(options.settings_of(b)) as other, block_progress("diff") as show:
        found = compare.diff(one.log, other.log, one.number, show)
    fields = asdict(found)
    shown = [findings.facts(fields, "first_difference"), *findings.difference(found.first_difference, str(a), str(b))]
    return Answer(fields, shown, ok=found.same)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(["parquet", "arrow", "csv", "ndjson"]), default="parquet", show_default=True)
@click.option("--from-seq", type=click.IntRange(1), default=1, show_default=True, help="First block.")
@click.option("--to-seq", type=click.IntRange(1), default=None, help="Last block; all unless told.")
@options.record
@answers
def export(file: Path, form: str, from_seq: int, to_seq: int | None, settings: Settings) -> Answer:
    """Write blocks to FILE as a table of events.

    The hashes of the chain stand in the metadata of the file (csv and ndjson: of a file beside it).
    """
    from adapters.wiring import reading
    from eventstore import archive

    if file.exists() and not file.is_file():
        raise click.UsageError(f"{file} is a device or a pipe: an export is written aside and put in its place as a whole; name a file")
    with reading(settings) as opened, block_progress("export") as show:
        total = (to_seq or opened.log.head(opened.number).seq) - from_seq + 1
        try:
            written = archive.export(opened.log, opened.number, form, file, from_seq, to_seq, progress=lambda done: show(done, total))
        except archive.BadExport as wrong:
            raise click.UsageError(str(wrong)) from None
    return Answer(written._asdict() | {"path": str(written.path)})


COMMANDS = (verify, diff, export)
