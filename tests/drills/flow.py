"""A market of the drills without servers, so long that every ring of an account has gone round."""

from __future__ import annotations

from dataclasses import astuple
from random import Random

from adapters.drill.market import TRADERS, Trader, opening
from adapters.drill.record import Found
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal

ROUNDS = 30


def market() -> list[Block]:
    """Its blocks: the opening, then traders at random."""
    dice, state, head, blocks = Random(5), Partition(1), genesis(1), []
    traders = [Trader(number, dice) for number in range(1, TRADERS + 1)]
    for number in range(1 + ROUNDS):
        rows = [row for trader in traders for row in trader.rows(dice.randint(0, 30))] if number else opening()
        dice.shuffle(rows) if number else None
        commands = b"".join(row[:8] + number.to_bytes(8, "little") + row[16:] for row in rows)
        block = seal(head, commands, state.execute(commands), state.time_ns)
        head = after(block)
        blocks.append(block)
    return blocks


BLOCKS = market()
RECORD = [Found(*astuple(block)) for block in BLOCKS]
