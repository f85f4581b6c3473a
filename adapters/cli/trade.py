"""Trading by hand: order, cancel, book, balance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.cli.through import Door
    from adapters.settings import Settings
    from commands.messages import Side

SELF_TRADE = ("allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement")
ID = click.IntRange(1, 2**63 - 1)
whose = click.option("--account", metavar="NAME", help="Whose it is: a name of this store, or a number; of the key, when it has several.")


@click.command()
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("symbol")
@click.argument("quantity")
@click.argument("price", nargs=-1, metavar="[@ PRICE]")
@whose
@click.option("--time-in-force", type=click.Choice(["GTC", "IOC", "FOK", "DAY"]), help="Else GTC; GTD with --expires; IOC without a price.")
@click.option("--expires", metavar="T", help="Dead from this time on: nanoseconds, or 2030-06-21T10:31:07 (UTC).")
@click.option("--budget", metavar="AMOUNT", help="For a buy without price: most it may spend, fees included.")
@click.option("--post-only", type=click.Choice(["off", "refuse", "slide"]), default="off", help="What to do when it would take.")
@click.option("--self-trade", type=click.Choice(SELF_TRADE), default="cancel_newest", help="When it would meet the account's own order.")
@click.option("--client-id", type=ID, default=None, help="Your own number for the order.")
@options.door
@options.record
@answers
def order(
    side: Side,
    symbol: str,
    quantity: str,
    price: tuple[str, ...],
    account: str | None,
    key: Path | None,
    at: str | None,
    settings: Settings,
    **terms: Any,
) -> Answer:
    """Enter an order.

    As in `outcry order buy ACME 100 @ 12.50 --account alice`. Exit code 1 when it is refused.

    Without a price it is a market order: a buy then needs --budget, a sell takes whatever is bid. A store in which nothing was recorded
    yet begins with an example market: ACME in USD, and the accounts alice and bob.

    When somebody serves the store, or with --key, it goes through a door. The keys of `outcry demo` are found by --account.
    """
    from adapters.cli import views
    from adapters.tickets import Ticket, new_order

    limit = "".join(price).removeprefix("@")
    if price and not limit:
        raise click.UsageError("a price is missing after @")
    if side == "buy" and not limit and not terms["budget"]:
        raise click.UsageError("a buy has a price, as in @ 12.50, or --budget: the most it may spend")
    named = {name: value for name, value in terms.items() if value and name != "client_id"}
    if door := _own_door(settings, key, at, account):
        from adapters.cli import through

        named |= {"client_order_id": terms["client_id"]} if terms["client_id"] else {}
        return door.ask(lambda client: through.order(client, account, side, symbol, quantity, limit, named))
    ticket = Ticket(side=side, quantity=quantity, price=limit, client_order_id=terms["client_id"] or 0, **named)
    with options.trading(settings, symbol) as market:
        listed = market.directory.instrument(symbol)
        sent = market.send(new_order(ticket, market.directory.names.account(_named(account)), listed.instrument, listed))
        return views.outcome(market.directory, listed, sent, {"durability": market.durability})


@click.command()
@click.argument("order", type=ID, required=False)
@whose
@click.option("--client-id", type=ID, default=None, help="Name the order by your own number instead.")
@options.door
@options.record
@answers
def cancel(order: int | None, account: str | None, client_id: int | None, key: Path | None, at: str | None, settings: Settings) -> Answer:
    """Take a live order away.

    Named by the number that `outcry order` answered, or by --client-id. Exit code 1 when it is refused.
    """
    from adapters.cli import views
    from commands.messages import CancelOrder

    if (order is None) == (client_id is None):
        raise click.UsageError("name the order by its number or by --client-id, one of both")
    if door := _own_door(settings, key, at, account):
        from adapters.cli import through

        return door.ask(lambda client: through.cancel(client, account, order, client_id))
    with options.trading(settings) as market:
        owner = market.directory.names.account(_named(account))
        sent = market.send(CancelOrder(account=owner, order=order or 0, client_order_id=client_id or 0))
        listed = next(
            (found for found in market.directory.instruments.values() if found.instrument == sent[0].fields.get("instrument")), None
        )
        return views.outcome(market.directory, listed, sent, {})


@click.command()
@click.argument("symbol")
@click.option("--levels", type=click.IntRange(1, 1000), default=10, show_default=True, help="Price levels to show of each side.")
@options.door
@options.record
@answers
def book(symbol: str, levels: int, key: Path | None, at: str | None, settings: Settings) -> Answer:
    """The order book of SYMBOL: price levels, best first; through a door at most 32 a side."""
    from adapters.cli import views

    if door := _door(settings, key, at):
        from adapters.cli import through

        return door.ask(lambda client: through.book(client, symbol, levels))
    partition, directory = options.state(settings, symbol)
    return views.levels(partition, directory.instrument(symbol), levels)


@click.command()
@click.argument("account")
@options.door
@options.record
@answers
def balance(account: str, key: Path | None, at: str | None, settings: Settings) -> Answer:
    """What ACCOUNT has of each asset.

    Available, and held by its live orders: their worst case, fees included.
    """
    from adapters.cli import views

    door = _door(settings, key, at, account)
    if door is not None and door.credentials is not None:
        from adapters.cli import through

        return door.ask(lambda client: through.balance(client, account))
    partition, directory = options.state(settings)
    return views.balances(partition, directory, directory.names.account(account))


def _door(settings: Settings, key: Path | None, at: str | None, account: str | None = None) -> Door | None:
    """Through which a command goes; None: to the record itself."""
    from adapters.doors import address

    if key is None and at is None and (settings.profile != "embedded" or address.of(settings.store) is None):
        return None
    from adapters.cli import through

    return through.door(settings, key, at, account)


def _own_door(settings: Settings, key: Path | None, at: str | None, account: str | None) -> Door | None:
    """As _door, for who must say who he is. Raises click.UsageError."""
    door = _door(settings, key, at, account)
    if door is None:
        _named(account)
    elif door.credentials is None:
        raise click.UsageError(f"{door.rest} wants a key; right would be --key FILE, or --account NAME of one in {settings.store / 'keys'}")
    return door


def _named(account: str | None) -> str:
    if account is None:
        raise click.UsageError("whose is it? right would be --account NAME, or --key FILE")
    return account


COMMANDS = (order, cancel, book, balance)
