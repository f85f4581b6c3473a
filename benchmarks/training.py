"""What the compiler may know of a day at work: run once by `make`, so that the kernel is laid out for the way almost every command takes.

Profile-guided compilation changes the order and inlining of machine code, never a result; the test that compares compiled
with interpreted runs on what it made.
"""

from __future__ import annotations

from adapters.simulate import SimulatedFeed
from domain.partition import Partition

COMMANDS = 200_000


def main() -> None:
    """Execute a simulated market, fold its events, restore its snapshot."""
    feed = SimulatedFeed(seed=1, commands=COMMANDS)
    decided, folded = Partition(1), Partition(1)
    for batch in feed.batches():
        folded.apply(batch, decided.execute(batch))
    assert Partition.restore(folded.snapshot()).state_hash() == decided.state_hash(), "a fold ends where its execute did"


if __name__ == "__main__":
    main()
