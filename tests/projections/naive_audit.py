"""The audit documents as a reader of the record would write them, one event after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from domain import verbs as v
from domain.events import EVENTS, REMOVAL_REASONS
from domain.rules import RULES
from domain.verbs import VERB_BY_CODE
from eventstore.blocks import Block
from tests.market import Event, decode, decode_row, per_command
from tests.projections.naive import Naive, Order

NAMES = {kind.code: kind.name for kind in EVENTS}
CHANGES = {"OrderReplaced", "OrderReduced", "SelfTradePrevented"}
ACTS = {"InstrumentListed", "FeeRatesSet", "AccountOpened", "AccountChanged", "OrdersMassCancelled", "RecordUnreadable"}
COMMON = {"verb", "received_ns", "session", "sequence", "account"}
Document = dict[str, Any]


@dataclass
class NaiveAudit:
    """Documents by key: version and fields without those that are empty; *texts* by key apart."""

    naive: Naive = field(default_factory=lambda: Naive(1))
    documents: dict[str, tuple[int, Document]] = field(default_factory=dict)
    began: dict[int, tuple[str, Document]] = field(default_factory=dict)

    def take(self, block: Block) -> None:
        commands, events = block.rows()
        rows = [commands[at : at + v.COMMAND_BYTES] for at in range(0, len(commands), v.COMMAND_BYTES)]
        live = dict(self.naive.orders)
        touched: dict[int, int] = {}
        changes: dict[int, list[tuple[str, Document, str]]] = {}
        for row, caused in zip(rows, per_command(decode(events)), strict=True):
            asked, outcome, index = decode_row(row), caused[0], self.naive.next_event
            first = index
            self.naive.take(
                row,
                b"".join(
                    events[at * 64 : (at + 1) * 64] for at in range(index - block.first_event, index - block.first_event + len(caused))
                ),
            )
            self.naive.blocks -= 1
            for happened in caused:
                place = {"partition": 1, "seq": block.seq, "event": index, "time_ns": self.naive.time_ns}
                orders = self.named(happened, outcome)
                if happened.name == "OrderAccepted":
                    self.began[happened.order] = self.key(place), place
                for number in orders:
                    touched[number] = index
                    if happened.name in CHANGES and number in live:
                        changes.setdefault(number, []).append((self.key(place), place, happened.name))
                self.file(place, happened, outcome, asked, row)
                index += 1
            assert index == first + len(caused)
        known = live | self.naive.orders | {order.number: order for order in self.naive.ended}
        for number, last in touched.items():
            key, place = self.began[number]
            self.documents[key] = last + 1, self.life(known[number], place, block, last)
        for number, made in changes.items():
            key, place, _ = made[0]
            life = self.life(known[number], place, block, 0)
            kept = ("account", "order", "instrument", "symbol", "side", "client_order_id", "price_ticks", "quantity_lots", "open_lots")
            what = [name for _, _, name in made]
            self.documents[key] = (
                place["event"] + 1,
                {
                    "kind": "change",
                    **place,
                    **{name: life[name] for name in kept if name in life},
                    "what": what,
                },
            )

    def key(self, place: Document) -> str:
        assert place["time_ns"] < 86_400 * 10**9, "the first day is enough here"
        return f"1970.01.01/1-{place['seq']}-{place['event']}"

    def named(self, happened: Event, outcome: Event) -> list[int]:
        if happened.name in {"TradeExecuted", "SelfTradePrevented"}:
            return [happened.maker_order, outcome.order]
        return [happened.order] if happened.name in {"OrderAccepted", "OrderCancelled", "OrderRemoved"} | CHANGES else []

    def symbol(self, instrument: int) -> str:
        listed = self.naive.listed.get(instrument)
        return listed["symbol"].to_bytes(8, "little").rstrip(b"\0").decode() if listed else ""

    def life(self, order: Order, place: Document, block: Block, last: int) -> Document:
        return {
            "kind": "order", **place, "account": order.account, "order": order.number, "instrument": order.instrument,
            "symbol": self.symbol(order.instrument), "side": v.SIDES[order.side], "order_type": v.ORDER_TYPES[order.terms[0]],
            "time_in_force": v.TIMES_IN_FORCE[order.terms[1]], "client_order_id": order.client_order_id, "price_ticks": order.price,
            "quantity_lots": order.quantity,
            **without_nothing(
                open_lots=order.lots, filled_lots=order.filled, value=order.value, fees=order.fees, changed_ns=order.changed_ns,
                changed_seq=block.seq, changed_event=last, ended_by=NAMES.get(order.ended_by, ""), reason=REMOVAL_REASONS[order.reason],
            ),
        }  # fmt: skip

    def file(self, place: Document, happened: Event, outcome: Event, asked: dict[str, int], row: bytes) -> None:
        account, found = decode_fields(row)[v.ACCOUNT], None
        match happened.name:
            case "TradeExecuted":
                fees = [happened.taker_fee, happened.maker_fee]
                found = {
                    "kind": "trade", "account": [account, happened.maker_account], "order": [outcome.order, happened.maker_order],
                    "instrument": happened.instrument, "symbol": self.symbol(happened.instrument), "side": v.SIDES[happened.side],
                    "price_ticks": happened.price_ticks, "quantity_lots": happened.quantity_lots, "fees": fees,
                }  # fmt: skip
            case "CommandRefused":
                found = self.refusal(happened, asked, row)
            case "FundsDeposited" | "FundsWithdrawn":
                sign = 1 if happened.name == "FundsDeposited" else -1
                found = {
                    "kind": "funds", "account": account, "what": happened.name, "asset": asked["asset"],
                    "amount": sign * asked["amount"], **without_nothing(available=happened.available),
                }  # fmt: skip
            case "InstrumentStateChanged":
                states = v.INSTRUMENT_STATES
                found = {
                    "kind": "session", "account": account, "instrument": happened.instrument, "symbol": self.symbol(happened.instrument),
                    "what": happened.name, "text": f"from {states[happened.previous_state]} to {states[happened.state]}",
                }  # fmt: skip
            case name if name in ACTS:
                instrument = asked.get("instrument", 0)
                found = {
                    "kind": "operator", "account": account, "what": name,
                    **without_nothing(instrument=instrument, symbol=self.symbol(instrument)),
                }  # fmt: skip
        if found:
            self.documents[self.key(place)] = place["event"] + 1, found | place

    def refusal(self, happened: Event, asked: dict[str, int], row: bytes) -> Document:
        verb = VERB_BY_CODE.get(row[0])
        fields = decode_fields(row)
        said = without_nothing(session=fields[2], sequence=fields[3])
        if verb:
            names = ("instrument", "client_order_id", "order", "price_ticks", "quantity_lots", "asset", "amount")
            said |= without_nothing(**{name: asked[name] for name in names if name in asked and any(f.name == name for f in verb.fields)})
            if any(f.name == "side" for f in verb.fields):
                said["side"] = v.SIDES[asked["side"]]
            said |= without_nothing(symbol=self.symbol(said.get("instrument", 0)))
        return {
            "kind": "refusal", "account": fields[4], "what": verb.name if verb else "UnknownVerb", "reason": RULES[happened.rule - 1].name,
            "limit": happened.limit, "observed": happened.observed, **said,
        }  # fmt: skip


def decode_fields(row: bytes) -> list[int]:
    return [int.from_bytes(row[at : at + 8], "little", signed=True) for at in range(0, v.COMMAND_BYTES, 8)]


def without_nothing(**fields: object) -> Document:
    return {name: value for name, value in fields.items() if value}
