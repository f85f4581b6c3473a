"""What alert rules tell, over one connection after another, each time once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, TypeAlias

import msgspec

from outcry.client.pushed import Fired, Gap
from outcry.client.rest import Rest
from outcry.client.retry import LONGEST_WAIT_S, Again, error_of
from outcry.client.shapes import AsOf
from outcry.client.wire import Dialer, Head, Lost, Wire

CHANNEL: Final = "alerts"
_Told: TypeAlias = dict[tuple[int, int], int]
"""By account and partition: everything up to that block was told."""


class _Page(msgspec.Struct):
    as_of: list[AsOf]


async def fired(dialer: Dialer, rest: Rest) -> AsyncGenerator[Fired | Gap, None]:
    """See AsyncClient.watch_alerts."""
    told: _Told = {}
    while True:
        with await dialer.connect() as wire:
            try:
                for account in wire.welcome.accounts:
                    if not any(known == account for known, _ in told):
                        now = await rest.get("/alerts/fired", {"account": account, "limit": 1}, _Page)
                        told.update({(account, each.partition): each.seq for each in now.as_of})
                _subscribe(wire, told)
                while True:
                    message = _read(told, *(await wire.next()))
                    if message is not None:
                        yield message
            except Lost:
                continue
            except Again as again:
                await asyncio.sleep(again.retry_after_s or LONGEST_WAIT_S)


def _subscribe(wire: Wire, told: _Told) -> None:
    """Raises Lost."""
    after: dict[str, int] = {}
    for (_, partition), seq in told.items():
        after[str(partition)] = min(after.get(str(partition), seq), seq)
    words = {"channels": [CHANNEL], "from": after or None}
    wire.say(op="subscribe", **words)


def _read(told: _Told, head: Head | None, payload: bytes) -> Fired | Gap | None:
    """What a message tells the caller. Raises Lost, Again, ApiError."""
    if head is not None and head.problem is not None:
        raise error_of(head.problem)
    if head is None or head.channel != CHANNEL:
        return None
    message = msgspec.json.decode(payload, type=Gap if head.type == "gap" else Fired)
    key = message.account, message.partition
    before = told.get(key, 0)
    if message.seq <= before:
        return None
    if isinstance(message, Gap):
        message = msgspec.structs.replace(message, after=max(message.after, before))
    elif message.previous > before:
        raise Lost(f"alerts of account {message.account} were missed from block {before} to {message.previous}")
    told[key] = message.seq
    return message
