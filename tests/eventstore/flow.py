"""Rows of a busy market, as numpy makes them quickly: their content is likely, not exact."""

from __future__ import annotations

import numpy as np

from domain.events import EVENT_WORDS, ORDER_ACCEPTED, ORDER_RESTED, TRADE_EXECUTED
from domain.verbs import COMMAND_WORDS, NEW_ORDER


def busy_rows(commands: int = 16_384, seed: int = 1) -> tuple[bytes, bytes]:
    """Limit orders of a million accounts in one instrument, even sides, 1-5 lots at 9,950-10,050 ticks: 0.65 trades each, 45 % rest."""
    random = np.random.default_rng(seed)
    asked = np.zeros((commands, COMMAND_WORDS), "<i8")
    sequence = 1_000_000 + np.arange(commands)
    side = random.integers(0, 2, commands)
    asked[:, 0] = NEW_ORDER
    asked[:, 1] = 1_700_000_000_000_000_000 + np.cumsum(random.integers(100, 1001, commands))
    asked[:, 2] = 1
    asked[:, 3] = asked[:, 7] = sequence
    asked[:, 4] = random.integers(1, 1_000_001, commands)
    asked[:, 5] = 1
    asked[:, 6] = side
    asked[:, 9] = random.integers(9_950, 10_051, commands)
    asked[:, 10] = random.integers(1, 6, commands)
    outline = (np.int64(1) << 32) + (side << 8)

    accepted = np.zeros((commands, EVENT_WORDS), "<i8")
    accepted[:, 0] = ORDER_ACCEPTED + outline
    accepted[:, 1] = _orders(random, commands)
    accepted[:, 2] = asked[:, 9] * asked[:, 10] * 100
    accepted[:, 3:5] = asked[:, 9:11]

    met = np.sort(random.choice(commands, commands * 65 // 100))
    traded = np.zeros((met.size, EVENT_WORDS), "<i8")
    traded[:, 0] = TRADE_EXECUTED + outline[met]
    traded[:, 1] = _orders(random, met.size)
    traded[:, 2] = random.integers(1, 1_000_001, met.size)
    traded[:, 3] = asked[met, 9] + random.integers(-50, 51, met.size)
    traded[:, 4] = random.integers(1, 6, met.size)
    traded[:, 5] = traded[:, 6] = traded[:, 3] * traded[:, 4] * 100 * 20 // 1_000_000
    traded[:, 7] = asked[met, 9] * traded[:, 4] * 100

    left = np.sort(random.choice(commands, commands * 45 // 100, replace=False))
    rested = np.zeros((left.size, EVENT_WORDS), "<i8")
    rested[:, 0] = ORDER_RESTED + outline[left]
    rested[:, 1:5] = np.stack([accepted[left, 1], asked[left, 4], asked[left, 9], random.integers(1, 6, left.size)], axis=1)

    cause = np.concatenate([np.arange(commands), met, left])
    happened = np.concatenate([accepted, traded, rested])[np.argsort(cause, kind="stable")]
    return asked.tobytes(), happened.tobytes()


def _orders(random: np.random.Generator, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Order numbers of partition 1: one of 50,000 slots, one of 20 generations."""
    return 2**53 + random.integers(1, 21, count) * 2**24 + random.integers(0, 50_000, count)
