"""What a partition's state and events look like to people: decimals, names, tables. JSON and text say the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Any

from adapters.cli.output import Answer, Table
from adapters.decimals import from_lots, from_minor, from_ticks
from adapters.directory import Directory
from adapters.names import BadName
from adapters.times import from_ns
from commands.messages import Event
from domain import queries
from domain.partition import Partition
from domain.queries import Instrument, Resting
from domain.rules import RULES
from domain.verbs import INSTRUMENT_STATES
from replay.explain import Explained
from replay.travel import NotInRecord

RULE_BY_NAME = {rule.name: rule for rule in RULES}
Level = dict[str, Any]
SAID = {"OrderAccepted": "accepted", "OrderRested": "resting", "OrderCancelled": "cancelled"}


def as_of(partition: Partition) -> dict[str, int]:
    """What every view begins with."""
    return {"partition": partition.number, "events": partition.events, "time_ns": partition.time_ns}


def levels(partition: Partition, listed: Instrument, depth: int) -> Answer:
    """The book by price levels, best first, at most *depth* a side."""
    buys, sells = ([_level(listed, level) for level in _by_price(orders)][:depth] for orders in queries.book(partition, listed.instrument))
    return book(listed.symbol, INSTRUMENT_STATES[listed.state], as_of(partition), buys, sells)


def book(symbol: str, state: str, at: Mapping[str, object], buys: list[Level], sells: list[Level]) -> Answer:
    """Price levels (price, quantity, orders), best first, and as of what they are."""
    rows = [
        (*_cells(buy, "orders", "quantity", "price"), *_cells(sell, "price", "quantity", "orders"))
        for buy, sell in zip_longest(buys, sells)
    ]
    table = Table(("orders", "bid size", "bid", "ask", "ask size", "orders "), rows, f"{symbol}, {state}")
    return Answer({"symbol": symbol, "state": state, **at, "buys": buys, "sells": sells}, [table])


def _cells(level: Level | None, *names: str) -> tuple[object, ...]:
    return tuple(level[name] if level else "" for name in names)


def _by_price(orders: list[Resting]) -> list[list[Resting]]:
    return [list(level) for _, level in groupby(orders, key=lambda resting: resting.price_ticks)]


def _level(listed: Instrument, level: list[Resting]) -> Level:
    return {
        "price": from_ticks(level[0].price_ticks, listed.tick_size_e9),
        "quantity": from_lots(sum(resting.quantity_lots for resting in level), listed.lot_size_e9),
        "orders": len(level),
    }


def queue(partition: Partition, directory: Directory, listed: Instrument) -> tuple[dict[str, Any], list[Table]]:
    """The book order by order, in priority."""
    shown: dict[str, Any] = {"symbol": listed.symbol, "state": INSTRUMENT_STATES[listed.state]}
    tables = []
    for side, orders in zip(("buys", "sells"), queries.book(partition, listed.instrument), strict=True):
        shown[side] = [
            {
                "order": resting.order,
                "account": directory.names.account_name(resting.account),
                "price": from_ticks(resting.price_ticks, listed.tick_size_e9),
                "quantity": from_lots(resting.quantity_lots, listed.lot_size_e9),
                "client_order_id": resting.client_order_id,
            }
            for resting in orders
        ]
        columns = ("order", "account", "price", "quantity", "client_order_id")
        rows = [tuple(str(row[column]) for column in columns) for row in shown[side]]
        tables.append(Table(columns, rows, f"{listed.symbol}, {INSTRUMENT_STATES[listed.state]}: {side}, best first"))
    return shown, tables


def balances(partition: Partition, directory: Directory, account: int) -> Answer:
    """What one account has. Raises BadName when it was never opened."""
    if queries.account(partition, account) is None:
        raise BadName(f"no account {account} was opened in partition {partition.number}; open one with `outcry open`")
    rows = []
    for asset, (available, held) in sorted(queries.balances(partition, account).items()):
        name, shown = directory.money(asset, available)
        rows.append((name, shown, directory.money(asset, held)[1]))
    return holdings(directory.names.account_name(account), account, as_of(partition), rows)


def holdings(name: str, number: int, at: Mapping[str, object], rows: list[tuple[str, Decimal, Decimal]]) -> Answer:
    """What an account has of each asset, available and held, and as of what."""
    assets = [{"asset": asset, "available": available, "held": held} for asset, available, held in rows]
    return Answer({"account": name, "number": number, **at, "balances": assets}, [Table(("asset", "available", "held"), rows, name)])


def outcome(
    directory: Directory, listed: Instrument | None, happened: list[Event], facts: Mapping[str, object], said: str | None = None
) -> Answer:
    """What became of one command: its outcome and the consequences, in a sentence each; or *said*, when it was done."""
    first = happened[0]
    ok = first.kind not in {"CommandRefused", "CommandRepeated"}
    fields = {
        "ok": ok,
        **facts,
        "order": first.fields.get("order"),
        "trades": [_trade(listed, event) for event in happened if event.kind == "TradeExecuted" and listed],
        "resting": any(event.kind == "OrderRested" for event in happened),
        "refusal": dict(first.fields) if not ok else None,
        "events": [{"index": event.index, "kind": event.kind, **event.fields} for event in happened],
    }
    lines = [said] if ok and said else [_sentence(directory, listed, event) for event in happened]
    return Answer(fields, lines, ok=ok)


def _trade(listed: Instrument, event: Event) -> dict[str, Any]:
    return {
        "price": from_ticks(int(event.fields["price_ticks"]), listed.tick_size_e9),
        "quantity": from_lots(int(event.fields["quantity_lots"]), listed.lot_size_e9),
        "fee": from_minor(int(event.fields["taker_fee"]), listed.quote_scale),
        "maker_order": event.fields["maker_order"],
    }


def _sentence(directory: Directory, listed: Instrument | None, event: Event) -> str:
    """One event in words."""
    field = event.fields
    if event.kind == "CommandRefused":
        return refused(field)
    if listed is None or "quantity_lots" not in field or "price_ticks" not in field:
        return f"{event.kind} " + ", ".join(f"{name} {value}" for name, value in field.items())
    price = from_ticks(int(field["price_ticks"]), listed.tick_size_e9)
    lots = from_lots(int(field["quantity_lots"]), listed.lot_size_e9)
    at = f"{lots} {listed.symbol} at {price}"
    if event.kind == "TradeExecuted":
        money, fee = directory.money(listed.quote_asset, int(field["taker_fee"]))
        maker = directory.names.account_name(int(field["maker_account"]))
        return f"traded {at} with {maker} (order {field['maker_order']}), fee {fee} {money}"
    said = f"removed ({field['reason']})" if event.kind == "OrderRemoved" else SAID.get(event.kind, event.kind)
    return f"{said}: order {field['order']}, {at}" if "order" in field else f"{said}: {at}"


def refused(refusal: Mapping[str, object]) -> str:
    """A refusal in words, from rule, limit and observed."""
    rule = RULE_BY_NAME[str(refusal["rule"])]
    return f"refused: {rule.name} ({rule.limit}: {refusal['limit']}; {rule.observed}: {refusal['observed']})"


def top_of_book(partition: Partition, directory: Directory) -> list[dict[str, Any]]:
    """Best bid and ask of every instrument."""
    return [_top(partition, listed) for listed in directory.instruments.values()]


def _top(partition: Partition, listed: Instrument) -> dict[str, Any]:
    buy, sell = (next((_level(listed, level) for level in _by_price(orders)), {}) for orders in queries.book(partition, listed.instrument))
    return {
        "symbol": listed.symbol,
        "bid_size": buy.get("quantity"),
        "bid": buy.get("price"),
        "ask": sell.get("price"),
        "ask_size": sell.get("quantity"),
    }


def life(directory: Directory, explained: list[Explained]) -> tuple[list[dict[str, Any]], Table]:
    """What became of an order, an event a row, with who was ahead of it when it rested or met another. Raises NotInRecord for nothing."""
    if not explained:
        raise NotInRecord("the order was accepted after that moment; name a later one")
    numbers = {listed.instrument: listed for listed in directory.instruments.values()}
    rows = [_lived(numbers[each.lived.happened.fields["instrument"]], each) for each in explained]
    return rows, Table(
        tuple(rows[0]), [[str(cell) if cell is not None else "" for cell in row.values()] for row in rows], "the order, event by event"
    )


def _lived(listed: Instrument, explained: Explained) -> dict[str, Any]:
    lived, queue = explained.lived, explained.queue
    fields = lived.happened.fields
    return {
        "event": lived.event,
        "time": from_ns(lived.time_ns),
        "happened": lived.happened.name,
        "role": lived.role or None,
        "price": from_ticks(fields["price_ticks"], listed.tick_size_e9),
        "quantity": from_lots(fields["quantity_lots"], listed.lot_size_e9),
        "open": from_lots(lived.open_lots, listed.lot_size_e9),
        "orders_ahead": queue and queue.orders_ahead,
        "quantity_ahead": queue and from_lots(queue.lots_ahead, listed.lot_size_e9),
        "taken_before": queue and from_lots(queue.lots_taken, listed.lot_size_e9),
    }
