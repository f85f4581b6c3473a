"""Random trading of every kind, recorded in blocks: what the folds are held against the naive views with."""

from __future__ import annotations

import random
import struct

from domain import events as e
from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from eventstore.ports import BlockLog
from tests.market import buy, cancel, deposit, mass_cancel, reduce, replace, sell, set_state, tick
from tests.model.commands import command, resolve
from tests.model.reference import Model
from tests.model.small_market import SMALL, TRADERS, opening


def trading(seed: int, count: int, longest: int = 40) -> list[Block]:
    """The opening of the market and *count* random commands, executed and cut at random into blocks of 1 to *longest* commands."""
    dice, head, blocks = random.Random(seed), genesis(1), list[Block]()
    engine, model, accepted = Partition(1), Model(1), list[int]()
    made = [
        *opening(),
        *(deposit(account, asset, 10**6) for account in TRADERS for asset in (1, 2, 3)),
        *(lively(dice) for _ in range(count)),
    ]
    while made:
        commands, events = bytearray(), bytearray()
        for _ in range(min(len(made), dice.randint(1, longest))):
            asked = resolve(made.pop(0), model, accepted)
            caused = engine.execute(asked)
            kind, number = struct.unpack_from("<2q", caused)
            if kind & 255 == e.ORDER_ACCEPTED:
                accepted.append(number)
            model.execute(asked, number)  # knows time and sequences, which resolve asks for
            commands += asked
            events += caused
        blocks.append(seal(head, bytes(commands), bytes(events), engine.time_ns))
        head = after(blocks[-1])
    return blocks


def blocks_of(commands: list[list[bytes]]) -> list[Block]:
    """The opening of the market with funds for everyone, then a block of each of *commands*."""
    engine, head, blocks = Partition(1), genesis(1), list[Block]()
    begun = [*opening(), *(deposit(account, asset, 10**6) for account in TRADERS for asset in (1, 2, 3))]
    for rows in (begun, *commands):
        events = b"".join(map(engine.execute, rows))
        blocks.append(seal(head, b"".join(rows), events, engine.time_ns))
        head = after(blocks[-1])
    return blocks


def recorded(blocks: list[Block], log: BlockLog) -> BlockLog:
    """*log* with the same commands and events in the same blocks, sealed in its own epoch."""
    head = log.claim(1)
    for block in blocks:
        sealed = seal(head, *block.rows(), block.time_ns)
        log.append(sealed)
        head = after(sealed)
    return log


def lively(dice: random.Random) -> bytes:
    """Mostly orders that are accepted and meet; one in ten is any command at all, wrong ones included."""
    account, lots, price = dice.choice(TRADERS), dice.randint(1, 15), dice.randint(95, 106)
    common = {"received_ns": dice.choice((0, 1, 10**7, 10**9))}
    target = {"client_order_id": dice.randint(1, 12)} | common
    terms = {"instrument": dice.choice((1, 1, 1, 2, 3)), "client_order_id": dice.randint(0, 12), "stp": dice.randint(0, 4)} | common
    kind = dice.randrange(100)
    if kind < 50:
        in_force = dice.choice((v.GTC, v.GTC, v.GTC, v.GTC, v.DAY, v.IOC, v.FOK))
        return dice.choice((buy, sell))(account, lots, price, time_in_force=in_force, **terms)
    if kind < 55:
        return buy(account, 15, 0, order_type=v.MARKET, time_in_force=v.IOC, budget=dice.randint(90, 9_000), **terms)
    if kind < 62:
        return cancel(account, **target)
    if kind < 70:
        return reduce(account, dice.randint(1, 3), **target)
    if kind < 85:
        return replace(account, dice.choice((0, lots)), dice.choice((0, price)), **target)
    if kind < 88:
        return dice.choice((tick(10**9), mass_cancel(account), mass_cancel(instrument=dice.randint(1, 3))))
    if kind < 90:
        return set_state(dice.choice((v.OPEN, v.OPEN, v.OPEN, v.PRE_OPEN, v.HALTED)), dice.randint(1, 3), **common)
    return command(dice.choice, SMALL)
