"""What an account has and had: balances, statements, funds; and what became of a command."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Annotated, Final, Literal, cast

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import JSONBody, QueryParameter

from adapters.decimals import to_minor
from adapters.doors import shapes
from adapters.doors.access import Caller, Denied
from adapters.doors.house import House, NotListed
from adapters.doors.rest.asking import AccountNumber, AtLeast, Limit, account_of, command_id_of, settled
from adapters.doors.rest.paging import Cursor, Key, page
from adapters.doors.rest.words import CommandId, Decimals
from adapters.doors.shapes import AsOf, BalanceShape, Done, LineShape
from adapters.reads.answer import Asked
from adapters.registry.aggregates import Asset
from commands.messages import Deposit, Withdraw
from projections import layouts

CSV: Final = "text/csv"


class PartitionBalances(msgspec.Struct):
    """What lies in one partition."""

    balances: list[BalanceShape]
    as_of: AsOf


class Balances(msgspec.Struct):
    """Funds lie in partitions, and pay for orders there."""

    account: int
    partitions: list[PartitionBalances]


class Statement(msgspec.Struct):
    """Lines, newest first. next: cursor of the page after; empty: there is none."""

    account: int
    lines: list[LineShape]
    as_of: list[AsOf]
    next: str


class Funds(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Funds to bring or to take, in test mode."""

    asset: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    amount: Decimals
    account: int | None = None
    partition: int = 1
    command_id: CommandId = ""


@get("/balances", summary="What you have")
async def balances(
    house: NamedDependency[House], caller: NamedDependency[Caller], account: AccountNumber = None, at_least: AtLeast = 0
) -> Balances:
    """Available, and held by live orders: their worst case, fees included."""
    caller.needs("read")
    owner = account_of(caller, account)
    assets = house.assets()
    found = []
    for partition in house.desks:
        answer = await house.own(Asked("balances", f"balance:{owner}", partition, is_group=True), owner, at_least)
        rows = [(int(key.rpartition(":")[2]), layouts.BALANCE.one(row)) for key, row in sorted(answer.rows.items())]
        found.append(PartitionBalances([shapes.balance(*_called(assets, each), row) for each, row in rows], shapes.as_of(answer)))
    return Balances(owner, found)


@dataclass
class _AlsoCsv(Operation):
    """The operation in the document: what it answers has two forms."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        assert isinstance(answer, OpenAPIResponse), "it is described in place"
        answer.content = {**(answer.content or {}), CSV: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}


@get("/statements", summary="How it came to that", operation_class=_AlsoCsv)
async def statements(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    account: AccountNumber = None,
    form: Annotated[Literal["json", "csv"], QueryParameter(name="format")] = "json",
    limit: Limit = 100,
    cursor: Cursor = "",
    at_least: AtLeast = 0,
) -> Response[Statement]:
    """The last 128 movements of an account in each partition. As CSV the cursor of the page after stands in `Outcry-Next`."""
    caller.needs("read")
    owner = account_of(caller, account)
    assets = house.assets()
    found: list[layouts.Line] = []
    said: list[AsOf] = []
    for partition in house.desks:
        answer = await house.own(Asked("statements", f"statement:{owner}", partition, is_group=True), owner, at_least)
        said.append(shapes.as_of(answer))
        found += map(layouts.LINE.one, answer.rows.values())
    shown, after = page(found, _key, cursor, limit)
    lines = [shapes.line(*_called(assets, each.asset), each) for each in shown]
    if form == "csv":
        head = {"Content-Disposition": f'attachment; filename="statement-{owner}.csv"', "Outcry-Next": after}
        return cast("Response[Statement]", Response(_csv(lines), media_type=CSV, headers=head))
    return Response(Statement(owner, lines, said, after), media_type="application/json")


@post("/deposits", status_code=200, summary="Bring funds")
async def deposit(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[Funds]) -> Done:
    """In test mode, where funds are made of nothing."""
    account, asset = _funds(house, caller, data)
    amount = to_minor(data.amount, asset.scale)
    command = Deposit(account=account, asset=asset.number, amount=amount, sequence=command_id_of(caller, data.command_id))
    return await settled(house, data.partition, command, None)


@post("/withdrawals", status_code=200, summary="Take funds")
async def withdraw(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[Funds]) -> Done:
    """In test mode. Refused beyond what is available."""
    account, asset = _funds(house, caller, data)
    amount = to_minor(data.amount, asset.scale)
    command = Withdraw(account=account, asset=asset.number, amount=amount, sequence=command_id_of(caller, data.command_id))
    return await settled(house, data.partition, command, None)


def _funds(house: House, caller: Caller, data: Funds) -> tuple[int, Asset]:
    caller.needs("fund")
    if not house.test_mode:
        raise Denied(403, "funds come and go by an operator; only a venue in test mode lets you do it yourself")
    if data.partition not in house.desks:
        raise NotListed(f"no partition {data.partition}; there are {', '.join(map(str, house.desks))}")
    return account_of(caller, data.account), house.registry.get(Asset, data.asset)


def _called(assets: dict[int, Asset], asset: int) -> tuple[str, int]:
    """Name and decimals; the bare number in minor units when it has none."""
    known = assets.get(asset)
    return (known.name, known.scale) if known else (f"asset {asset}", 0)


def _key(line: layouts.Line) -> Key:
    """Lines of one trade share its number: by asset, and what was given before what was got."""
    return line.time_ns, line.number, -2 * line.asset - (line.amount > 0)


def _csv(lines: list[LineShape]) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(LineShape.__struct_fields__)
    table.writerows(msgspec.structs.astuple(line) for line in lines)
    return text.getvalue()


HANDLERS = (balances, statements, deposit, withdraw)
