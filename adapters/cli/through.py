"""Trading by hand through a door: what `outcry order` and its like do when somebody serves the store, or a key says where to go."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import views
from adapters.cli.output import Answer
from adapters.doors import address, keys
from adapters.names import BadName
from outcry.client import AsyncClient, Credentials, Done, NotFound, Refused
from outcry.client.credentials import KeyFile

if TYPE_CHECKING:
    from adapters.settings import Settings
    from commands.messages import Side

PATIENCE_S: Final = 5.0
MOST_LEVELS: Final = 32


@dataclass(frozen=True, slots=True)
class Door:
    """Where it is, and who asks; without credentials nobody in particular. tls: whom to trust, if not whom this machine trusts."""

    rest: str
    websocket: str
    credentials: Credentials | None
    tls: ssl.SSLContext | None = None

    def client(self, patience_s: float = PATIENCE_S) -> AsyncClient:
        """Who asks there."""
        return AsyncClient(self.rest, self.websocket, self.credentials, patience_s=patience_s, tls=self.tls)

    def ask(self, question: Callable[[AsyncClient], Awaitable[Answer]]) -> Answer:
        """The answer to *question*. Raises OutcryError; click.UsageError for what is no name or number."""

        async def asked() -> Answer:
            async with self.client() as client:
                return await question(client)

        try:
            return asyncio.run(asked())
        except ValueError as wrong:  # what the client library does not send
            raise click.UsageError(str(wrong)) from None


def door(settings: Settings, key: Path | None, at: str | None, account: str | None = None) -> Door | None:
    """Where *at* or the file *key* say, else that of whoever serves the store, with the key of *account* that lies there; else None.

    Raises click.UsageError for a file that is none, or says no address where nobody else does.
    """
    served = address.of(settings.store) if settings.profile == "embedded" else None
    own = keys.path_of(settings.store, account) if served and account else None
    try:
        file = KeyFile.read(key) if key else KeyFile.read(own) if own and own.exists() else None
        tls = file.trusts() if file else None
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    credentials = Credentials.of(file) if file else None
    if at:
        return Door(at, f"{at.rstrip('/').replace('http', 'ws', 1)}/v1/ws", credentials, tls)
    if file and file.rest and key:
        return Door(file.rest, file.websocket, credentials, tls)
    if served:
        return Door(served.rest, served.websocket, credentials)
    if key:
        raise click.UsageError(f"{key} does not say where its venue is; right would be --at http://HOST:PORT as well")
    return None


async def account_number(client: AsyncClient, account: str | None) -> int | None:
    """Of an account that the key is for, by name or number; None: it has only one. Raises BadName."""
    if account is None or account.isdecimal():
        return int(account) if account else None
    known = (await client.me()).accounts
    for each in known:
        if each.name == account:
            return each.account
    raise BadName(f"the key is not for an account {account!r}; it is for {', '.join(each.name for each in known) or 'none'}")


async def order(
    client: AsyncClient, account: str | None, side: Side, symbol: str, quantity: str, price: str, terms: dict[str, Any]
) -> Answer:
    """As `outcry order`."""
    owner = await account_number(client, account)
    what = f"{quantity} {symbol} at {price}" if price else f"{quantity} {symbol}"
    try:
        done = await client.order(symbol, side, quantity, price, **(terms | ({"account": owner} if owner else {})))
    except Refused as refused:
        return _refused(refused)
    money = (await client.instrument(symbol)).quote_asset if done.fills else ""
    said = [f"accepted: order {done.order}, {what}"]
    said += [
        f"traded {each.quantity} {symbol} at {each.price} with order {each.maker_order}, fee {each.fee} {money}" for each in done.fills
    ]
    left = Decimal(quantity) - sum((each.quantity for each in done.fills), Decimal(0))
    rest = f"order {done.order}, {left} {symbol} at {price}" if price else f"order {done.order}, {left} {symbol}"
    if done.resting:
        said.append(f"resting: {rest}")
    if done.removed:
        said.append(f"removed ({done.removed}): {rest}")
    return _done(done, said)


async def cancel(client: AsyncClient, account: str | None, number: int | None, client_id: int | None) -> Answer:
    """As `outcry cancel`."""
    owner = await account_number(client, account)
    wanted = str(number or "")
    if client_id is not None:
        live = await client.orders(account=owner)
        wanted = next((each.order for each in live if each.client_order_id == str(client_id)), "")
    try:
        if not wanted:
            return _unknown(f"no live order of that account has the client order id {client_id}")
        done = await client.cancel(wanted, account=owner) if owner else await client.cancel(wanted)
    except NotFound as unknown:
        return _unknown(unknown.problem.detail)
    except Refused as refused:
        return _refused(refused)
    return _done(done, [f"cancelled: order {done.order}"])


async def book(client: AsyncClient, symbol: str, levels: int) -> Answer:
    """As `outcry book`."""
    listed, found = await client.instrument(symbol), await client.book(symbol, levels=min(levels, MOST_LEVELS))
    buys, sells = (
        [{"price": each.price, "quantity": each.quantity, "orders": each.orders} for each in side] for side in (found.bids, found.asks)
    )
    as_of = {"partition": found.as_of.partition, "seq": found.as_of.seq, "time": found.as_of.time}
    return views.book(symbol, listed.state, as_of, buys, sells)


async def balance(client: AsyncClient, account: str) -> Answer:
    """As `outcry balance`."""
    found = await client.balances(account=await account_number(client, account))
    names = dict.fromkeys(each.asset for partition in found.partitions for each in partition.balances)
    rows = [(each.asset, each.available, each.held) for each in map(found.of, names)]
    as_of = {"as_of": [{"partition": each.as_of.partition, "seq": each.as_of.seq} for each in found.partitions]}
    return views.holdings(account, found.account, as_of, rows)


def _done(done: Done, said: list[str]) -> Answer:
    trades = [{"price": each.price, "quantity": each.quantity, "fee": each.fee, "maker_order": each.maker_order} for each in done.fills]
    fields = {
        "ok": True,
        "durability": done.durability,
        "order": done.order,
        "trades": trades,
        "resting": done.resting,
        "refusal": None,
        "command_id": done.command_id,
        "partition": done.partition,
        "seq": done.seq,
    }
    return Answer(fields, said)


def _refused(refused: Refused) -> Answer:
    refusal = {"rule": refused.rule, "limit": refused.limit, "observed": refused.observed}
    return _no(refusal, views.refused(refusal))


def _unknown(why: str) -> Answer:
    """As the partition would refuse it."""
    return _no({"rule": "unknown_order", "limit": None, "observed": None}, f"refused: unknown_order ({why})")


def _no(refusal: dict[str, Any], said: str) -> Answer:
    return Answer({"ok": False, "order": None, "trades": [], "resting": False, "refusal": refusal}, [said], ok=False)
