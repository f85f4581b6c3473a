"""What happens to one's accounts, over one connection after another, each thing once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final, TypeAlias

import msgspec

from outcry.client.pushed import Gap, Own
from outcry.client.rest import Rest
from outcry.client.retry import LONGEST_WAIT_S, Again, error_of
from outcry.client.shapes import Execution
from outcry.client.standing import KEPT, Begun, Standing, begun, standing
from outcry.client.wire import Dialer, Lost, Said, Wire

_REPLAYED: Final = "replayed"


class _Account:
    """An account in a partition: what of it was told.

    seq       all of the blocks up to that one
    executed  all executions up to that number
    """

    def __init__(self, begun: Begun) -> None:
        self.seq, self.executed = begun

    def take(self, own: Own) -> list[Own | Gap]:
        """What the caller has not had of *own*. Raises Lost when a message before it is missing."""
        if own.seq <= self.seq:
            return []
        if own.previous > self.seq:
            raise Lost(f"account {own.account} was missed from block {self.seq} to {own.previous}")
        self.seq = own.seq
        return [msgspec.structs.replace(own, executions=self._new(own.executions))]

    def fill(self, gap: Gap, now: Standing) -> list[Own | Gap]:
        """How the account stands *now*, in place of what happened; the gap as well when executions are missing even there."""
        is_whole = len(now.executions) < KEPT or int(now.executions[0].number) <= self.executed
        told = Own(
            type="snapshot",
            partition=gap.partition,
            seq=now.seq,
            previous=self.seq,
            account=gap.account,
            orders=now.orders,
            executions=self._new(now.executions),
            balances=now.balances,
            more=now.more,
        )
        self.seq = now.seq
        return [told] if is_whole else [gap, told]

    def _new(self, executions: list[Execution]) -> list[Execution]:
        before, self.executed = self.executed, max([self.executed, *(int(each.number) for each in executions)])
        return [each for each in executions if int(each.number) > before]


_Accounts: TypeAlias = dict[tuple[int, int], _Account]
"""By number and partition."""


async def own(dialer: Dialer, rest: Rest) -> AsyncGenerator[Own | Gap, None]:
    """See AsyncClient.user."""
    accounts: _Accounts = {}
    while True:
        with await dialer.connect() as wire:
            try:
                await _know(accounts, wire.welcome.accounts, rest)
                _subscribe(wire, accounts)
                is_live = False  # before, what is sent again comes account by account; after, block by block
                while True:
                    said = await wire.next()
                    is_live |= said.head is not None and said.head.id == _REPLAYED
                    for told in await _read(accounts, said, rest, is_live=is_live):
                        yield told
            except Lost:
                continue
            except Again as again:
                await asyncio.sleep(again.retry_after_s or LONGEST_WAIT_S)


async def _know(accounts: _Accounts, numbers: list[int], rest: Rest) -> None:
    """Begin with those that are new, as they are now."""
    for number in numbers:
        if not any(known == number for known, _ in accounts):
            accounts.update({(number, partition): _Account(at) for partition, at in (await begun(rest, number)).items()})


def _subscribe(wire: Wire, accounts: Mapping[tuple[int, int], _Account]) -> None:
    """Raises Lost."""
    after: dict[str, int] = {}
    for (_, partition), account in accounts.items():
        after[str(partition)] = min(after.get(str(partition), account.seq), account.seq)
    words = {"channels": ["user"], "from": after or None}
    wire.say(op="subscribe", **words)
    wire.say(op="ping", id=_REPLAYED)


async def _read(accounts: _Accounts, said: Said, rest: Rest, *, is_live: bool) -> list[Own | Gap]:
    """What a message tells the caller. Raises Lost, Again, ApiError."""
    head, payload = said
    if head is None:
        return []
    if head.problem is not None:
        raise error_of(head.problem)
    if head.channel != "user":
        return []
    if head.type == "gap":
        gap = msgspec.json.decode(payload, type=Gap)
        now = await standing(rest, gap.account, gap.partition, gap.seq)
        return accounts[gap.account, gap.partition].fill(gap, now)
    happened = msgspec.json.decode(payload, type=Own)
    told = accounts[happened.account, happened.partition].take(happened)
    if is_live:  # blocks come in their order, so none before this one touches any account any more
        for (_, partition), account in accounts.items():
            if partition == happened.partition:
                account.seq = max(account.seq, happened.seq - 1)
    return told
