"""`outcry bot`: the example robots, as processes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from outcry.client import AsyncClient
    from outcry.robots.market_maker import MarketMaker
    from outcry.robots.taker import Taker

PATIENCE_S: Final = 5.0  # then a robot says that the venue is away, and goes on trying

Command = Callable[..., Any]


_KEY: Final = click.Path(dir_okay=False, exists=True, path_type=Path)


def _common(command: Command) -> Command:
    """Options that all robots have."""
    for option in (
        click.option("--key", type=_KEY, required=True, help="Who it is, and where: a file of a key."),
        click.option("--symbol", "symbols", multiple=True, help="Instrument; may be said several times; else all that are listed."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of its choices."),
    ):
        command = option(command)
    return command


@click.group()
def bot() -> None:
    """Example robots, built on the client library alone."""


@bot.command()
@_common
@click.option("--rate", type=click.FloatRange(0.01, 100), default=1.0, show_default=True, help="Turns a second.")
@click.option("--fair", multiple=True, metavar="SYMBOL=PRICE", help="The price to begin with; else that of the last trade.")
@click.option("--levels", type=click.IntRange(1, 100), default=5, show_default=True, help="Price levels of each side.")
@click.option("--lots", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="At the best price; more behind.")
@answers
def mm(key: Path, symbols: tuple[str, ...], seed: int, rate: float, fair: tuple[str, ...], levels: int, lots: int) -> Answer:
    """A market maker, until ctrl-C.

    It quotes both sides of a fair price that wanders, leans against what it holds, and takes its orders away while a market is not open.
    When it ends, however it does, its orders are cancelled.
    """
    from outcry.robots.market_maker import MarketMaker

    prices = dict(map(_price, fair))
    return _run(key, rate, lambda client: MarketMaker(client, symbols, fair=prices, levels=levels, lots=lots, seed=seed))


@bot.command()
@_common
@click.option("--rate", type=click.FloatRange(0.01, 100), default=1.0, show_default=True, help="Orders a second.")
@click.option("--lots", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Of an order at most.")
@answers
def taker(key: Path, symbols: tuple[str, ...], seed: int, rate: float, lots: int) -> Answer:
    """Small random orders at the best price of the other side, until ctrl-C."""
    from outcry.robots.taker import Taker

    return _run(key, rate, lambda client: Taker(client, symbols, lots=lots, seed=seed))


def _price(given: str) -> tuple[str, Decimal]:
    symbol, _, price = given.partition("=")
    try:
        return symbol, Decimal(price)
    except InvalidOperation:
        raise click.UsageError(f"--fair {given} is no price; right would be for example --fair ACME=12.50") from None


def _run(key: Path, rate: float, made: Callable[[AsyncClient], MarketMaker | Taker]) -> Answer:
    """In the main thread, until SIGTERM or ctrl-C."""
    from outcry.client import AsyncClient

    async def trade() -> Answer:
        task = asyncio.current_task()
        assert task is not None, "this is one"
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        async with AsyncClient.from_file(key, patience_s=PATIENCE_S) as client:
            robot = made(client)
            with suppress(asyncio.CancelledError):
                await robot.run(rate)
            return Answer({**robot.done, "stopped": True})

    return asyncio.run(trade())


@contextmanager
def beside(run: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Have a robot *run* in a thread of its own as long as the context lasts."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(_until_cancelled(run))
    thread = threading.Thread(target=loop.run_until_complete, args=(task,), name="robot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def _until_cancelled(run: Callable[[], Awaitable[None]]) -> None:
    with suppress(asyncio.CancelledError):
        await run()


@contextmanager
def quoting(seed: int, key: Path) -> Iterator[None]:
    """The market maker of a demonstration, with the key in that file."""
    import logging

    from adapters.doors.seed import INSTRUMENTS
    from outcry.client import AsyncClient
    from outcry.robots.market_maker import MarketMaker

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it asks all the time, and nobody needs a line of it

    async def quote() -> None:
        async with AsyncClient.from_file(key, patience_s=PATIENCE_S) as client:
            fair = {symbol: Decimal(price) for symbol, price in INSTRUMENTS.items()}
            await MarketMaker(client, fair=fair, seed=seed).run()

    with beside(quote):
        yield


COMMANDS = (bot,)
