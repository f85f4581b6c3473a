"""`outcry search`: what happened, by whom, when and why; from the audit index, or from the record where there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers
from adapters.cli.progress import block_progress

if TYPE_CHECKING:
    from adapters.names import Names
    from adapters.search.criteria import Criteria, Found, Hits
    from adapters.settings import Settings

LEVELS: Final = ("index", "record", "archive")
KINDS: Final = ("order", "change", "trade", "refusal", "funds", "session", "operator")
COLUMNS: Final = ("time", "partition", "seq", "event", "kind", "account", "order", "symbol", "side", "price", "quantity", "said")
MAX_HITS: Final = 10_000
PARTITION_SHIFT: Final = 53


@click.command()
@click.option("--account", metavar="NAME", help="Whose: a name of this store, or a number; of a trade either side.")
@click.option("--order", type=click.IntRange(1, 2**63 - 1), help="Number of the order; of a trade either side.")
@click.option("--client-id", type=click.IntRange(1, 2**63 - 1), help="The client's own id of the order.")
@click.option("--instrument", metavar="SYMBOL", default="")
@click.option("--side", type=click.Choice(["buy", "sell"]), default=None, help="Of a trade: the taker's.")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="Only documents of this kind.")
@click.option("--reason", metavar="NAME", default="", help="Rule of a refusal, or why an order was removed (docs/events.md).")
@click.option("--from", "since", metavar="TIME", help="Nanoseconds since 1970, or ISO 8601.")
@click.option("--to", "until", metavar="TIME", help="Up to then, included. An order is meant by when it was accepted or changed last.")
@click.option("--price", metavar="LOW..HIGH", help="Both included; either may be left out. Needs --instrument.")
@click.option("--size", metavar="LOW..HIGH", help="As --price.")
@click.option("--text", metavar="WORDS", default="", help="Each must be a name in the document, or stand in its text; one may end with *.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help=f"Documents; at most {MAX_HITS:,}.")
@click.option("--after", metavar="PLACE", help="Go on after the `next` of the answer before.")
@click.option("--newest", is_flag=True, help="Newest first.")
@click.option("--level", type=click.Choice(LEVELS), help="Who shall answer; else the first of them that does.")
@click.option("--csv", "as_csv", is_flag=True, help="Print lines of CSV and nothing else.")
@options.archive
@options.record
@answers
def search(settings: Settings, *, as_csv: bool, limit: int, after: str | None, newest: bool, level: str | None, **asked: Any) -> Answer:
    """Search the record: orders, changes, trades, refusals, funds, sessions, acts of operators.

    The answer goes by time, and in a partition by position; each line says partition, block and event. It comes from the audit index in
    OpenSearch; when there is none or it does not answer, from the record, then from the archive, which takes longer; it says which, and
    as of which block.
    """
    from adapters import names
    from adapters.search.criteria import BadSearch, Cursor, TooMuch

    if as_csv and click.get_current_context().params["as_json"]:
        raise click.UsageError("--csv and --json are two forms of one answer; right would be one of them")
    if limit > MAX_HITS:
        raise click.UsageError(f"--limit is {limit}; right would be at most {MAX_HITS}, then --after with the `next` of the answer")
    known = names.load(settings.folder)
    try:
        begin = Cursor.read(after) if after else None
        hits, why = _found(settings, asked, known, level, limit=limit, after=begin, newest_first=newest)
    except (BadSearch, TooMuch) as wrong:
        raise click.UsageError(str(wrong)) from None
    rows = [_shown(hits, document) for document in hits.hits]
    following = str(Cursor.of(hits.hits[-1])) if hits.more else None
    if as_csv:
        click.echo(_csv(rows), nl=False)
    fields = {
        "level": hits.level,
        "why": why,
        "as_of": [{"partition": partition, "seq": seq} for partition, seq in hits.as_of.items()],
        "hits": rows,
        "more": hits.more,
        "next": following,
    }
    return Answer(fields, [] if as_csv else _text(fields, rows, known))


def _found(settings: Settings, asked: Mapping[str, Any], known: Names, level: str | None, **how: Any) -> tuple[Hits, str]:
    """The answer, and why it does not come from the index, empty when it does."""
    from adapters.settings import BadSettings
    from eventstore.errors import StoreFailed
    from projections.view import ViewAway

    if level == "index":
        return _in_index(settings, asked, known, **how), ""
    if level:
        return _in_record(settings, asked, known, level, **how), "asked for"
    reasons = []
    try:
        return _in_index(settings, asked, known, **how), ""
    except (ViewAway, BadSettings, StoreFailed) as away:
        reasons.append(f"no answer from the index: {away}")
    try:
        hits = _in_record(settings, asked, known, "record", **how)
    except StoreFailed as away:
        reasons.append(f"no answer from the record: {away}")
        hits = _in_record(settings, asked, known, "archive", **how)
        if not any(hits.as_of.values()):
            raise  # there is no archive
    if settings.profile == "stack":
        click.echo("\n".join(f"outcry: {reason}" for reason in reasons), err=True)
    return hits, "; ".join(reasons)


def _in_index(settings: Settings, asked: Mapping[str, Any], known: Names, **how: Any) -> Hits:
    from adapters import wiring
    from adapters.search import in_index

    with wiring.audit(settings) as store:
        view, partitions = store.view(), _partitions(settings, asked)
        listed = in_index.units_of(view, partitions, asked["instrument"]) if _in_units(asked) else None
        units_e9 = (listed.tick_size_e9, listed.lot_size_e9) if listed else None
        return in_index.search(view, partitions, _criteria(asked, known, units_e9), **how)


def _in_record(settings: Settings, asked: Mapping[str, Any], known: Names, level: str, **how: Any) -> Hits:
    """From the record, or the archive's copy of it."""
    from adapters import wiring
    from adapters.directory import Directory
    from adapters.search import in_record

    units_e9 = None
    with wiring.reading(settings, asked["instrument"], source=level) as store:
        if _in_units(asked):
            with block_progress("read") as show:
                listed = Directory(store.state(show), known).instrument(asked["instrument"])
            units_e9 = listed.tick_size_e9, listed.lot_size_e9
        with block_progress("search") as show:
            criteria = _criteria(asked, known, units_e9)
            return in_record.search(store.log, _partitions(settings, asked), criteria, level=level, progress=show, **how)


def _in_units(asked: Mapping[str, Any]) -> bool:
    """Whether prices or sizes are bounded, which only the units of an instrument make sense of. Raises UsageError without one."""
    wanted = [f"--{name}" for name in ("price", "size") if asked[name]]
    if wanted and not asked["instrument"]:
        raise click.UsageError(f"{wanted[0]} needs --instrument: what a tick or a lot is worth differs from one to the next")
    return bool(wanted)


def _partitions(settings: Settings, asked: Mapping[str, Any]) -> Sequence[int]:
    """Where the documents can be."""
    if settings.profile == "embedded" or _is_given("partition"):
        return [settings.partition]
    if asked["order"]:
        return [asked["order"] >> PARTITION_SHIFT]
    if asked["instrument"]:
        return [settings.partition_of(asked["instrument"])]
    return range(1, settings.partitions + 1)


def _is_given(option: str) -> bool:
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source(option) not in {ParameterSource.DEFAULT, None}


def _criteria(asked: Mapping[str, Any], known: Names, units_e9: tuple[int, int] | None) -> Criteria:
    """What is asked for, in the units of the record; units_e9: tick and lot. Raises BadName, BadTime, BadSearch."""
    from adapters.search.criteria import ANY, BadSearch, Criteria, Range, range_of, words_of
    from adapters.times import to_ns

    if _in_units(asked) and units_e9 is None:
        raise BadSearch(f"no instrument {asked['instrument']!r} is in the index; right would be a symbol that `outcry quotes` shows")
    tick_e9, lot_e9 = units_e9 or (1, 1)
    since, until = (to_ns(asked[name]) if asked[name] else None for name in ("since", "until"))
    return Criteria(
        account=known.account(asked["account"]) if asked["account"] else None,
        order=asked["order"],
        client_order_id=asked["client_id"],
        symbol=asked["instrument"],
        side=asked["side"] or "",
        kind=asked["kind"] or "",
        reason=asked["reason"],
        time_ns=Range(since, until),
        price_ticks=range_of(asked["price"], tick_e9, "--price") if asked["price"] else ANY,
        quantity_lots=range_of(asked["size"], lot_e9, "--size") if asked["size"] else ANY,
        words=words_of(asked["text"]),
    )


def _shown(hits: Hits, document: Found) -> dict[str, Any]:
    """A document with what its numbers mean."""
    from adapters.decimals import from_lots, from_ticks
    from adapters.times import from_ns

    shown = {"time": from_ns(document["time_ns"]), **document}
    if listed := hits.instruments.get((document["partition"], document.get("symbol", ""))):
        if "price_ticks" in document:
            shown["price"] = from_ticks(document["price_ticks"], listed.tick_size_e9)
        if "quantity_lots" in document:
            shown["quantity"] = from_lots(document["quantity_lots"], listed.lot_size_e9)
    return shown


def _text(fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], known: Names) -> list[Table | str]:
    as_of = ", ".join(f"block {each['seq']} of partition {each['partition']}" for each in fields["as_of"])
    end = f"from the {fields['level']}, as of {as_of}"
    more = [f"there are more: --after {fields['next']}"] if fields["more"] else []
    table = Table(COLUMNS, [[_cell(row, column, known) for column in COLUMNS] for row in rows])
    return [table, end, *more]


def _cell(row: Mapping[str, Any], column: str, known: Names) -> str:
    if column == "said":
        return _said(row)
    value = row.get(column, "")
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join(known.account_name(each) if column == "account" else str(each) for each in values)


def _said(row: Mapping[str, Any]) -> str:
    """What happened, in few words."""
    match row["kind"]:
        case "order":
            return f"{row.get('ended_by', 'open')} {row.get('reason', '')}".rstrip()
        case "change":
            return ", ".join(row["what"])
        case "refusal":
            return f"{row['what']}: {row['reason']} ({row['observed']} against {row['limit']})"
        case "funds":
            return f"{row['what']} {row['amount']} of asset {row['asset']}"
        case "trade":
            return f"fees {row['fees'][0]}, {row['fees'][1]}"
        case _:
            return f"{row['what']} {row.get('text', '')}".rstrip()


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A column for every field that a row has; fields of two sides as two values with a blank between."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["time", "partition", "seq", "event", "kind"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (row.get(name, "") for name in names)
        writer.writerow(" ".join(map(str, value)) if isinstance(value, list | tuple) else value for value in values)
    return out.getvalue()


COMMANDS = (search,)
