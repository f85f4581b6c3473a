"""What the compiler may know of a day at work: run once by `make`, so that the kernel is laid out for the way almost every command takes.

Profile-guided compilation changes the order and inlining of machine code, never a result; the test that compares compiled
with interpreted runs on what it made.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

from adapters.simulate import SimulatedFeed
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from domain.partition import Partition

COMMANDS: Final = 200_000
MANY_BOOKS: Final = Flow("cross", accounts=1_000, instruments=200, resting=20_000, commands=50_000)


def main() -> None:
    """Two markets, one simulated and one of many books: execute them, fold the events, restore the snapshots."""
    work_through(SimulatedFeed(seed=1, commands=COMMANDS).batches())
    work_through(chain(MANY_BOOKS.set_up(), MANY_BOOKS.batches()))


def work_through(batches: Iterable[bytes]) -> None:
    """What a partition does with a day's commands."""
    decided, folded = Partition(NUMBER), Partition(NUMBER)
    for batch in batches:
        folded.apply(batch, decided.execute(batch))
    assert Partition.restore(folded.snapshot()).state_hash() == decided.state_hash(), "a fold ends where its execute did"


if __name__ == "__main__":
    main()
