"""The best prices of a book whenever they change, so many times.

python -m outcry.examples.watch_book venue/keys/alice.json ACME 10
"""

from __future__ import annotations

import asyncio
import sys
from typing import TextIO

from outcry.client import AsyncClient, Level


async def main(key_file: str, symbol: str, changes: int, out: TextIO = sys.stdout) -> None:
    """Follow the book over however many connections it takes."""
    async with AsyncClient.from_file(key_file) as client, client.book_of(symbol) as live:
        for _ in range(changes):
            out.write(f"{symbol} as of block {live.seq}: {best(live.bids)} / {best(live.asks)}\n")
            out.flush()
            await live.changed()


def best(levels: list[Level]) -> str:
    """The first of *levels*, for people."""
    return f"{levels[0].quantity} at {levels[0].price}" if levels else "nobody"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
