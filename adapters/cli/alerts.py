"""Alerts: users' rules, what fired, and the workers that evaluate and deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import click

from adapters.cli import options
from adapters.cli.keep import worker
from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.alerts.rules import Listed
    from adapters.settings import Settings
    from projections.alert_rules import Rule

PERCENT: Final = "0.0001"  # of a millionth
TIMES: Final = "0.001"
SIDES: Final = click.Choice(["above", "below"])
WINDOW: Final = click.option("--within", "window_s", type=int, required=True, help="Seconds: 10, 60, 300, 900, 3600 or 86400.")
BACK: Final = click.option("--hysteresis", metavar="BY", help="How far it must go back before it may fire again; else the least.")


@click.group()
def alert() -> None:
    """Rules that say when you want to be told of something, and what they told."""


@alert.group()
def add() -> None:
    """Put a rule in force, for the blocks that come after it."""


def _rule(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every rule."""
    for option in (
        options.account,
        click.option("--webhook", metavar="URL", default="", help="Where it is posted besides the stream."),
        click.option("--email", metavar="ADDRESS", default="", help="Where it is mailed besides the stream."),
        click.option("--text", default="", help="Yours; comes with the alert."),
        options.record,
    ):
        command = option(command)
    return command


@add.command()
@click.argument("symbol")
@click.argument("side", type=SIDES)
@click.argument("price")
@BACK
@_rule
@answers
def price(settings: Settings, symbol: str, side: str, price: str, hysteresis: str | None, **given: str) -> Answer:
    """Tell when SYMBOL trades at PRICE or beyond.

    As in `outcry alert add price ACME above 12.50 --account alice`.
    """
    return _of_ticks("price", settings, symbol, side, price, hysteresis, given)


@add.command()
@click.argument("symbol")
@click.argument("side", type=SIDES)
@click.argument("width")
@BACK
@_rule
@answers
def spread(settings: Settings, symbol: str, side: str, width: str, hysteresis: str | None, **given: str) -> Answer:
    """Tell when ask - bid of SYMBOL reaches WIDTH; a book that lacks a side is as wide as can be."""
    return _of_ticks("spread", settings, symbol, side, width, hysteresis, given)


@add.command()
@click.argument("symbol")
@click.argument("percent")
@WINDOW
@BACK
@_rule
@answers
def move(settings: Settings, symbol: str, percent: str, window_s: int, hysteresis: str | None, **given: str) -> Answer:
    """Tell when SYMBOL has moved by PERCENT; below 0: has fallen, as in `outcry alert add move ACME -- -2.5 --within 300`."""
    level, back = _units(percent, PERCENT), _units(hysteresis or "0", PERCENT)
    return _added(settings, symbol, given, kind="move", above=level > 0, level=level, hysteresis=back, window_s=window_s, unit=PERCENT)


@add.command()
@click.argument("symbol")
@click.argument("times")
@WINDOW
@BACK
@_rule
@answers
def volume(settings: Settings, symbol: str, times: str, window_s: int, hysteresis: str | None, **given: str) -> Answer:
    """Tell when an interval has TIMES the volume of those before it: their mean, of up to 20."""
    level, back = _units(times, TIMES), _units(hysteresis or "0", TIMES)
    return _added(settings, symbol, given, kind="volume", level=level, hysteresis=back, window_s=window_s, unit=TIMES)


@add.command()
@click.argument("symbol")
@_rule
@answers
def halt(settings: Settings, symbol: str, **given: str) -> Answer:
    """Tell when SYMBOL is halted."""
    return _added(settings, symbol, given, kind="halt")


@add.command()
@click.option("--symbol", default="", help="Of this instrument only.")
@_rule
@answers
def fills(settings: Settings, symbol: str, **given: str) -> Answer:
    """Tell when orders of the account trade: once for all trades of a block."""
    return _added(settings, symbol, given, kind="fills")


@add.command()
@click.argument("asset")
@click.argument("side", type=SIDES)
@click.argument("amount")
@BACK
@_rule
@answers
def balance(settings: Settings, asset: str, side: str, amount: str, hysteresis: str | None, **given: str) -> Answer:
    """Tell when what the account has available of ASSET reaches AMOUNT."""
    from adapters.decimals import to_minor

    _, directory = options.state(settings)
    known = directory.asset(asset)
    unit = str(Decimal(1).scaleb(-known.scale))
    back = to_minor(hysteresis, known.scale) if hysteresis else 0
    fields = {"above": side == "above", "level": to_minor(amount, known.scale), "hysteresis": back, "unit": unit}
    return _added(settings, "", given, kind="balance", asset=known.number, name=asset, **fields)


def _of_ticks(kind: str, settings: Settings, symbol: str, side: str, level: str, hysteresis: str | None, given: dict[str, str]) -> Answer:
    from adapters.decimals import from_ticks, to_ticks

    _, directory = options.state(settings, symbol)
    tick_size_e9 = directory.instrument(symbol).tick_size_e9
    back = to_ticks(hysteresis, tick_size_e9) if hysteresis else 0
    fields = {
        "above": side == "above",
        "level": to_ticks(level, tick_size_e9),
        "hysteresis": back,
        "unit": str(from_ticks(1, tick_size_e9)),
    }
    return _added(settings, symbol, given, kind=kind, **fields)


def _added(settings: Settings, symbol: str, given: dict[str, str], **fields: Any) -> Answer:
    """Put a rule in force for the account *given*, on *symbol* when it is one of an instrument."""
    import msgspec

    from adapters import wiring
    from projections.alert_rules import Rule

    _, directory = options.state(settings, symbol)
    fields["account"] = directory.names.account(given.pop("account"))
    if symbol:
        listed = directory.instrument(symbol)
        fields |= {"instrument": listed.instrument, "name": symbol, "unit": fields.get("unit", "1")}
    with _refused(), wiring.alert_rules(settings) as rules:
        added = rules.add(settings.partition_of(symbol), msgspec.convert(fields | given, Rule))
    return Answer({"rule": added.number, "partition": added.partition, "from_block": added.seq}, [f"rule {added.number}: {_told(added)}"])


@alert.command("list")
@options.account
@options.record
@answers
def list_rules(settings: Settings, account: str) -> Answer:
    """The rules of an account that are in force."""
    import msgspec

    from adapters import names, wiring

    with wiring.alert_rules(settings) as rules:
        found = rules.of(names.load(settings.folder).account(account))
    shown = Table(("rule", "partition", "from block", "tells when", "to"), [_row(each) for each in found])
    return Answer({"rules": [{**each._asdict(), "rule": msgspec.to_builtins(each.rule)} for each in found]}, [shown])


@alert.command()
@click.argument("rule", type=click.IntRange(1))
@options.account
@options.record
@answers
def remove(settings: Settings, rule: int, account: str) -> Answer:
    """Take RULE, a number of `outcry alert list`, out of force."""
    from adapters import names, wiring

    with _refused(), wiring.alert_rules(settings) as rules:
        owner = names.load(settings.folder).account(account)
        partition = next((each.partition for each in rules.of(owner) if each.number == rule), settings.partition)
        seq = rules.remove(partition, owner, rule)
    return Answer({"rule": rule, "until_block": seq}, [f"rule {rule} holds no more from block {seq} on"])


@alert.command()
@options.account
@options.record
@answers
def key(settings: Settings, account: str) -> Answer:
    """The key with which alerts to webhooks of the account are signed, hexadecimal. Whoever has it can sign in our name."""
    from adapters import names
    from adapters.alerts.webhook import account_key

    number = names.load(settings.folder).account(account)
    return Answer({"account": number, "key": account_key(settings, number)})


@alert.command()
@click.option("--account", metavar="NAME", help="Only those of this account.")
@click.option("--last", type=click.IntRange(0, 10_000), default=10, show_default=True, help="Begin with the last so many.")
@click.option("--once", is_flag=True, help="Show those, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line; with --once one object and nothing else.")
@options.record
def watch(settings: Settings, account: str | None, last: int, *, once: bool, as_json: bool) -> None:
    """Follow the alerts as they fire, a line each, until ctrl-C."""
    from adapters.cli.output import write_json

    alerts = _alerts(settings, account, last, once=once)
    if once and as_json:
        write_json({"alerts": list(alerts)})
        return
    for each in alerts:
        if as_json:
            write_json(each)
        else:
            click.echo(_line(each))


def _alerts(settings: Settings, account: str | None, last: int, *, once: bool) -> Iterator[dict[str, Any]]:
    """What fired and fires, as programs outside read it."""
    from adapters import names, wiring
    from adapters.alerts import follow
    from adapters.alerts.words import in_words

    owner = names.load(settings.folder).account(account) if account else 0
    with wiring.views(settings) as store, wiring.alert_rules(settings) as rules:
        known: dict[tuple[int, int], Rule | None] = {}
        for partition, entry in follow.entries(store.client, store.log.cluster, settings.partitions, last, once=once):
            if owner in {0, entry.alert.account}:
                named = (partition, entry.alert.rule)
                if named not in known:
                    known[named] = rules.rule(*named)
                yield in_words(partition, entry, known[named])


def _line(alert: dict[str, Any]) -> str:
    from adapters.times import from_ns

    text = f" ({alert['text']})" if alert.get("text") else ""
    told = f"{alert.get('tells', alert['kind'])}: {alert.get('shown', alert['value'])}"
    return f"{from_ns(int(alert['time_ns']))}  account {alert['account']}, rule {alert['rule']}: {told}{text}"


@alert.command()
@options.record
@answers
def dead(settings: Settings) -> Answer:
    """What could not be delivered, and why. It is in the stream all the same."""
    from adapters import wiring
    from adapters.alerts import follow

    with wiring.views(settings) as store:
        letters = [
            {"partition": partition, **letter}
            for partition in range(1, settings.partitions + 1)
            for letter in follow.dead_letters(store.client, store.log.cluster, partition)
        ]
    columns = ("partition", "name", "channel", "to", "why")
    return Answer({"dead": letters}, [Table(columns, [[letter[column] for column in columns] for letter in letters])])


@worker.command("alerts")
@options.record
@answers
def worker_alerts(settings: Settings) -> Answer:
    """Evaluate the alert rules over the blocks, into a Redis stream, until SIGTERM or ctrl-C.

    Fed as `outcry worker views` is. Several share the partitions among them.
    """
    from adapters import serving, wiring

    return Answer({"worker": serving.serve(settings, wiring.alerting), "stopped": True}, shown=[])


@worker.command("deliver")
@options.record
@answers
def worker_deliver(settings: Settings) -> Answer:
    """Deliver the alerts of the stream to webhooks and by mail, until SIGTERM or ctrl-C.

    Each at least once; its name is the same each time. Several share the alerts among them.
    """
    from adapters import serving, wiring

    return Answer({"worker": serving.serve(settings, wiring.delivering), "stopped": True}, shown=[])


@contextmanager
def _refused() -> Iterator[None]:
    """A rule that cannot be is wrong use."""
    import msgspec

    from projections.alert_rules import BadRule

    try:
        yield
    except (BadRule, msgspec.ValidationError) as wrong:
        raise click.UsageError(str(wrong)) from None


def _units(text: str, unit: str) -> int:
    """*text* in whole *unit*s."""
    try:
        units = Decimal(text) / Decimal(unit)
    except InvalidOperation:
        raise click.UsageError(f"{text!r} is no number") from None
    if units != units.to_integral_value() or abs(units) >= 10**18:
        raise click.UsageError(f"{text} is not a multiple of {unit}, or too large")
    return int(units)


def _told(listed: Listed) -> str:
    from adapters.alerts.words import sentence

    return f"tells when {sentence(listed.rule)}, from block {listed.seq} on"


def _row(listed: Listed) -> tuple[object, ...]:
    from adapters.alerts.words import sentence

    to = " ".join(filter(None, ("stream", listed.rule.webhook, listed.rule.email)))
    return str(listed.number), listed.partition, str(listed.seq), sentence(listed.rule), to


COMMANDS = (alert,)
