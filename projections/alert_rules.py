"""Users' alert rules: what they may say, what is refused, and what a rule that fired says. A rule is data; nothing of it is executed.

Prices are ticks, quantities lots, money minor units, as in the record.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

import msgspec

from domain.columns import MAX_ACCOUNT, MAX_ASSET, MAX_BALANCE, MAX_INSTRUMENT, MAX_PRICE_TICKS
from projections.packed import Layout

Kind = Literal["price", "move", "volume", "spread", "halt", "fills", "balance"]
KINDS: Final[tuple[Kind, ...]] = ("price", "move", "volume", "spread", "halt", "fills", "balance")
WINDOWS_S: Final = (10, 60, 300, 900, 3_600, 86_400)
MAX_RULES_PER_ACCOUNT: Final = 10_000
MAX_TEXT: Final = 200
MAX_NAME: Final = 32
MAX_TARGET: Final = 512
_EMAIL: Final = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\"]+")
_UNIT: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
PPM: Final = 1_000_000
MAX_MOVE_PPM: Final = 1_000 * PPM
MAX_TIMES_E3: Final = 1_000_000
OF_INSTRUMENT: Final = frozenset({"price", "move", "volume", "spread", "halt"})
ONLY_ABOVE: Final = frozenset({"volume", "halt", "fills"})


class BadRule(ValueError):
    """An alert rule that cannot be: which field, what it is and what would be right."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What an account wants to be told of.

    price    the price of a trade reaches level (ticks)
    move     the price has moved by level (10^-6; below 0: has fallen) since window_s ago
    volume   an interval of window_s has level (10^-3) times the volume of the intervals before it
    spread   ask - bid reaches level (ticks) at the end of a block; a book that lacks a side is as wide as can be
    halt     the instrument is halted
    fills    orders of the account trade; instrument 0: any
    balance  what the account has available of asset reaches level (minor units) at the end of a block

    above       whether level is reached from below, else from above
    hysteresis  how far the value must go back beyond level before the rule may fire again; at least one unit
    webhook, email  where it is delivered besides the stream, one of both or neither
    name, unit  for people: what is watched, and what one unit of level and value is worth: ACME, 0.01
    text        of the user's, delivered with the alert
    """

    kind: Kind
    account: int
    instrument: int = 0
    asset: int = 0
    above: bool = True
    level: int = 0
    hysteresis: int = 0
    window_s: int = 0
    webhook: str = ""
    email: str = ""
    name: str = ""
    unit: str = "1"
    text: str = ""


class Change(NamedTuple):
    """A rule is added, or the rule *removes* is removed, with block *seq*. number: rises; that of an added rule is the rule's."""

    number: int
    seq: int
    rule: Rule | None
    removes: int = 0


class Alert(NamedTuple):
    """A rule fired.

    number       of the event with which it did, unique for ever; at the end of a block: of its last event
    kind         place in KINDS
    level, value what the rule waits for, and what was seen; halt: 1; fills: the last price
    fills, lots  of the account's in the block, for the kind fills
    """

    rule: int
    account: int
    kind: int
    instrument: int
    asset: int
    above: int
    level: int
    value: int
    fills: int
    lots: int
    number: int
    time_ns: int


ALERT: Final = Layout(1, Alert)


def alert_key(seq: int, number: int, rule: int) -> str:
    """What names an alert for ever, in its partition: block, event, rule."""
    return f"alert:{seq}:{number}:{rule}"


def decode(data: bytes | str) -> Rule:
    """A rule as it is stored, JSON. Raises BadRule."""
    try:
        return msgspec.json.decode(data, type=Rule)
    except msgspec.DecodeError as wrong:
        raise BadRule(f"no alert rule ({wrong}); right would be an object with the fields of docs/alerts.md") from None


def check(rule: Rule) -> Rule:
    """*rule*, which can be. Raises BadRule."""
    _within("account", rule.account, 1, MAX_ACCOUNT)
    _within("instrument", rule.instrument, int(rule.kind in OF_INSTRUMENT), MAX_INSTRUMENT if rule.kind != "balance" else 0)
    _within("asset", rule.asset, int(rule.kind == "balance"), MAX_ASSET if rule.kind == "balance" else 0)
    _within("level", rule.level, *_levels(rule))
    _within("hysteresis", rule.hysteresis, 0, 2 * MAX_BALANCE if rule.kind == "balance" else MAX_PRICE_TICKS)
    if rule.kind in {"move", "volume"} and rule.window_s not in WINDOWS_S:
        raise BadRule(f"window_s of an alert is {rule.window_s}; right would be one of {', '.join(map(str, WINDOWS_S))} (seconds)")
    if rule.kind not in {"move", "volume"} and rule.window_s:
        raise BadRule(f"window_s of an alert is {rule.window_s}; right would be none: {rule.kind} has no window")
    if rule.kind in ONLY_ABOVE and not rule.above:
        raise BadRule(f"above of an alert is false; right would be true: {rule.kind} has only one direction")
    for name, bound in (("text", MAX_TEXT), ("name", MAX_NAME), ("unit", MAX_NAME), ("webhook", MAX_TARGET), ("email", MAX_TARGET)):
        value = getattr(rule, name)
        if len(value) > bound or not value.isprintable():
            raise BadRule(f"{name} of an alert has {len(value)} characters; right would be one line of up to {bound}")
    if rule.webhook and not rule.webhook.startswith(("https://", "http://")):
        raise BadRule(f"webhook of an alert is {rule.webhook!r}; right would be https://HOST/PATH")
    if rule.email and not _EMAIL.fullmatch(rule.email):
        raise BadRule(f"email of an alert is {rule.email!r}; right would be one address, NAME@HOST")
    if not _UNIT.fullmatch(rule.unit):
        raise BadRule(f"unit of an alert is {rule.unit!r}; right would be a decimal like 0.01")
    return rule


def _levels(rule: Rule) -> tuple[int, int]:
    """Lowest and highest level of the kind."""
    match rule.kind:
        case "price":
            return 1, MAX_PRICE_TICKS
        case "spread":
            return 0, MAX_PRICE_TICKS - 1
        case "move":
            return (1, MAX_MOVE_PPM) if rule.above else (-PPM, -1)
        case "volume":
            return 1_000, MAX_TIMES_E3
        case "balance":
            return 0, MAX_BALANCE
        case _:
            return 0, 0


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        right = f"{low}" if low == high else f"{low} to {high}"
        raise BadRule(f"{name} of an alert is {value}; right would be {right}")
