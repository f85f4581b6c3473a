"""`outcry watch`: a live book and tape in the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import options
from adapters.cli.output import write_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from adapters.cli.through import Door
    from adapters.settings import Settings
    from outcry.client import AsyncClient, Gap, Level, LevelChange, Trade
    from outcry.client.pushed import Market

PATIENCE_S: Final = 1.0  # then the door is away, and said to be
AGAIN_S: Final = 0.5
REDRAW_S: Final = 0.1  # at most so often
CLOCK_S: Final = 1.0  # at least so often
TAPE: Final = 200
ABOVE: Final = 4  # lines of the screen that are no rows


class Seen:
    """What is known of *symbol*: price -> level of both sides, the last trades, newest first. away: why nothing comes now; else empty."""

    def __init__(self, symbol: str) -> None:
        self.symbol, self.state, self.away = symbol, "", ""
        self.partition = self.seq = 0
        self.bids: dict[Decimal, Level | LevelChange] = {}
        self.asks: dict[Decimal, Level | LevelChange] = {}
        self.tape: deque[Trade] = deque(maxlen=TAPE)
        self.changed = asyncio.Event()

    def take(self, told: Market | Gap) -> None:
        """What the door pushes."""
        from outcry.client import Level2, Status, Trades

        self.away = ""
        self.changed.set()
        self.partition, self.seq = told.partition, max(self.seq, told.seq)
        if isinstance(told, Level2):
            for side, levels in ((self.bids, told.bids), (self.asks, told.asks)):
                if told.type == "snapshot":
                    side.clear()
                side.update({level.price: level for level in levels})
                for level in levels:
                    if not level.quantity:
                        del side[level.price]
        elif isinstance(told, Trades):
            last = int(self.tape[0].number) if self.tape else 0
            self.tape.extendleft(trade for trade in told.trades if int(trade.number) > last)
        elif isinstance(told, Status):
            self.state = told.state

    def best(self, levels: int) -> tuple[list[Level | LevelChange], list[Level | LevelChange]]:
        """Bids and asks, best first."""
        bids, asks = sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
        return [level for _, level in bids[:levels]], [level for _, level in asks[:levels]]


@click.command()
@click.argument("symbol")
@click.option("--levels", type=click.IntRange(1, 32), default=10, show_default=True, help="Price levels to show of each side.")
@click.option("--once", is_flag=True, help="Print one screen.")
@click.option("--json", "as_json", is_flag=True, help="As --once, as one JSON object.")
@options.door
@options.record
def watch(symbol: str, levels: int, key: Path | None, at: str | None, settings: Settings, *, once: bool, as_json: bool) -> int:
    """Watch the book and the trades of SYMBOL, until ctrl-C.

    Through the door of whoever serves the store, or that of --key or --at. One that goes away is waited for.
    """
    from rich.console import Console

    from adapters.cli import through

    door = through.door(settings, key, at)
    if door is None:
        raise click.UsageError(
            f"nobody serves {settings.store}; right would be the --store of `outcry demo` or `outcry serve`, --key or --at"
        )
    if once or as_json or not sys.stdout.isatty():
        seen = asyncio.run(_look(door, symbol, levels))
        if as_json:
            write_json(_fields(seen, levels))
        else:
            console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
            console.print(_screen(seen, levels, levels))
    else:
        asyncio.run(_watch(door, Seen(symbol), levels, Console(highlight=False)))
    return 0


async def _look(door: Door, symbol: str, levels: int) -> Seen:
    """As it is now. Raises ApiError."""
    seen = Seen(symbol)
    async with door.client() as client:
        listed, book, trades = await asyncio.gather(client.instrument(symbol), client.book(symbol, levels=levels), client.trades(symbol))
    seen.state, seen.partition, seen.seq = listed.state, book.as_of.partition, book.as_of.seq
    seen.bids |= {level.price: level for level in book.bids}
    seen.asks |= {level.price: level for level in book.asks}
    seen.tape.extend(trades)
    return seen


def _fields(seen: Seen, levels: int) -> dict[str, object]:
    buys, sells = ([{"price": each.price, "quantity": each.quantity, "orders": each.orders} for each in side] for side in seen.best(levels))
    trades = [
        {"number": each.number, "time": each.time, "price": each.price, "quantity": each.quantity, "side": each.side} for each in seen.tape
    ]
    as_of = {"partition": seen.partition, "seq": seen.seq}
    return {"symbol": seen.symbol, "state": seen.state, **as_of, "buys": buys, "sells": sells, "trades": trades}


async def _watch(door: Door, seen: Seen, levels: int, console: Console) -> None:
    """Until SIGTERM or ctrl-C; the terminal is left as it was. Raises ApiError for what no waiting mends."""
    from rich.live import Live

    task = asyncio.current_task()
    assert task is not None, "this is one"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError), Live(console=console, screen=True, auto_refresh=False) as live:
        async with door.client(PATIENCE_S) as client:
            following = asyncio.ensure_future(_follow(client, seen))
            try:
                while not following.done():
                    seen.changed.clear()
                    live.update(_screen(seen, levels, console.height - ABOVE), refresh=True)
                    await asyncio.sleep(REDRAW_S)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(seen.changed.wait(), CLOCK_S)
                await following
            finally:
                following.cancel()


async def _follow(client: AsyncClient, seen: Seen) -> None:
    """Take in what is pushed, for ever. Raises ApiError for what no waiting mends."""
    from outcry.client import Unavailable

    while True:
        try:
            async for told in client.stream(["level2", "trades", "status"], [seen.symbol]):
                seen.take(told)
        except Unavailable as why:
            seen.away = str(why)
            await asyncio.sleep(AGAIN_S)
        finally:
            seen.changed.set()


def _screen(seen: Seen, levels: int, rows: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    side_by_side = Table.grid(padding=(0, 4))
    side_by_side.add_row(_book(seen, levels), _tape(seen, rows))
    return Group(_title(seen), "", side_by_side)


def _title(seen: Seen) -> str:
    last = f"  last {seen.tape[0].price}" if seen.tape else ""
    away = f"  [bold red]the door is away, trying again: {_escape(seen.away)}[/]" if seen.away else ""
    now = time.strftime("%H:%M:%S", time.gmtime())
    return f"[bold]{_escape(seen.symbol)}[/]  {seen.state}{last}  [dim]block {seen.seq:,}  {now} UTC[/]{away}"


def _book(seen: Seen, levels: int) -> Table:
    made = _table("bid size", "bid", "ask", "ask size")
    for bid, ask in zip_longest(*seen.best(levels)):
        buys = (str(bid.quantity), f"[green]{bid.price}[/]") if bid else ("", "")
        sells = (f"[red]{ask.price}[/]", str(ask.quantity)) if ask else ("", "")
        made.add_row(*buys, *sells)
    return made


def _tape(seen: Seen, rows: int) -> Table:
    made = _table("time", "price", "quantity")
    for trade in list(seen.tape)[: max(rows, 1)]:
        colour = "green" if trade.side == "buy" else "red"
        made.add_row(trade.time[11:23], f"[{colour}]{trade.price}[/]", str(trade.quantity))
    return made


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right", no_wrap=True)
    return made


def _escape(text: str) -> Any:
    from rich.markup import escape

    return escape(text)


COMMANDS = (watch,)
