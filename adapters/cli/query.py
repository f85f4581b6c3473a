"""`outcry query`: SQL over the archive and what the record has beyond it."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, write_json, write_text

if TYPE_CHECKING:
    import pyarrow as pa

    from adapters.query.reading import AsOf, Reading
    from adapters.settings import Settings

SHOWN_ROWS: Final = 1_000


@click.command()
@click.argument("sql")
@options.archive
@options.source
@click.option("--json", "form", flag_value="json", help="Print one JSON object and nothing else.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV and nothing else.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this file instead.")
@click.option("--limit", type=click.IntRange(1), help=f"Rows at most. Else {SHOWN_ROWS:,}; of --csv and --parquet all.")
@click.option("--memory", "memory_mib", type=click.IntRange(64), default=512, show_default=True, help="MiB that the query may need.")
@click.option("--seconds", type=click.FloatRange(0.01), default=60.0, show_default=True, help="How long it may take.")
@options.record
def query(
    settings: Settings,
    *,
    sql: str,
    source: str,
    form: str | None,
    parquet: Path | None,
    limit: int | None,
    memory_mib: int,
    seconds: float,
) -> int:
    """Ask one SELECT of the archive and of what the record has beyond it.

    Tables: events, trades, orders, book_changes; instruments, rules, reasons, accounts. `outcry query "describe trades"` tells columns,
    docs/archive.md has recipes. A query reads these and nothing else, and is stopped when it needs more memory or time than it may have.
    """
    from adapters import names, wiring
    from adapters.query.engine import Limits, database

    if form and parquet:
        raise click.UsageError(f"--{form} prints the answer, --parquet writes it to a file; right would be one of them")
    accounts = names.load(settings.folder).accounts
    with ExitStack() as opened:
        reading = opened.enter_context(wiring.querying(settings, source))
        asked = opened.enter_context(database(reading, Limits(memory_mib, seconds), accounts))
        answer = opened.enter_context(asked.ask(sql))
        if parquet:
            rows = _write_parquet(answer, parquet, limit)
            write_text(Answer({"file": str(parquet), "rows": rows}))
        elif form == "csv":
            _write_csv(answer, limit)
        else:
            fields = _fields(answer, reading, limit or SHOWN_ROWS)
            _show(fields, as_json=form == "json")
    for each in reading.as_of if form != "json" else ():
        click.echo(_as_of(each), err=True)
    return 0


def _fields(answer: pa.RecordBatchReader, reading: Reading, limit: int) -> dict[str, Any]:
    from dataclasses import asdict

    rows: list[dict[str, Any]] = []
    for batch in answer:
        rows += [dict(zip(answer.schema.names, row, strict=True)) for row in _rows(batch, limit + 1 - len(rows))]
        if len(rows) > limit:
            break
    return {
        "columns": answer.schema.names,
        "rows": rows[:limit],
        "more": len(rows) > limit,
        "as_of": [asdict(each) for each in reading.as_of],
    }


def _rows(batch: pa.RecordBatch, at_most: int) -> list[tuple[Any, ...]]:
    """As Python values: times as text, whole numbers as such, decimals without zeros at the end."""
    import pyarrow as pa

    columns = []
    for column in batch.slice(0, at_most).columns:
        if pa.types.is_timestamp(column.type):
            columns.append(column.cast(pa.string()).to_pylist())
        elif pa.types.is_decimal(column.type) and not column.type.scale:
            columns.append([None if value is None else int(value) for value in column.to_pylist()])
        elif pa.types.is_decimal(column.type):
            columns.append([None if value is None else _trimmed(value) for value in column.to_pylist()])
        else:
            columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def _trimmed(value: Decimal) -> Decimal:
    short = value.normalize()
    return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator] # finite: of a column


def _show(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(fields)
        return
    rows = [[_cell(value) for value in row.values()] for row in fields["rows"]]
    more = [f"more than {len(rows):,} rows; --limit shows more, --csv and --parquet have all"] if fields["more"] else []
    write_text(Answer(fields, [Table(fields["columns"], rows), *more]))


def _cell(value: object) -> str:
    """Numbers as they are in SQL, so that they can be asked for again."""
    return "" if value is None else f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _write_csv(answer: pa.RecordBatchReader, limit: int | None) -> None:
    import pyarrow.csv as pc

    out = click.get_binary_stream("stdout")
    with pc.CSVWriter(out, answer.schema) as writer:
        _write(answer, writer.write_batch, limit)


def _write_parquet(answer: pa.RecordBatchReader, path: Path, limit: int | None) -> int:
    import pyarrow.parquet as pq

    from eventstore.archive import landing

    with landing(path) as part, pq.ParquetWriter(part, answer.schema, compression="zstd") as writer:
        return _write(answer, writer.write_batch, limit)


def _write(answer: pa.RecordBatchReader, write: Any, limit: int | None) -> int:
    rows = 0
    for batch in answer:
        part = batch if limit is None else batch.slice(0, limit - rows)
        write(part)
        rows += part.num_rows
        if rows == limit:
            break
    return rows


def _as_of(each: AsOf) -> str:
    archived = f"archived to block {each.archived:,}" if each.archived else "nothing archived"
    cut = f"; the record has {each.record - each.seq:,} more, beyond what a query reads: `outcry archive` first" if each.cut else ""
    return f"partition {each.partition}: as of block {each.seq:,} ({archived}){cut}"


COMMANDS = (query,)
