"""Rules and alerts as people and programs outside read them: decimals, names, one sentence."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from adapters.alerts.stream import Entry
from projections.alert_rules import KINDS, Rule


def sentence(rule: Rule) -> str:
    """What *rule* waits for."""
    what, side, level = rule.name or f"instrument {rule.instrument}", "reaches" if rule.above else "falls to", shown(rule.level, rule)
    match rule.kind:
        case "price":
            return f"{what} {side} {level}"
        case "spread":
            return f"the spread of {what} {side} {level}"
        case "move":
            return f"{what} has moved by {level} % within {rule.window_s} s"
        case "volume":
            return f"{what} has {level} times its usual volume of {rule.window_s} s"
        case "halt":
            return f"{what} is halted"
        case "fills":
            return f"orders of the account trade{f' in {rule.name}' if rule.name else ''}"
        case "balance":
            return f"what is available of {rule.name or f'asset {rule.asset}'} {side} {level}"


def shown(units: int, rule: Rule) -> str:
    """A level or value for people."""
    return f"{units * Decimal(rule.unit):f}"


def in_words(partition: int, entry: Entry, rule: Rule | None) -> dict[str, Any]:
    """An alert for programs outside: whole numbers as in the record, and beside them what people read. None: the rule is not known."""
    alert = entry.alert
    said: dict[str, Any] = {
        "name": f"{partition}:{entry.name}",
        "partition": partition,
        "block": entry.seq,
        "event": str(alert.number),
        "time_ns": str(alert.time_ns),
        "rule": alert.rule,
        "account": alert.account,
        "kind": KINDS[alert.kind],
        "instrument": alert.instrument,
        "asset": alert.asset,
        "level": alert.level,
        "value": alert.value,
    }
    if alert.fills:
        said |= {"fills": alert.fills, "lots": alert.lots}
    if rule is not None:
        said |= {"tells": sentence(rule), "shown": shown(alert.value, rule), "text": rule.text}
    return said
