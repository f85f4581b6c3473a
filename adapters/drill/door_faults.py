"""What goes wrong at the doors: each function does it while clients trade through nginx, and mends what must be mended by hand."""

from __future__ import annotations

import signal
from typing import Final

from adapters.drill import faults
from adapters.drill.arena import Arena
from adapters.drill.doors import Doors

ANSWERS: Final = 20
BACK_WITHIN_S: Final = 30.0
SILENT_S: Final = 10.0


def gateways_are_killed(arena: Arena) -> None:
    """SIGKILL of one gateway while what it handed over waits for its answer, then of the other: clients go to the one that is left."""
    doors = doors_of(arena)
    for number in _in_turn(doors):
        owner = arena.owner()
        owner.signal(signal.SIGSTOP)  # so what was handed over waits for its answer
        arena.pause(0.3, 0.6)
        doors.kill_gateway(number)
        owner.signal(signal.SIGCONT)
        arena.load.wait_told(ANSWERS, BACK_WITHIN_S)
        doors.start_gateway(number)
        arena.pause(0.5, 1.0)


def gateway_sleeps(arena: Arena) -> None:
    """SIGSTOP of one gateway until clients have gone to the other, then SIGCONT: it goes on with what they have long sent again."""
    doors = doors_of(arena)
    gateway = doors.gateways[_in_turn(doors)[0]]
    gateway.signal(signal.SIGSTOP)
    arena.pause(4.0, 6.0)
    gateway.signal(signal.SIGCONT)
    arena.pause(1.0, 2.0)


def gateways_are_restarted(arena: Arena) -> None:
    """One gateway after the other is told to end, and started anew: every request gets its answer."""
    doors = doors_of(arena)
    for number in _in_turn(doors):
        doors.end_gateway(number)
        arena.pause(0.2, 0.5)
        doors.start_gateway(number)
        arena.pause(0.5, 1.0)
    doors.findings += doors.unanswered()


def redis_is_killed(arena: Arena) -> None:
    """SIGKILL of Redis, where sessions lie; it comes back later: whoever signs with a key trades on."""
    doors = doors_of(arena)
    server = doors.doors.servers["redis"]
    server.kill()
    if not arena.load.wait_told(ANSWERS, SILENT_S):
        doors.findings.append(f"silence: without Redis there were not {ANSWERS} answers in {SILENT_S:g} s")
    arena.pause(0.5, 2.0)
    server.start()


def owner_is_killed(arena: Arena) -> None:
    """SIGKILL of the worker that owns the partition, while clients wait at the doors; a new one is started in its place."""
    faults.owner_is_killed(arena)


def postgres_is_killed(arena: Arena) -> None:
    """SIGKILL of PostgreSQL, while clients wait at the doors; it comes back after a moment."""
    faults.postgres_is_killed(arena)


def broker_is_killed(arena: Arena) -> None:
    """SIGKILL of the only Kafka node, while clients wait at the doors; it comes back later."""
    faults.broker_is_killed(arena)


def doors_of(arena: Arena) -> Doors:
    """An arena of a drill of doors."""
    assert isinstance(arena, Doors), "the drill is one of doors"
    return arena


def _in_turn(doors: Doors) -> list[int]:
    return doors.dice.sample(sorted(doors.gateways), len(doors.gateways))
