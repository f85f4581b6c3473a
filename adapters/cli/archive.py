"""Archiving: closed ranges of blocks as Parquet, once or for as long as a worker runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import options
from adapters.cli.keep import worker
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.settings import Settings


_TO: Final = click.option(
    "--to", "archive", metavar="URL", help="The archive: a folder, or s3://BUCKET/PREFIX; else OUTCRY_ARCHIVE and the settings."
)


@click.command()
@_TO
@click.option("--until", metavar="T", help="Blocks up to this time too whose range is not at its end: `now`, or a time as of replay.")
@options.record
@answers
def archive(settings: Settings, *, until: str | None) -> Answer:
    """Close ranges of blocks and write them as Parquet.

    A range ends with the last block of a day (UTC), or with the block that makes it sixteen million events. Each is read back and held
    against the record before it counts. Nothing is deleted from the record.
    """
    from adapters import times, wiring
    from eventstore.closing import close_ranges
    from eventstore.ports import markets

    until_ns = None if until is None else time.time_ns() if until == "now" else times.to_ns(until)
    closed, began_s = [], time.monotonic()
    shelf = wiring.shelf(settings)
    with wiring.reading(settings) as opened:
        for partition in markets(opened.log):
            with block_progress(f"archive partition {partition}") as show:
                closed += list(close_ranges(opened.log, shelf, partition, until_ns, progress=show))
    events, took_s = sum(entry.event_count for entry in closed), time.monotonic() - began_s
    fields = {
        "archive": shelf.name,
        "ranges": [
            {
                "partition": entry.partition,
                "from_seq": entry.from_seq,
                "to_seq": entry.to_seq,
                "events": entry.event_count,
                "size_bytes": entry.size_bytes,
                "file": entry.file,
            }
            for entry in closed
        ],
        "events": events,
        "events_per_s": round(events / took_s),
    }
    return Answer(fields, _shown(shelf.name, fields["ranges"]))


def _shown(name: str, ranges: Any) -> list[Table | str]:
    if not ranges:
        return [f"{name}: no range is at its end; --until now closes what there is"]
    return [Table(tuple(ranges[0]), [list(each.values()) for each in ranges], name)]


@worker.command("archive")
@_TO
@click.option("--every", "every_s", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds between looking.")
@options.record
@answers
def worker_archive(settings: Settings, *, every_s: float) -> Answer:
    """Archive each range when it is at its end, until SIGTERM or ctrl-C.

    Any number of them may run: where ranges end is decided by the record alone, and what is archived already is left alone.
    """
    from adapters import serving, wiring

    called = serving.serve(settings, lambda given: wiring.archiving(given, every_s))
    return Answer({"worker": called, "stopped": True}, shown=[])


COMMANDS = (archive,)
