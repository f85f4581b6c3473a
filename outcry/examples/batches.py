"""Thousands of orders in frames of a thousand, each acknowledged by one frame, and all of them cancelled by one row.

python -m outcry.examples.batches venue/keys/maker.json 5000
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TextIO

from outcry.client import AsyncClient, batch

OF_A_FRAME = 1_000


async def main(key_file: str, orders: int, out: TextIO = sys.stdout) -> None:
    """Enter so many orders at the lowest price there is, where nobody sells."""
    async with AsyncClient.from_file(key_file) as client, client.session() as session:
        acme, me = await client.instrument("ACME"), await client.me()
        account = me.accounts[0].account
        row = batch.new_order(acme, account, "buy", 1, acme.low_price)
        outcomes: Counter[str] = Counter()
        for begin in range(0, orders, OF_A_FRAME):
            told = await session.send_batch([row] * min(OF_A_FRAME, orders - begin))
            outcomes.update(each.status for each in told.outcomes)
        out.write(f"{dict(outcomes)}, {len(await client.orders())} are open\n")
        told = await session.send_batch([batch.cancel_all(account, acme)])
        out.write(f"{len(await client.orders(at_least=told.seq))} are left\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
