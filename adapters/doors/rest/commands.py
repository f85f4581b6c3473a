"""What became of a command, for who did not hear it: never a guess."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get
from litestar.di import NamedDependency

from adapters.doors import shapes
from adapters.doors.access import Caller
from adapters.doors.house import House
from adapters.doors.rest.asking import AccountNumber, AtLeast, IdInPath, account_of, number
from adapters.doors.shapes import AsOf
from adapters.reads.answer import Asked
from adapters.times import from_ns
from domain.events import COMMAND_REFUSED, EVENT_BY_CODE, ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REDUCED, ORDER_REPLACED
from domain.rules import RULES
from domain.verbs import VERB_BY_CODE
from projections import layouts

_RULE: dict[int, str] = {rule.code: rule.name for rule in RULES}
_NAMES_AN_ORDER = frozenset({ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REDUCED, ORDER_REPLACED})


class CommandShape(msgspec.Struct):
    """What became of a command.

    status   accepted, refused: on record in block *seq*; open: this gateway has it and waits for the record, ask again;
             unknown: this gateway does not have it, and it is not among the last 65,536 named commands as of *as_of*
    detail   in words
    order    that it entered or changed
    """

    command_id: str
    account: int
    status: Literal["accepted", "refused", "open", "unknown"]
    detail: str
    as_of: list[AsOf]
    verb: str = ""
    order: str = ""
    rule: str = ""
    limit: int | None = None
    observed: int | None = None
    time: str = ""
    partition: int | None = None
    seq: int | None = None
    event: str = ""


@get("/commands/{command_id:str}", summary="What became of a command")
async def command(
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    command_id: IdInPath,
    account: AccountNumber = None,
    at_least: AtLeast = 0,
) -> CommandShape:
    """By the id that you gave it, or were told. Whoever sent it may ask until it is accepted, refused, or sent again: with the same id it
    is done once.
    """
    caller.needs("read")
    owner, name = account_of(caller, account), number(command_id)
    said: list[AsOf] = []
    for partition, desk in house.desks.items():
        if desk.holds(owner, name):
            return CommandShape(command_id, owner, "open", "it waits for the record; ask again", said, partition=partition)
        answer = await house.own(Asked("commands", layouts.command_key(owner, name), partition), owner, at_least)
        said.append(shapes.as_of(answer))
        if answer.row:
            return _found(command_id, owner, partition, layouts.COMMAND.one(answer.row), said)
    blocks = ", ".join(f"block {each.seq} of partition {each.partition}" for each in said)
    says = f"not under way at this gateway, and not among the last {layouts.COMMANDS_KEPT} commands with an id as of {blocks}"
    return CommandShape(command_id, owner, "unknown", f"{says}; sent again with the same id, it is done once", said)


def _found(command_id: str, account: int, partition: int, row: layouts.Command, said: list[AsOf]) -> CommandShape:
    is_refused = row.kind == COMMAND_REFUSED
    rule = _RULE[row.detail] if is_refused else ""
    return CommandShape(
        command_id=command_id,
        account=account,
        status="refused" if is_refused else "accepted",
        detail=f"refused by {rule}" if is_refused else EVENT_BY_CODE[row.kind].name,
        as_of=said,
        verb=VERB_BY_CODE[row.verb].name,
        order=str(row.detail) if row.kind in _NAMES_AN_ORDER else "",
        rule=rule,
        limit=row.limit if is_refused else None,
        observed=row.observed if is_refused else None,
        time=from_ns(row.time_ns),
        partition=partition,
        seq=row.block_seq,
        event=str(row.number),
    )


HANDLERS = (command,)
