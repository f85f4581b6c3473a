"""`outcry top`: what the workers do, while they do it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli.output import NO, USAGE, write_error, write_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from adapters.scrape import Place, Seen
    from adapters.top import Figures, PartitionFigures, Refusals, WorkerFigures

REFUSALS_SHOWN: Final = 8
ROOMY_COLUMNS: Final = 110
BEHIND_BLOCKS: Final = 100  # from here on a lag is worth a colour
NOTHING: Final = "-"


@click.command()
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--stack", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder of the stack whose workers to watch.")
@click.option("--every", "every_s", type=click.FloatRange(0.2, 60), default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look twice, print one screen. Exit code 1 when a partition has no owner, or two.")
@click.option("--json", "as_json", is_flag=True, help="As --once, as one JSON object.")
def top(urls: tuple[str, ...], stack: Path | None, every_s: float, *, once: bool, as_json: bool) -> int:
    """Watch the workers of a stack, until ctrl-C.

    Each partition with its owner, rates, commit times, and what lags; each worker, those that are gone too; refusals by rule. The
    workers are those that serve from the stack's folder, or those at the addresses given.
    """
    from rich.console import Console

    places = _places(urls, stack)
    if once or as_json or not sys.stdout.isatty():
        if not places():
            return write_error(_nobody(stack), USAGE, as_json=as_json)
        found = next(_looks(places, every_s, first=False))
        if as_json:
            write_json(asdict(found) | {"well": found.is_well})
        else:
            console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
            console.print(_screen(found, console.width))
        return 0 if found.is_well else NO
    _watch(Console(highlight=False), places, stack, every_s)
    return 0


def _places(urls: Sequence[str], stack: Path | None) -> Callable[[], list[Place]]:
    """How to find the workers, asked before every look: they come and go."""
    import os

    from adapters import scrape, settings

    try:
        given = [scrape.place(url) for url in urls]
    except scrape.BadAddress as wrong:
        raise click.UsageError(str(wrong)) from None
    if given:
        return lambda: given
    folder = settings.load(os.environ, stack=stack).stack
    return lambda: scrape.announced(folder)


def _nobody(stack: Path | None) -> str:
    where = f"the stack's folder {stack}" if stack else "the stack's folder"
    return f"no worker has announced itself in {where}; start one with `outcry serve --profile stack`, or name the address of one"


def _looks(places: Callable[[], list[Place]], every_s: float, *, first: bool = True) -> Iterator[Figures]:
    """Figures every *every_s*, beginning at once (*first*), without those that need two moments, or after the second moment."""
    from adapters.scrape import scrape
    from adapters.top import figures

    before: Sequence[Seen] | None = None
    due_s = time.monotonic()
    while True:
        now = scrape(places())
        if before is not None or first:
            yield figures(before or (), now)
        before = now
        due_s = max(due_s + every_s, time.monotonic() + 0.1)  # late: go on from here, do not catch up
        time.sleep(due_s - time.monotonic())


def _watch(console: Console, places: Callable[[], list[Place]], stack: Path | None, every_s: float) -> None:
    from rich.live import Live

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave the terminal as it was, then, too
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for found in _looks(places, every_s):
                live.update(_screen(found, console.width) if found.workers else f"{_title(found)}\n\n{_nobody(stack)}", refresh=True)
    except KeyboardInterrupt:
        pass


def _screen(found: Figures, width: int) -> RenderableType:
    from rich.console import Group

    padding = int(width >= ROOMY_COLUMNS)
    parts: list[RenderableType] = [_title(found), "", _partitions(found.partitions, padding), _workers(found, padding)]
    if found.refusals:
        parts.append(_refusals(found.refusals, padding))
    return Group(*parts)


def _title(found: Figures) -> str:
    gone = sum(bool(each.gone) for each in found.workers)
    answering = len(found.workers) - gone
    state = "" if found.is_well else "  [bold red]not every partition has one owner[/]"
    lost = f", [red]{gone} gone[/]" if gone else ""
    return f"[bold]outcry top[/]  {time.strftime('%H:%M:%S', time.gmtime())} UTC  {answering} worker{'s' * (answering != 1)}{lost}{state}"


def _partitions(rows: Sequence[PartitionFigures], padding: int) -> Table:
    made = _table(
        ("part", "owner*", "epoch", "block", "cmd/s", "trades/s", "p50 ms", "p99 ms", "inbox", "relay\nlag", "stand-\nbys", "lag"),
        padding,
    )
    for row in rows:
        made.add_row(
            str(row.partition),
            _owner(row),
            f"{row.epoch:,}",
            f"{row.seq:,}",
            _rate(row.commands_per_s),
            _rate(row.trades_per_s),
            _ms(row.commit_p50_ms),
            _ms(row.commit_p99_ms),
            f"{row.inbox_commands:,}",
            _lag(row.relay_lag_blocks),
            str(len(row.standbys)) if row.standbys else "[yellow]0[/]",
            NOTHING if row.follower_lag_blocks is None else _lag(row.follower_lag_blocks),
        )
    return made


def _owner(row: PartitionFigures) -> str:
    if not row.owners:
        return "[bold red]nobody[/]"
    also = f" [yellow]({_escape(', '.join(row.owners[1:]))} too?)[/]" if row.owners[1:] else ""
    return f"{_escape(row.owners[0])}{also}"


def _workers(found: Figures, padding: int) -> Table:
    made = _table(("worker*", "at*", "process", "CPU", "MiB", "owns*", "follows*", "state*"), padding)
    for row in found.workers:
        made.add_row(
            _escape(row.worker),
            _escape(row.address.removeprefix("127.0.0.1")),
            str(row.pid or NOTHING),
            NOTHING if row.cpu is None else f"{row.cpu:.0%}",
            NOTHING if row.gone else f"{row.resident_bytes / 2**20:,.0f}",
            " ".join(str(each.partition) for each in found.partitions if row.worker in each.owners),
            " ".join(str(each.partition) for each in found.partitions if row.worker in each.standbys),
            _state(row),
        )
    return made


def _state(row: WorkerFigures) -> str:
    if row.gone:
        return f"[bold red]gone[/]: {_escape(row.gone)}"
    return f"[yellow]not ready[/]: {_escape('; '.join(row.not_ready))}" if row.not_ready else "[green]ready[/]"


def _refusals(rows: Sequence[Refusals], padding: int) -> Table:
    made = _table(("refused by*", "each s", "in all"), padding)
    for row in rows[:REFUSALS_SHOWN]:
        made.add_row(row.rule, _rate(row.per_s), f"{row.total:,}")
    if len(rows) > REFUSALS_SHOWN:
        made.add_row(f"{len(rows) - REFUSALS_SHOWN} more", "", "")
    return made


def _table(columns: Sequence[str], padding: int) -> Table:
    """A table without rows; numbers stand right, the columns with a * have text."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, padding))
    for column in columns:
        text = column.endswith("*")
        made.add_column(column.rstrip("*"), justify="left" if text else "right", overflow="fold", no_wrap=not text)
    return made


def _rate(each_s: float | None) -> str:
    if each_s is None:
        return NOTHING
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if each_s >= 0.9995 * size:
            return f"{_short(each_s / size)}{unit}"
    return f"{each_s:.0f}"


def _ms(value: float | None) -> str:
    return NOTHING if value is None else _short(value)


def _short(value: float) -> str:
    """Three figures."""
    return f"{value:#.3g}".rstrip(".")


def _lag(blocks: int) -> str:
    return f"[yellow]{blocks:,}[/]" if blocks >= BEHIND_BLOCKS else f"{blocks:,}"


def _escape(text: str) -> Any:
    from rich.markup import escape

    return escape(text)


COMMANDS = (top,)
