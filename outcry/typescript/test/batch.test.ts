/** The bytes of a batch are those that the venue's own code makes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { batch, OutcryError } from "outcry-client";

import { client, VENUE } from "./venue.js";

const acme = await client("alice").instrument("ACME");
const whose = { account: 7, command_id: "9223372036854775807" };
const MADE: Record<string, batch.Row[]> = {
  limit: [batch.newOrder(acme, { ...whose, side: "buy", quantity: "5", price: "1.01", client_order_id: "3" })],
  all_terms: [
    batch.newOrder(acme, {
      ...whose,
      side: "sell",
      quantity: "1000000",
      price: "9999.99",
      post_only: "slide",
      self_trade: "decrement",
      expiresNs: 1_800_000_000_000_000_000n,
    }),
  ],
  market_buy: [batch.newOrder(acme, { ...whose, side: "buy", quantity: "2", budgetMinor: 12_345n })],
  market_sell: [batch.newOrder(acme, { ...whose, side: "sell", quantity: "2", time_in_force: "FOK" })],
  cancel: [batch.cancel({ ...whose, order: "281474976710657" }), batch.cancel({ ...whose, client_order_id: "3" })],
  replace: [batch.replace(acme, { ...whose, order: "281474976710657", price: "1.02", quantity: "6", new_client_order_id: "4" })],
  reduce: [batch.reduce(acme, { ...whose, client_order_id: "3", quantity: "2" })],
  mass_cancel: [batch.massCancel({ ...whose, side: "sells" }, acme), batch.massCancel(whose)],
};

for (const [name, frame] of Object.entries(VENUE.frames)) {
  test(`the frame of ${name} is what the venue's codec makes`, () => {
    assert.equal(Buffer.from(batch.encode(MADE[name]!)).toString("hex"), frame);
  });
}

test("no frame was left out", () => {
  assert.deepEqual(Object.keys(MADE).sort(), Object.keys(VENUE.frames).sort());
});

test("an answer is read as the venue meant it", () => {
  const bytes = Buffer.from(VENUE.acknowledged, "hex");
  const answer = batch.decode(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
  assert.deepEqual([answer.block, answer.firstEvent], [2n, 4n]);
  assert.deepEqual(
    answer.outcomes.map(({ kind, order, rule, detail }) => [kind, order, rule, detail]),
    [
      ["OrderAccepted", "9007199254740993", "", 9007199254740993n],
      ["CommandRefused", "", "unknown_order", 13n],
      ["CommandRepeated", "", "", 9n],
    ],
  );
});

test("outcomes and rules are called as the venue calls them", () => {
  assert.deepEqual(batch.RULES, VENUE.rules);
  assert.deepEqual({ ...batch.OUTCOMES }, VENUE.outcomes);
});

test("what lies off tick or lot, or is no decimal, makes no row", () => {
  for (const [quantity, price] of [["1", "12.505"], ["1.5", "12.50"], ["1", "12,50"], ["-1", "12.50"]] as const) {
    assert.throws(() => batch.newOrder(acme, { account: 1, side: "buy", quantity, price }), RangeError);
  }
});

test("an empty batch, and one that is too large, are no batches", () => {
  assert.throws(() => batch.encode([]), OutcryError);
  assert.throws(() => batch.encode(Array.from({ length: 16_385 }, () => MADE["limit"]![0]!)), OutcryError);
});
