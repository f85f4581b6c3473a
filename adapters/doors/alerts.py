"""Users' alerts at the doors: rules as clients say them, and what fired as they see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import msgspec

from adapters.alerts.alerting import Alerting
from adapters.alerts.fired import Told
from adapters.alerts.rules import Listed as InForce
from adapters.alerts.words import sentence, shown
from adapters.decimals import from_ticks, to_minor, to_ticks
from adapters.doors.house import House, Listed, NotListed
from adapters.registry.aggregates import Asset
from adapters.settings import Settings
from adapters.times import from_ns
from domain.columns import MAX_PARTITION
from projections.alert_rules import KINDS, MAX_TARGET, MAX_TEXT, OF_INSTRUMENT, BadRule, Kind, Rule

PERCENT: Final = "0.0001"  # of a millionth
TIMES: Final = "0.001"
Decimals = Annotated[str, msgspec.Meta(max_length=40, examples=["12.50"])]


class AlertAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to tell of (docs/alerts.md), from the block on that comes after it.

    symbol      of price, move, volume, spread and halt; of fills it may be left out: any
    asset       of balance
    above       whether level is reached from below, else from above; of move the sign of level says it
    level       price and spread: a price; move: percent; volume: times the usual; balance: an amount
    hysteresis  so far the value must go back before the rule may fire again; none: the least
    within_s    of move and volume: 10, 60, 300, 900, 3600 or 86400
    partition   of balance, and of fills without a symbol
    """

    kind: Kind
    symbol: Annotated[str, msgspec.Meta(max_length=8)] = ""
    asset: Annotated[str, msgspec.Meta(max_length=32)] = ""
    above: bool = True
    level: Decimals = ""
    hysteresis: Decimals = ""
    within_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    webhook: Annotated[str, msgspec.Meta(max_length=MAX_TARGET)] = ""
    email: Annotated[str, msgspec.Meta(max_length=MAX_TARGET)] = ""
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] = ""
    partition: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTITION)] = 1
    account: int | None = None


class AlertRuleShape(msgspec.Struct):
    """A rule in force. rule: its number in its partition; tells: when, in words; from_block: from which on it holds."""

    partition: int
    rule: int
    account: int
    kind: str
    tells: str
    from_block: int
    webhook: str
    email: str
    text: str


class AlertShape(msgspec.Struct):
    """A rule fired.

    name    for ever the same, unique at this venue
    number  of the event with which it did; at the end of a block: of its last event
    level, value  what the rule waits for, and what was seen; of fills the last price, in ticks
    fills, lots   of the account's orders in that block, for the kind fills
    """

    name: str
    number: str
    time: str
    rule: int
    kind: str
    tells: str
    level: str
    value: str
    text: str
    fills: int
    lots: int


@contextmanager
def of_stack(settings: Settings) -> Iterator[Alerting]:
    """Rules in the record's database, and what `outcry worker alerts` puts into the streams. Raises what wiring.views raises."""
    from adapters import wiring
    from adapters.alerts.streamed import Streams

    partitions = range(1, settings.partitions + 1)
    with (
        wiring.views(settings) as store,
        wiring.alert_rules(settings) as rules,
        closing(Streams(store.client, store.log.cluster, rules, partitions)) as streams,
    ):
        yield Alerting(rules, streams.fired, delivers=True)


def rule_of(house: House, asked: AlertAsked, account: int, listed: Listed | None) -> tuple[int, Rule]:
    """The rule that is asked for, and its partition. Raises BadRule, BadDecimal, NotListed, Unregistered."""
    if asked.kind in OF_INSTRUMENT and listed is None:
        raise BadRule(f"{asked.kind} is of an instrument; right would be symbol beside it")
    rule = Rule(asked.kind, account, above=asked.above, window_s=asked.within_s, text=asked.text)
    rule = msgspec.structs.replace(rule, webhook=asked.webhook, email=asked.email)
    if asked.kind == "balance":
        asset = house.registry.get(Asset, asked.asset)
        unit = str(Decimal(1).scaleb(-asset.scale))
        back = to_minor(asked.hysteresis, asset.scale) if asked.hysteresis else 0
        level = to_minor(_said(asked), asset.scale)
        rule = msgspec.structs.replace(rule, asset=asset.number, name=asset.name, unit=unit, level=level, hysteresis=back)
    elif asked.kind in {"price", "spread"} and listed is not None:
        tick_size_e9 = listed.terms.tick_size_e9
        back = to_ticks(asked.hysteresis, tick_size_e9) if asked.hysteresis else 0
        unit = str(from_ticks(1, tick_size_e9))
        rule = msgspec.structs.replace(rule, level=to_ticks(_said(asked), tick_size_e9), hysteresis=back, unit=unit)
    elif asked.kind in {"move", "volume"}:
        unit = PERCENT if asked.kind == "move" else TIMES
        level, back = _units(_said(asked), unit), _units(asked.hysteresis or "0", unit)
        above = level > 0 if asked.kind == "move" else asked.above
        rule = msgspec.structs.replace(rule, level=level, hysteresis=back, unit=unit, above=above)
    if listed is not None and asked.kind != "balance":
        return listed.partition, msgspec.structs.replace(rule, instrument=listed.instrument, name=listed.symbol)
    if asked.partition not in house.desks:
        raise NotListed(f"no partition {asked.partition}; there are {', '.join(map(str, house.desks))}")
    return asked.partition, rule


def rule_shape(made: InForce) -> AlertRuleShape:
    """Of a rule in force."""
    rule = made.rule
    return AlertRuleShape(
        partition=made.partition,
        rule=made.number,
        account=rule.account,
        kind=rule.kind,
        tells=sentence(rule),
        from_block=made.seq,
        webhook=rule.webhook,
        email=rule.email,
        text=rule.text,
    )


def shape(told: Told) -> AlertShape:
    """Of an alert."""
    alert, rule = told.alert, told.rule
    level, value = (str(each) if rule is None or alert.fills else shown(each, rule) for each in (alert.level, alert.value))
    return AlertShape(
        name=f"{told.partition}:{told.name}",
        number=str(alert.number),
        time=from_ns(alert.time_ns),
        rule=alert.rule,
        kind=KINDS[alert.kind],
        tells=sentence(rule) if rule else "",
        level=level,
        value=value,
        text=rule.text if rule else "",
        fills=alert.fills,
        lots=alert.lots,
    )


def _said(asked: AlertAsked) -> str:
    if not asked.level:
        raise BadRule(f"{asked.kind} waits for a level; right would be level beside it")
    return asked.level


def _units(text: str, unit: str) -> int:
    """*text* in whole *unit*s, which may be below 0. Raises BadRule."""
    try:
        units = Decimal(text) / Decimal(unit)
        is_whole = units == units.to_integral_value() and abs(units) < 10**18
    except (InvalidOperation, ValueError):
        raise BadRule(f"{text!r} is no number; right would be for example 2.5") from None
    if not is_whole:
        raise BadRule(f"{text} is not a multiple of {unit}, or too large")
    return int(units)
