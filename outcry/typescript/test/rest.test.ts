/** REST: every method, who may, and how what is wrong is told. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, beforeEach, test } from "node:test";

import { Client, Refused, Rejected } from "outcry-client";

import { client, VENUE } from "./venue.js";

const [alice, bob] = [client("alice"), client("bob")];
const anybody = new Client({ rest: VENUE.rest, ws: VENUE.ws });

async function clear(): Promise<void> {
  await Promise.all([alice.cancelAll(), bob.cancelAll()]);
}

beforeEach(clear);
after(clear);

test("anybody sees instruments, books, trades, bars, and the clock", async () => {
  const [acme] = await anybody.instruments();
  assert.equal(acme?.symbol, "ACME");
  assert.deepEqual(await anybody.instrument("ACME"), acme);
  await alice.order({ symbol: "ACME", side: "buy", quantity: "5", price: "12.50" });
  const { fills, seq } = await bob.order({ symbol: "ACME", side: "sell", quantity: "2", price: "12.50" });
  const [trade] = await anybody.trades("ACME", { at_least: seq });
  assert.deepEqual([trade?.number, trade?.price, trade?.quantity, trade?.side], [fills[0]?.number, "12.50", "2", "sell"]);
  const { bids, asks } = await anybody.book("ACME", { levels: 3, at_least: seq });
  assert.deepEqual([bids, asks], [[{ price: "12.50", quantity: "3", orders: 1 }], []]);
  assert.equal((await anybody.bars("ACME", { interval: "1d", at_least: seq })).at(-1)?.close, "12.50");
  assert.ok(BigInt((await anybody.time()).time_ns) > 0n);
  assert.ok((await anybody.venue()).partitions[0]!.seq > 0);
});

test("an order is entered, found, replaced, reduced and cancelled", async () => {
  const { order, resting } = await alice.order({ symbol: "ACME", side: "buy", quantity: "10", price: "12.00", client_order_id: "77" });
  assert.ok(resting);
  assert.equal((await alice.findOrder(order)).client_order_id, "77");
  await alice.replace(order, { price: "12.10", quantity: "9" });
  await alice.reduce(order, "4");
  const { orders } = await alice.orders({ symbol: "ACME" });
  assert.deepEqual(orders.map((each) => [each.order, each.price, each.open_quantity]), [[order, "12.10", "5"]]);
  await alice.cancel(order);
  assert.deepEqual((await alice.orders()).orders, []);
  assert.equal((await alice.findOrder(order)).status, "cancelled");
});

test("all orders of one side are cancelled at once", async () => {
  await alice.batch([
    { symbol: "ACME", side: "buy", quantity: "1", price: "1.00" },
    { symbol: "ACME", side: "sell", quantity: "1", price: "99.00" },
  ]);
  await alice.cancelAll({ symbol: "ACME", side: "buys" });
  assert.deepEqual((await alice.orders()).orders.map(({ side }) => side), ["sell"]);
});

test("each order of a batch has its own outcome", async () => {
  const outcomes = await alice.batch([
    { symbol: "ACME", side: "buy", quantity: "1", price: "12.00" },
    { symbol: "ACME", side: "buy", quantity: "1", price: "99999.00" },
    { symbol: "NONE", side: "buy", quantity: "1", price: "12.00" },
  ]);
  const [done, refused, rejected] = outcomes;
  assert.ok(done && "order" in done && done.resting);
  assert.ok(refused instanceof Refused && refused.rule === "price_band");
  assert.ok(rejected instanceof Rejected && rejected.status === 404);
});

test("balances, executions and statements tell what came of it, page by page", async () => {
  await alice.order({ symbol: "ACME", side: "buy", quantity: "2", price: "11.00" });
  await bob.order({ symbol: "ACME", side: "sell", quantity: "1", price: "11.00" });
  const { seq } = await bob.order({ symbol: "ACME", side: "sell", quantity: "1", price: "11.00" });
  const { executions, next } = await alice.executions({ limit: 1, at_least: seq });
  const older = await alice.executions({ limit: 1, cursor: next });
  assert.deepEqual([executions[0]?.price, executions[0]?.liquidity, older.executions[0]?.quantity], ["11.00", "maker", "1"]);
  assert.notEqual(executions[0]?.number, older.executions[0]?.number);
  const { partitions } = await alice.balances({ at_least: seq });
  assert.deepEqual(partitions[0]?.balances.map(({ asset }) => asset).sort(), ["ACME", "USD"]);
  const { lines } = await alice.statement({ limit: 2, at_least: seq });
  assert.deepEqual(lines.map(({ kind }) => kind), ["TradeExecuted", "TradeExecuted"]);
});

test("funds come and go in test mode", async () => {
  const before = (await alice.statement({ limit: 1 })).lines[0];
  await alice.deposit("USD", "10.00");
  const { lines } = await alice.statement({ limit: 1 });
  assert.deepEqual([lines[0]?.asset, lines[0]?.amount], ["USD", "10.00"]);
  assert.notEqual(lines[0]?.number, before?.number);
  await alice.withdraw("USD", "10.00");
});

test("a refusal names the rule, what it allows and what it saw, and stands on record", async () => {
  const refused = await alice.order({ symbol: "ACME", side: "buy", quantity: "2000000", price: "1.00", command_id: "4711" }).then(
    () => assert.fail("it was not refused"),
    (error: unknown) => error,
  );
  assert.ok(refused instanceof Refused);
  assert.deepEqual([refused.rule, refused.limit, refused.observed], ["max_quantity", 1_000_000, 2_000_000]);
  const { status, rule, limit } = await alice.command("4711");
  assert.deepEqual([status, rule, limit], ["refused", "max_quantity", 1_000_000]);
});

test("a command id is done once", async () => {
  const order = { symbol: "ACME", side: "buy", quantity: "1", price: "12.00", command_id: "99" } as const;
  const [first, again] = [await alice.order(order), await alice.order(order)];
  assert.deepEqual([first.status, again.status, again.order], ["accepted", "repeated", first.order]);
  assert.equal((await alice.orders()).orders.length, 1);
});

test("whoever is not known, or may not, is rejected and not asked again", async () => {
  const stranger = client("alice", { credentials: { key: VENUE.keys.alice.key, secret: VENUE.keys.bob.secret } });
  await assert.rejects(stranger.balances(), (error) => error instanceof Rejected && error.status === 401);
  await assert.rejects(anybody.orders(), (error) => error instanceof Rejected && error.status === 401);
  await assert.rejects(alice.orders({ account: 2 }), (error) => error instanceof Rejected && error.status === 403);
});

test("an Ed25519 key signs as an HMAC key does", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const secret = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("base64");
  const shown = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
  const { key } = (await alice.request("POST", "/v1/keys", {}, { kind: "ed25519", public_key: shown })) as { key: string };
  const signing = client("alice", { credentials: { key, ed25519: secret } });
  assert.equal((await signing.me()).key, key);
  await signing.order({ symbol: "ACME", side: "buy", quantity: "1", price: "12.00" });
});

test("who logs in is known by the token of his session", async () => {
  const credentials = await anybody.logIn("alice", VENUE.password);
  const { user, accounts } = await client("alice", { credentials }).me();
  assert.deepEqual([user, accounts[0]?.account], ["alice", 1]);
  await assert.rejects(anybody.logIn("alice", "wrong and long enough"), (error) => error instanceof Rejected && error.status === 401);
});
