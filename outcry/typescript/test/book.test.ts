/** A book that is kept is the book of the venue. */

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Rejected, Unavailable } from "outcry-client";

import { client, Relay, until, VENUE } from "./venue.js";

const relay = await Relay.to(VENUE.ws);
const alice = client("alice", { ws: relay.address });
after(() => relay.close());

test("a kept book is the venue's, over cut connections", async () => {
  const session = await client("alice").session();
  const book = await alice.bookOf("ACME");
  const cuts = relay.cuts;
  const open: string[] = [];
  let last = 0;
  for (let n = 0; n < 90; n++) {
    const side = n % 2 ? "buy" : "sell";
    const price = side === "buy" ? `${8 + (n % 7)}.${10 + (n % 3)}` : `${20 + (n % 9)}.${10 + (n % 4)}`;
    const { order, seq } = await session.order({ symbol: "ACME", side, quantity: String(1 + (n % 5)), price });
    open.push(order);
    last = n % 3 ? seq : (await session.cancel({ order: open.splice(n % open.length, 1)[0]! })).seq;
    if (n % 40 === 20) {
      relay.cut();
    }
  }
  await until(() => book.seq >= last);
  const venue = await alice.book("ACME", { levels: 32, at_least: last });
  assert.ok(relay.cuts > cuts);
  assert.deepEqual(book.bids, venue.bids.map(({ price, quantity, orders }) => [price, quantity, orders]));
  assert.deepEqual(book.asks, venue.asks.map(({ price, quantity, orders }) => [price, quantity, orders]));
  book.close();
  session.close();
});

test("who waits for a change is told of it, and of the end", async () => {
  const book = await alice.bookOf("ACME");
  const changed = book.changed();
  const { order } = await alice.order({ symbol: "ACME", side: "buy", quantity: "1", price: "5.00" });
  await changed;
  await until(() => book.bids.some(([price]) => price === "5.00"));
  await alice.cancel(order);
  await until(() => !book.bids.some(([price]) => price === "5.00"));
  const next = book.changed();
  book.close();
  await assert.rejects(next, Unavailable);
});

test("a book of what is not listed is rejected", async () => {
  await assert.rejects(alice.bookOf("NONE"), (error) => error instanceof Rejected && error.status === 404);
});
