/** Orders over a WebSocket, one by one and in batches, and what becomes of them when it breaks. */

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { batch, OutcomeUnknown, OutcryError, Refused, Rejected, type NewOrder } from "outcry-client";

import { client, Relay, VENUE } from "./venue.js";

const relay = await Relay.to(VENUE.ws);
const direct = client("alice");
const alice = client("alice", { ws: relay.address });
const ORDER: NewOrder = { symbol: "ACME", side: "buy", quantity: "1", price: "12.00" };
const acme = await direct.instrument("ACME");

async function onRecord(): Promise<number> {
  return (await direct.orders({ limit: 1_000 })).orders.length;
}

function rows(count: number): batch.Row[] {
  return Array.from({ length: count }, () => batch.newOrder(acme, { account: 1, side: "buy", quantity: "1", price: "1.00" }));
}

beforeEach(() => direct.cancelAll());
after(() => relay.close());

test("an order is entered, replaced, reduced and cancelled", async () => {
  const session = await alice.session();
  const { order, resting } = await session.order({ ...ORDER, quantity: "10", client_order_id: "5" });
  assert.ok(resting);
  await session.replace({ client_order_id: "5", symbol: "ACME" }, { price: "12.10", quantity: "9" });
  await session.reduce({ order, symbol: "ACME" }, "4");
  const { price, open_quantity } = await direct.findOrder(order);
  assert.deepEqual([price, open_quantity], ["12.10", "5"]);
  await session.cancel({ order });
  assert.equal(await onRecord(), 0);
  await Promise.all([session.order(ORDER), session.order(ORDER)]);
  await session.cancelAll("ACME");
  assert.equal(await onRecord(), 0);
  session.close();
});

test("a refusal names the rule, and the session goes on", async () => {
  const session = await alice.session();
  await assert.rejects(session.order({ ...ORDER, price: "99999.00" }), (error) => error instanceof Refused && error.rule === "price_band");
  await assert.rejects(session.order({ ...ORDER, symbol: "NONE" }), (error) => error instanceof Rejected && error.status === 404);
  assert.equal((await session.order(ORDER)).status, "accepted");
  session.close();
  await assert.rejects(session.order(ORDER), OutcryError);
});

test("a session is by the token of a login, too", async () => {
  const session = await client("alice", { credentials: await direct.logIn("alice", VENUE.password) }).session();
  assert.equal((await session.order(ORDER)).status, "accepted");
  session.close();
});

test("an order whose answer is cut off is sent again on another connection, and done once", async () => {
  const session = await alice.session();
  const taken = relay.taken;
  relay.plan("before the answer");
  const done = await session.order(ORDER);
  assert.deepEqual([done.status, relay.taken], ["repeated", taken + 1]);
  assert.deepEqual((await direct.orders()).orders.map(({ order }) => order), [done.order]);
  session.close();
});

test("many orders that are under way when it is cut are each done once", async () => {
  const session = await alice.session();
  const sent = Array.from({ length: 200 }, () => session.order(ORDER));
  await Promise.race(sent);
  relay.cut();
  const orders = (await Promise.all(sent)).map(({ order }) => order);
  assert.equal(new Set(orders).size, 200);
  assert.equal(await onRecord(), 200);
  session.close();
});

test("a thousand orders go in a frame, and each has its outcome", async () => {
  const session = await alice.session();
  const { block, outcomes } = await session.sendBatch([
    ...rows(1_000),
    batch.cancel({ account: 1, order: "1" }),
    batch.massCancel({ account: 1 }, acme),
  ]);
  assert.ok(block > 0n);
  assert.equal(new Set(outcomes.slice(0, 1_000).map(({ kind, order }) => kind === "OrderAccepted" && order)).size, 1_000);
  const [cancelled, all] = outcomes.slice(1_000);
  assert.deepEqual([cancelled?.kind, cancelled?.rule], ["CommandRefused", "unknown_order"]);
  assert.equal(all?.kind, "OrdersMassCancelled");
  session.close();
});

test("a batch whose answer is cut off is sent again, and done once", async () => {
  const session = await alice.session();
  relay.plan("before the answer");
  const { outcomes } = await session.sendBatch(rows(100));
  assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(["CommandRepeated"]));
  assert.equal(await onRecord(), 100);
  session.close();
});

test("control: the rows of another batch are other commands", async () => {
  const session = await alice.session();
  await session.sendBatch(rows(100));
  await session.sendBatch(rows(100));
  assert.equal(await onRecord(), 200);
  session.close();
});

test("a batch with a row of somebody else is rejected as a whole", async () => {
  const session = await alice.session();
  const other = batch.newOrder(acme, { account: 2, side: "buy", quantity: "1", price: "1.00" });
  await assert.rejects(session.sendBatch([...rows(1), other]), (error) => error instanceof Rejected && error.status === 403);
  assert.equal(await onRecord(), 0);
  session.close();
});

test("when it can be sent no more, a batch that was cut off is unknown, with its ids", async () => {
  const session = await client("alice", { ws: relay.address, retries: { attempts: 1 } }).session();
  relay.plan("before the answer");
  const sent = rows(3);
  await assert.rejects(
    session.sendBatch(sent),
    (error) => error instanceof OutcomeUnknown && error.commandIds[2] === sent[2]!.commandId,
  );
  session.close();
});

test("orders that are to be cancelled on disconnect are, and the session says so", async () => {
  const session = await alice.session({ cancel_on_disconnect: true });
  await session.order(ORDER);
  assert.equal(await onRecord(), 1);
  relay.cut();
  while ((await onRecord()) > 0) {
    // the venue is about to hear of it
  }
  await assert.rejects(session.order(ORDER), /cancelled/);
});
