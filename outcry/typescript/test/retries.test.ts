/** What becomes of a command when connections break, or the venue has no room: it is done once, and nobody guesses. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, beforeEach, test } from "node:test";

import { OutcomeUnknown, OutcryError, Refused, Rejected, Unavailable, type NewOrder } from "outcry-client";

import { client, Relay, VENUE } from "./venue.js";

const relay = await Relay.to(VENUE.rest);
const direct = client("alice");
const alice = client("alice", { rest: relay.address });
const ORDER: NewOrder = { symbol: "ACME", side: "buy", quantity: "1", price: "12.00" };

async function onRecord(): Promise<number> {
  return (await direct.orders()).orders.length;
}

beforeEach(() => direct.cancelAll());
after(() => relay.close());

for (const fate of ["before the request", "before the answer"] as const) {
  test(`an order whose connection is cut ${fate} is on record once`, async () => {
    relay.plan(fate, "POST /v1/orders");
    const done = await alice.order(ORDER);
    assert.equal(done.status, fate === "before the answer" ? "repeated" : "accepted");
    assert.deepEqual((await direct.orders()).orders.map(({ order }) => order), [done.order]);
  });

  test(`a batch whose connection is cut ${fate} is on record once`, async () => {
    relay.plan(fate, "POST /v1/orders/batch");
    const outcomes = await alice.batch([ORDER, ORDER, ORDER]);
    assert.ok(outcomes.every((each) => !(each instanceof OutcryError)));
    assert.equal(await onRecord(), 3);
  });
}

test("control: who sends it again with another command id has it twice", async () => {
  relay.plan("before the answer", "POST /v1/orders");
  await assert.rejects(alice.request("POST", "/v1/orders", {}, { ...ORDER, command_id: "1001" }), OutcomeUnknown);
  await alice.order({ ...ORDER, command_id: "1002" });
  assert.equal(await onRecord(), 2);
});

test("a change and a cancel whose answer is cut off are done once", async () => {
  const { order } = await alice.order({ ...ORDER, quantity: "10" });
  relay.plan("before the answer", "PATCH /v1/orders");
  await alice.reduce(order, "3");
  assert.equal((await direct.findOrder(order)).open_quantity, "7");
  relay.plan("before the answer", "DELETE /v1/orders");
  assert.equal((await alice.cancel(order)).status, "repeated");
});

test("a refusal whose answer is cut off is told as the first time", async () => {
  relay.plan("before the answer", "POST /v1/orders");
  await assert.rejects(alice.order({ ...ORDER, price: "99999.00" }), (error) => error instanceof Refused && error.rule === "price_band");
});

test("who may not try again asks what became of it", async () => {
  const once = client("alice", { rest: relay.address, retries: { attempts: 1 } });
  relay.plan("before the answer", "POST /v1/orders");
  const { status, order } = await once.order(ORDER);
  assert.deepEqual([status, (await direct.findOrder(order)).status], ["repeated", "open"]);
});

test("when nobody knows, that is said, with the id to ask for", async () => {
  const once = client("alice", { rest: relay.address, retries: { attempts: 1 } });
  relay.plan("before the request", "POST /v1/orders");
  await assert.rejects(
    once.order({ ...ORDER, command_id: "2001" }),
    (error) => error instanceof OutcomeUnknown && error.commandIds[0] === "2001",
  );
  assert.equal(await onRecord(), 0);
});

test("of a batch that was cut off each order is asked for", async () => {
  const once = client("alice", { rest: relay.address, retries: { attempts: 1 } });
  relay.plan("before the answer", "POST /v1/orders/batch");
  const outcomes = await once.batch([ORDER, { ...ORDER, price: "99999.00" }]);
  assert.ok(outcomes[0] && "order" in outcomes[0] && outcomes[0].status === "repeated");
  assert.ok(outcomes[1] instanceof Refused && outcomes[1].rule === "price_band");
});

test("where nobody listens nothing is in doubt", async () => {
  const closed = await Relay.to(VENUE.rest);
  closed.close();
  await assert.rejects(client("alice", { rest: closed.address, retries: { attempts: 2 } }).order(ORDER), Unavailable);
});

test("a deadline holds over all tries", async () => {
  const closed = await Relay.to(VENUE.rest);
  closed.close();
  const patient = client("alice", { rest: closed.address, retries: { attempts: 1_000, firstMs: 20, longestMs: 20 } });
  await assert.rejects(patient.order({ ...ORDER, deadline_ms: 50 }), (error) => error instanceof Rejected && error.status === 408);
});

/** In front of the venue, as a proxy is: has no room `times` times, and asks to come back. */
async function busy(times: number, status: number, retryAfterS: number): Promise<{ address: string; asked: number[]; close(): void }> {
  const asked: number[] = [];
  const server = createServer((request, response) => {
    asked.push(Date.now());
    if (asked.length <= times) {
      response.writeHead(status, { "Retry-After": String(retryAfterS) }).end("busy");
      return;
    }
    const headers = request.headers as Record<string, string>;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {};
      const { host: _host, connection: _connection, "content-length": _length, ...passed } = headers;
      fetch(VENUE.rest + request.url, { method: request.method ?? "GET", headers: passed, ...body })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { address: `http://127.0.0.1:${port}`, asked, close: () => server.close() };
}

for (const status of [429, 503]) {
  test(`who is told ${status} comes back when he was asked to`, async () => {
    const proxy = await busy(1, status, 1);
    const { status: told } = await client("alice", { rest: proxy.address }).order(ORDER);
    proxy.close();
    assert.equal(told, "accepted");
    assert.ok(proxy.asked[1]! - proxy.asked[0]! >= 995, `${proxy.asked}`);
  });
}

test("nobody waits for longer than he wants to", async () => {
  const proxy = await busy(1, 429, 3_600);
  await assert.rejects(
    client("alice", { rest: proxy.address }).order(ORDER),
    (error) => error instanceof Unavailable && error.retryAfterMs === 3_600_000,
  );
  proxy.close();
  assert.equal(proxy.asked.length, 1);
});
