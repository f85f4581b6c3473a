"""What happens to one's accounts, until so many executions were told of: each once, though the connection may be lost in between.

python -m outcry.examples.own_events venue/keys/alice.json 3
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TextIO

from outcry.client import AsyncClient, Gap


async def main(key_file: str, executions: int, out: TextIO = sys.stdout) -> None:
    """Tell of executions as they come."""
    left = executions
    async with AsyncClient.from_file(key_file) as client, aclosing(client.user()) as events:
        async for event in events:
            if isinstance(event, Gap):
                out.write(f"account {event.account} did more after block {event.after} than the venue remembers\n")
                continue
            for each in event.executions:
                out.write(f"{each.side} {each.quantity} {each.symbol} at {each.price}, {each.liquidity}, trade {each.number}\n")
                out.flush()
                left -= 1
                if not left:
                    return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
