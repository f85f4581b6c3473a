"""A market of one's own: list, state, fees, open, deposit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from adapters.settings import Settings

STATES = ("pre_open", "open", "halted", "closed")


@click.command("list")
@click.argument("symbol")
@click.option("--quote", metavar="ASSET", default="USD", show_default=True, help="What pays; a new name becomes a new asset.")
@click.option("--quote-scale", type=click.IntRange(0, 18), default=2, show_default=True, help="Decimals of a new quote asset.")
@click.option("--tick", metavar="PRICE", default="0.01", show_default=True, help="Prices are multiples of it.")
@click.option("--lot", metavar="QUANTITY", default="1", show_default=True, help="Quantities are multiples of it.")
@click.option("--band", metavar="LOW HIGH", nargs=2, default=None, help="Prices an order may have; else one tick to 10000.")
@click.option("--maker", metavar="RATE", default="0.0001", show_default=True, help="Fee, so much of the value.")
@click.option("--taker", metavar="RATE", default="0.0002", show_default=True, help="Fee, so much of the value.")
@options.record
@answers
def list_instrument(symbol: str, settings: Settings, **terms: Any) -> Answer:
    """List an instrument and open it.

    SYMBOL is both its name and that of the asset that is traded. Exit code 1 when it is refused.
    """
    from adapters import listing
    from adapters.cli import views

    with options.trading(settings, symbol) as market:
        happened = listing.list_instrument(market, settings.folder, symbol, **terms)
        return views.outcome(market.directory, None, happened, {"symbol": symbol}, f"listed {symbol} against {terms['quote']}, open")


@click.command()
@click.argument("symbol")
@click.argument("state", type=click.Choice(STATES))
@options.record
@answers
def state(symbol: str, state: str, settings: Settings) -> Answer:
    """Move an instrument between trading states.

    Pre-open: orders may rest; open: and trade; halted and closed: cancels only. Exit code 1 when it is refused.
    """
    import msgspec

    from adapters.cli import views
    from commands.messages import SetInstrumentState

    with options.trading(settings, symbol) as market:
        listed = market.directory.instrument(symbol)
        asked = msgspec.convert({"instrument": listed.instrument, "state": state}, SetInstrumentState)
        return views.outcome(market.directory, listed, market.send(asked), {"symbol": symbol}, f"{symbol} is {state.replace('_', '-')}")


@click.command()
@click.argument("symbol")
@click.option("--maker", metavar="RATE", required=True, help="Fee, so much of the value.")
@click.option("--taker", metavar="RATE", required=True, help="Fee, so much of the value.")
@options.record
@answers
def fees(symbol: str, maker: str, taker: str, settings: Settings) -> Answer:
    """Set what trades of an instrument cost from now on.

    While buys are in the book no rate may rise above those for which they hold funds. Exit code 1 when it is refused.
    """
    from adapters.cli import views
    from adapters.decimals import from_rate, to_rate
    from commands.messages import SetFeeRates

    with options.trading(settings, symbol) as market:
        listed = market.directory.instrument(symbol)
        asked = SetFeeRates(instrument=listed.instrument, maker_rate=to_rate(maker), taker_rate=to_rate(taker))
        rates = {"maker_rate": str(from_rate(asked.maker_rate)), "taker_rate": str(from_rate(asked.taker_rate))}
        says = f"{symbol}: makers pay {rates['maker_rate']}, takers {rates['taker_rate']} of the value"
        return views.outcome(market.directory, listed, market.send(asked), {"symbol": symbol, **rates}, says)


@click.command("open")
@click.argument("name")
@options.record
@answers
def open_account(name: str, settings: Settings) -> Answer:
    """Open an account called NAME.

    Fund it with `outcry deposit`. Exit code 1 when it is refused.
    """
    from adapters import names
    from adapters.cli import views
    from commands.messages import OpenAccount

    with options.trading(settings) as market:
        known = market.directory.names
        number = known.new_account(name, market.directory.highest_account)
        happened = market.send(OpenAccount(account=number))
        if happened[0].kind == "AccountOpened":
            names.save(settings.folder, known)
        return views.outcome(market.directory, None, happened, {"account": number, "name": name}, f"opened account {number}, {name}")


@click.command()
@click.argument("name")
@click.argument("amount")
@click.argument("asset")
@options.record
@answers
def deposit(name: str, amount: str, asset: str, settings: Settings) -> Answer:
    """Bring AMOUNT of ASSET into account NAME.

    As in `outcry deposit alice 1000.00 USD`. Exit code 1 when it is refused.
    """
    from adapters.cli import views
    from adapters.decimals import to_minor
    from commands.messages import Deposit

    with options.trading(settings) as market:
        wanted = market.directory.asset(asset)
        owner = market.directory.names.account(name)
        happened = market.send(Deposit(account=owner, asset=wanted.number, amount=to_minor(amount, wanted.scale)))
        available = happened[0].fields.get("available")
        facts = {"available": market.directory.money(wanted.number, available)[1]} if isinstance(available, int) else {}
        said = f"{name} has {facts.get('available')} {asset} available"
        return views.outcome(market.directory, None, happened, {"account": owner, "asset": asset, **facts}, said)


COMMANDS = (list_instrument, state, fees, open_account, deposit)
