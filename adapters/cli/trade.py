"""Trading by hand: order, cancel, book, balance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from adapters.settings import Settings

SELF_TRADE = ("allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement")
ID = click.IntRange(1, 2**63 - 1)


@click.command()
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("symbol")
@click.argument("quantity")
@click.argument("price", nargs=-1, metavar="[@ PRICE]")
@options.account
@click.option("--time-in-force", type=click.Choice(["GTC", "IOC", "FOK", "DAY"]), help="Else GTC; GTD with --expires; IOC without a price.")
@click.option("--expires", metavar="T", help="Dead from this time on: nanoseconds, or 2030-06-21T10:31:07 (UTC).")
@click.option("--budget", metavar="AMOUNT", help="For a buy without price: most it may spend, fees included.")
@click.option("--post-only", type=click.Choice(["off", "refuse", "slide"]), default="off", help="What to do when it would take.")
@click.option("--self-trade", type=click.Choice(SELF_TRADE), default="cancel_newest", help="When it would meet the account's own order.")
@click.option("--client-id", type=ID, default=None, help="Your own number for the order.")
@options.record
@answers
def order(side: str, symbol: str, quantity: str, price: tuple[str, ...], account: str, settings: Settings, **terms: Any) -> Answer:
    """Enter an order.

    As in `outcry order buy ACME 100 @ 12.50 --account alice`. Exit code 1 when it is refused.

    Without a price it is a market order: a buy then needs --budget, a sell takes whatever is bid. A store in which nothing was recorded
    yet begins with an example market: ACME in USD, and the accounts alice and bob.
    """
    import msgspec

    from adapters import times
    from adapters.cli import views
    from adapters.decimals import to_lots, to_minor, to_ticks
    from commands.messages import NewOrder

    limit = "".join(price).removeprefix("@")
    if price and not limit:
        raise click.UsageError("a price is missing after @")
    if side == "buy" and not limit and not terms["budget"]:
        raise click.UsageError("a buy has a price, as in @ 12.50, or --budget: the most it may spend")
    expires_ns = times.to_ns(terms["expires"]) if terms["expires"] else 0
    with options.trading(settings, symbol) as market:
        listed = market.directory.instrument(symbol)
        fields = {
            "account": market.directory.names.account(account),
            "instrument": listed.instrument,
            "side": side,
            "quantity_lots": to_lots(quantity, listed.lot_size_e9),
            "order_type": "limit" if limit or side == "sell" else "market",
            "time_in_force": terms["time_in_force"] or ("GTD" if expires_ns else "GTC" if limit else "IOC"),
            "expires_ns": expires_ns,
            "post_only": terms["post_only"],
            "stp": terms["self_trade"],
            "client_order_id": terms["client_id"] or 0,
            "price_ticks": to_ticks(limit, listed.tick_size_e9) if limit else 0 if side == "buy" else listed.band_low_ticks,
            "budget": to_minor(terms["budget"], listed.quote_scale) if terms["budget"] else 0,
        }
        sent = market.send(msgspec.convert(fields, NewOrder))
        return views.outcome(market.directory, listed, sent, {"durability": market.durability})


@click.command()
@click.argument("order", type=ID, required=False)
@options.account
@click.option("--client-id", type=ID, default=None, help="Name the order by your own number instead.")
@options.record
@answers
def cancel(order: int | None, account: str, client_id: int | None, settings: Settings) -> Answer:
    """Take a live order away.

    Named by the number that `outcry order` answered, or by --client-id. Exit code 1 when it is refused.
    """
    from adapters.cli import views
    from commands.messages import CancelOrder

    if (order is None) == (client_id is None):
        raise click.UsageError("name the order by its number or by --client-id, one of both")
    with options.trading(settings) as market:
        owner = market.directory.names.account(account)
        sent = market.send(CancelOrder(account=owner, order=order or 0, client_order_id=client_id or 0))
        listed = next(
            (found for found in market.directory.instruments.values() if found.instrument == sent[0].fields.get("instrument")), None
        )
        return views.outcome(market.directory, listed, sent, {})


@click.command()
@click.argument("symbol")
@click.option("--levels", type=click.IntRange(1, 1000), default=10, show_default=True, help="Price levels to show of each side.")
@options.record
@answers
def book(symbol: str, levels: int, settings: Settings) -> Answer:
    """The order book of SYMBOL: price levels, best first."""
    from adapters.cli import views

    partition, directory = options.state(settings, symbol)
    return views.levels(partition, directory.instrument(symbol), levels)


@click.command()
@click.argument("account")
@options.record
@answers
def balance(account: str, settings: Settings) -> Answer:
    """What ACCOUNT has of each asset.

    Available, and held by its live orders: their worst case, fees included.
    """
    from adapters.cli import views

    partition, directory = options.state(settings)
    return views.balances(partition, directory, directory.names.account(account))


COMMANDS = (order, cancel, book, balance)
