"""The record as a whole: verify, diff, export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.settings import Settings


@click.command()
@click.option("--views", is_flag=True, help="Check the views in Redis instead: the record is folded anew and compared with a sample.")
@click.option("--sample", type=click.IntRange(1, 65_536), default=1_000, show_default=True, help="Of each view: groups of rows, at random.")
@options.record
@answers
def verify(settings: Settings, *, views: bool, sample: int) -> Answer:
    """Check the whole record.

    Reads every block, checks the chain of hashes and applies the events; in a stack of every partition, and compares the copies in Kafka
    and in the standby of Postgres. Exit code 1 when anything is not as it was committed: it names partition, block and what differs.
    """
    from adapters.cli import findings
    from adapters.wiring import reading
    from replay import source

    if views:
        return _verify_views(settings, sample)
    if settings.profile == "stack":
        return _verify_stack(settings)
    with reading(settings) as opened, block_progress("verify") as show:
        found = source.verify(opened.log, opened.number, show)
    fields = asdict(found)
    return Answer(fields, [findings.facts(fields, "first_bad"), *findings.bad(found.first_bad)], ok=found.ok)


def _verify_stack(settings: Settings) -> Answer:
    from contextlib import closing

    from adapters import copies
    from adapters.cli import findings
    from adapters.wiring import postgres

    with closing(postgres(settings)) as log:
        found = []
        for number in range(1, settings.partitions + 1):
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


def _verify_views(settings: Settings, sample: int) -> Answer:
    import random

    from adapters import wiring
    from adapters.redis_view import BUCKETS, bucket_of
    from projections.embedded import FOLDS
    from projections.proof import Proof

    found = []
    with wiring.views(settings) as store:
        for name, fold in FOLDS.items():
            for partition in range(1, settings.partitions + 1):
                view = store.view(name)
                if not view.status(partition).seq:
                    continue  # nobody keeps it
                proof = Proof(partition, fold(), store.log, view, bucket_of, BUCKETS)
                with block_progress(f"verify {name}, partition {partition}") as show:
                    compared = proof.compare(sample, random.Random(), show)
                found.append({"view": name, "partition": partition, **asdict(compared)})
    wrong = [
        f"NOT AS RECORDED: {each['view']}, partition {each['partition']}, {each['difference']}" for each in found if each["difference"]
    ]
    rows = [(each["view"], each["partition"], each["seq"], each["rows"], not each["difference"]) for each in found]
    table = Table(("view", "partition", "as of block", "rows compared", "ok"), rows)
    return Answer({"ok": not wrong, "views": found}, [table, *wrong], ok=not wrong)


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
