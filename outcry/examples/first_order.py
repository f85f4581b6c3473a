"""A first order: below the best bid, so that it rests, and away again.

python -m outcry.examples.first_order venue/keys/alice.json
"""

from __future__ import annotations

import sys
from typing import TextIO

from outcry.client import Client, Refused


def main(key_file: str, out: TextIO = sys.stdout) -> None:
    """Enter an order, look at it, and cancel it."""
    with Client.from_file(key_file) as client:
        acme = client.instrument("ACME")
        book = client.book("ACME", levels=1)
        price = book.bids[0].price - acme.tick_size if book.bids else acme.low_price
        try:
            done = client.order("ACME", "buy", 5, price)
        except Refused as refused:
            out.write(f"refused by {refused.rule}: {refused.limit} is allowed, {refused.observed} was seen\n")
            return
        order = client.find_order(done.order)
        out.write(f"order {order.order} is {order.status}: {order.open_quantity} ACME at {order.price}, on record in block {done.seq}\n")
        client.cancel(done.order)
        out.write(f"and {client.find_order(done.order).status}\n")


if __name__ == "__main__":
    main(sys.argv[1])
