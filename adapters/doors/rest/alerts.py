"""Your alert rules, and what they told."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from adapters.alerts.alerting import Alerting
from adapters.doors import alerts
from adapters.doors.access import Caller
from adapters.doors.alerts import AlertAsked, AlertRuleShape, AlertShape
from adapters.doors.house import House, NotListed
from adapters.doors.rest.asking import AccountNumber, Limit, account_of
from adapters.doors.rest.paging import Cursor, page

PartitionInPath = Annotated[int, PathParameter(ge=1, le=2**15)]
RuleInPath = Annotated[int, PathParameter(ge=1, le=2**53)]


class AlertRules(msgspec.Struct):
    """Those in force."""

    account: int
    rules: list[AlertRuleShape]


class Position(msgspec.Struct):
    """The block of a partition up to which alerts are here."""

    partition: int
    seq: int


class Alerts(msgspec.Struct):
    """Newest first. next: cursor of the page after; empty: there is none."""

    account: int
    alerts: list[AlertShape]
    as_of: list[Position]
    next: str


class Removed(msgspec.Struct):
    """until_block: from which on the rule does not hold."""

    until_block: int


@post("/alerts", status_code=201, summary="Tell me when")
async def add(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[AlertAsked]) -> AlertRuleShape:
    """A rule, from the next block on. It fires when its level is crossed: not when that is so already. 10,000 of an account at most."""
    caller.needs("trade")
    account = account_of(caller, data.account)
    listed = await house.instrument(data.symbol) if data.symbol else None
    made = await asyncio.to_thread(_of(house).add, *alerts.rule_of(house, data, account, listed))
    return alerts.rule_shape(made)


@get("/alerts", summary="Your alert rules")
async def rules(house: NamedDependency[House], caller: NamedDependency[Caller], account: AccountNumber = None) -> AlertRules:
    """All that are in force."""
    caller.needs("read")
    owner = account_of(caller, account)
    found = await asyncio.to_thread(_of(house).rules.of, owner)
    return AlertRules(owner, [alerts.rule_shape(each) for each in found])


@delete("/alerts/{partition:int}/{rule:int}", status_code=200, summary="Tell me no more")
async def remove(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    partition: PartitionInPath,
    rule: RuleInPath,
    account: AccountNumber = None,
) -> Removed:
    """From the next block on."""
    caller.needs("trade")
    owner = account_of(caller, account)
    mine = await asyncio.to_thread(_of(house).rules.of, owner)
    if (partition, rule) not in {(each.partition, each.number) for each in mine}:
        raise NotListed(f"none of your alert rules in partition {partition} has the number {rule}")
    return Removed(await asyncio.to_thread(_of(house).rules.remove, partition, owner, rule))


@get("/alerts/fired", summary="What your rules told")
async def fired(
    house: NamedDependency[House], caller: NamedDependency[Caller], account: AccountNumber = None, limit: Limit = 100, cursor: Cursor = ""
) -> Alerts:
    """Those among the last 16,384 of each partition that are yours. The channel `alerts` of the WebSocket pushes them."""
    caller.needs("read")
    owner = account_of(caller, account)
    logs = _of(house).fired.values()
    said = [Position(each.partition, each.seq) for each in logs]
    found = [told for each in logs for told in each.of(owner)]
    shown, after = page(found, lambda told: (told.alert.time_ns, told.alert.number, told.alert.rule), cursor, limit)
    return Alerts(owner, [alerts.shape(told) for told in shown], said, after)


def _of(house: House) -> Alerting:
    """Raises NotListed."""
    if house.alerts is None:
        raise NotListed("this gateway keeps no alerts")
    return house.alerts


HANDLERS = (add, rules, remove, fired)
