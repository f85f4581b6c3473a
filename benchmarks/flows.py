"""The workloads: seeded streams of commands, built by numpy before anything is timed, with the set-up that they need.

cross   limit orders, side even, 1-5 lots, price uniform within 50 ticks of the middle
cancel  45 % passive orders within 50 ticks, 45 % cancels of a random live order by client order id, 10 % that take one lot;
        about 10,000 live
deep    a million orders rest over 2,000 levels a side first; then like cancel
sparse  as cross, but prices uniform over a million ticks

Every command has a session and a rising sequence, every order a client order id (its sequence). Accounts and instruments are uniform;
self-trade prevention is off, funds are ample. All instruments trade one pair of assets, so that an account has two wallets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain import verbs as v
from domain.columns import MAX_BALANCE, MAX_BATCH_COMMANDS, MAX_PRICE_TICKS

Ints = NDArray[np.int64]

FLOWS: Final = ("cross", "cancel", "deep", "sparse")
SESSION: Final = 1
START_NS: Final = 1_700_000_000 * 10**9
MIDDLE_TICKS: Final = 10_000
NEAR_TICKS: Final = 50
SPARSE_TICKS: Final = 1_000_000
DEEP_LEVELS: Final = 2_000
QUOTE, BASE = 1, 2

# A round of the flow `cancel`: in each, exactly the mix. Within a round no order is cancelled that this round enters.
INSERTS: Final = 9
CANCELS: Final = 9
TAKERS: Final = 2
ROUND: Final = INSERTS + CANCELS + TAKERS
assert INSERTS == CANCELS, "each cancel makes room for one order: the number of live orders stays"


@dataclass(frozen=True, slots=True)
class Flow:
    """One workload. resting: orders in the book before it begins, not timed; cancel and deep cancel among them."""

    name: str
    accounts: int
    instruments: int
    resting: int
    commands: int
    seed: int = 1

    def set_up(self) -> Iterator[bytes]:
        """Batches that list the instruments, open and fund the accounts, and enter the resting orders."""
        yield from _batches(_instruments(self.instruments))
        per_batch = MAX_BATCH_COMMANDS // 3
        for first in range(1, self.accounts + 1, per_batch):
            yield _accounts(np.arange(first, min(first + per_batch, self.accounts + 1)), self.accounts).tobytes()
        yield from self.resting_batches()

    def resting_batches(self) -> Iterator[bytes]:
        """The orders that rest before the flow begins."""
        yield from _batches(self._resting())

    def batches(self) -> list[bytes]:
        """The commands to be timed, in batches of 16,384."""
        random = np.random.default_rng(self.seed)
        rows = self._rows(random, self.resting + 1, self.commands)
        if self.name in ("cancel", "deep"):
            self._cancels(random, rows)
        elif self.name == "cross":
            rows[:, v.PRICE_TICKS] = random.integers(MIDDLE_TICKS - NEAR_TICKS, MIDDLE_TICKS + NEAR_TICKS + 1, self.commands)
        else:
            rows[:, v.PRICE_TICKS] = random.integers(1, SPARSE_TICKS + 1, self.commands)
        return list(_batches(rows))

    def _rows(self, random: np.random.Generator, first_sequence: int, count: int) -> Ints:
        """Orders without a price; side even, 1-5 lots."""
        rows = np.zeros((count, v.COMMAND_WORDS), "<i8")
        rows[:, v.VERB] = v.NEW_ORDER
        rows[:, v.RECEIVED_NS] = START_NS + first_sequence * 1_000 + np.cumsum(random.integers(100, 1_000, count))
        rows[:, v.SESSION] = SESSION
        rows[:, v.SEQUENCE] = rows[:, v.CLIENT_ORDER_ID] = np.arange(first_sequence, first_sequence + count)
        rows[:, v.ACCOUNT] = random.integers(1, self.accounts + 1, count)
        rows[:, v.INSTRUMENT] = random.integers(1, self.instruments + 1, count)
        rows[:, v.TERMS] = random.integers(0, 2, count)
        rows[:, v.QUANTITY_LOTS] = random.integers(1, 6, count)
        return rows

    def _resting(self) -> Ints:
        """Orders on both sides that do not meet: near the middle (cancel), over 2,000 levels (deep), or behind where cross trades."""
        random = np.random.default_rng((self.seed, self.resting))
        rows = self._rows(random, 1, self.resting)
        # Over many books fewer levels each: a level for every order, or a bound of the partition (price pages) would be what is measured.
        levels = NEAR_TICKS if self.name == "cancel" else min(max(self.resting // self.instruments, NEAR_TICKS), DEEP_LEVELS)
        nearest = 1 if self.name in ("cancel", "deep") else NEAR_TICKS + 1
        _rest(random, rows, slice(None), nearest, levels)
        return rows

    def _cancels(self, random: np.random.Generator, rows: Ints) -> None:
        """Turn *rows* into rounds of passive orders, cancels and takers.

        A client's view of its live orders is a pool of *resting* slots. A cancel takes the order out of a random slot, an order of the
        same round goes into it. Some of them have traded meanwhile, so a few cancels find nothing: Tally says how many.
        """
        stride = self.resting // CANCELS
        rounds = -(-len(rows) // ROUND)
        parts = np.repeat([0, 1, 2], (INSERTS, CANCELS, TAKERS))
        kinds = random.permuted(np.tile(parts, (rounds, 1)), axis=1).ravel()[: len(rows)]
        inserts, cancels, takers = (np.flatnonzero(kinds == kind) for kind in range(3))
        _rest(random, rows, inserts, 1, NEAR_TICKS)
        sell = rows[takers, v.TERMS]
        rows[takers, v.PRICE_TICKS] = MIDDLE_TICKS + NEAR_TICKS * (1 - 2 * sell)
        rows[takers, v.QUANTITY_LOTS] = 1
        rows[takers, v.TERMS] = sell | v.IOC << 2
        slots = (random.integers(0, stride, (rounds, CANCELS)) + np.arange(CANCELS) * stride).ravel()
        before = _previous(slots)[: len(cancels)]
        first = self._resting()
        target = np.where((before < 0)[:, None], first[slots[: len(cancels)]], rows[inserts[before]])
        kept = rows[cancels][:, [v.RECEIVED_NS, v.SEQUENCE]]
        rows[cancels] = 0
        rows[cancels, v.VERB], rows[cancels, v.SESSION] = v.CANCEL_ORDER, SESSION
        rows[cancels, v.RECEIVED_NS], rows[cancels, v.SEQUENCE] = kept.T
        rows[cancels, v.ACCOUNT], rows[cancels, v.CLIENT_ORDER_ID] = target[:, v.ACCOUNT], target[:, v.CLIENT_ORDER_ID]


def flow(name: str, *, accounts: int, instruments: int, commands: int, resting: int | None = None, seed: int = 1) -> Flow:
    """A Flow with as many resting orders as it is defined with, unless told; for cancel and deep a multiple of 9."""
    orders = {"cancel": 10_000, "deep": 1_000_000}.get(name, 0) if resting is None else resting
    if name in ("cancel", "deep"):
        orders = max(1, -(-orders // CANCELS)) * CANCELS
    return Flow(name, accounts, instruments, orders, commands, seed)


def over_and_over(batches: Sequence[bytes]) -> Iterator[bytes]:
    """*batches*, then again with later numbers and times, without end."""
    rows = [np.frombuffer(batch, "<i8").reshape(-1, v.COMMAND_WORDS).copy() for batch in batches]
    numbers = int(rows[-1][-1, v.SEQUENCE] - rows[0][0, v.SEQUENCE]) + 1
    time_ns = int(rows[-1][-1, v.RECEIVED_NS] - rows[0][0, v.RECEIVED_NS]) + 1
    while True:
        for batch in rows:
            yield batch.tobytes()
            batch[:, v.SEQUENCE] += numbers
            batch[:, v.CLIENT_ORDER_ID] += numbers
            batch[:, v.RECEIVED_NS] += time_ns


def _rest(random: np.random.Generator, rows: Ints, which: Ints | slice, nearest: int, levels: int) -> None:
    """Price these rows on their own side of the middle, *nearest* ticks from it and up to *levels* further; 1-10 lots."""
    away = random.integers(nearest, nearest + levels, len(rows[which]))
    rows[which, v.PRICE_TICKS] = MIDDLE_TICKS - away * (1 - 2 * rows[which, v.TERMS])
    rows[which, v.QUANTITY_LOTS] = random.integers(1, 11, len(away))


def _previous(slots: Ints) -> Ints:
    """For each place the nearest one before with the same slot, -1 without."""
    order = np.argsort(slots, kind="stable")
    same = slots[order][1:] == slots[order][:-1]
    before = np.full(len(slots), -1)
    before[order[1:][same]] = order[:-1][same]
    return before


def _instruments(count: int) -> Ints:
    """List and open *count* instruments: any price, fees of 1 and 3 basis points."""
    rows = np.zeros((2 * count, v.COMMAND_WORDS), "<i8")
    numbers = np.arange(1, count + 1)
    rows[:, v.RECEIVED_NS] = START_NS
    rows[:, v.INSTRUMENT] = np.tile(numbers, 2)
    rows[:count, v.VERB] = v.LIST_INSTRUMENT
    rows[:count, 6] = [int.from_bytes(f"I{number}".encode(), "little") for number in numbers]
    rows[:count, 7] = BASE | QUOTE << 16 | 2 << 40
    rows[:count, 8], rows[:count, 9] = 10_000_000, 10**9
    rows[:count, 10] = 1 | MAX_PRICE_TICKS << 31
    rows[:count, 11], rows[:count, 12] = 1_000, 10**12
    rows[:count, 13] = 100 | 300 << 20
    rows[:count, 14] = 1 | 1 << 31
    rows[count:, v.VERB], rows[count:, v.TERMS] = v.SET_INSTRUMENT_STATE, v.OPEN
    return rows


def _accounts(numbers: Ints, accounts: int) -> Ints:
    """Open accounts and fund each with both assets, as amply as the bound of one asset's total allows."""
    rows = np.zeros((len(numbers), 3, v.COMMAND_WORDS), "<i8")
    rows[:, :, v.RECEIVED_NS] = START_NS
    rows[:, :, v.ACCOUNT] = numbers[:, None]
    rows[:, :, v.VERB] = v.OPEN_ACCOUNT, v.DEPOSIT, v.DEPOSIT
    rows[:, 1:, v.INSTRUMENT] = QUOTE, BASE
    rows[:, 1:, v.AMOUNT] = min(10**14, MAX_BALANCE // accounts), min(10**10, MAX_BALANCE // accounts)
    return rows


def _batches(rows: Ints) -> Iterator[bytes]:
    for first in range(0, len(rows), MAX_BATCH_COMMANDS):
        yield rows[first : first + MAX_BATCH_COMMANDS].tobytes()
