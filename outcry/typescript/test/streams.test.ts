/** What is pushed: each message once, over cut connections, and what is missing is said. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, beforeEach, test } from "node:test";

import { Rejected, Unavailable, type Position } from "outcry-client";
import { WebSocket, WebSocketServer } from "ws";

import { client, Relay, until, VENUE } from "./venue.js";

const relay = await Relay.to(VENUE.ws);
const [alice, bob] = [client("alice"), client("bob")];
const watcher = client("alice", { ws: relay.address });
let abort = new AbortController();

beforeEach(() => {
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await Promise.all([alice.cancelAll(), bob.cancelAll()]);
});
after(() => relay.close());

/** The numbers of so many new trades, each in a block of its own; `between` is called after each. */
async function traded(count: number, between: (n: number) => void = () => undefined): Promise<string[]> {
  const numbers: string[] = [];
  await alice.order({ symbol: "ACME", side: "buy", quantity: String(count), price: "12.00" });
  for (let n = 0; n < count; n++) {
    const { fills } = await bob.order({ symbol: "ACME", side: "sell", quantity: "1", price: "12.00" });
    numbers.push(...fills.map(({ number }) => number));
    between(n);
  }
  return numbers;
}

/** Enter and cancel orders until who listens has heard of one. */
async function heard(condition: () => boolean): Promise<void> {
  while (!condition()) {
    const { order } = await alice.order({ symbol: "ACME", side: "sell", quantity: "1", price: "99.00" });
    await alice.cancel(order);
  }
}

/** Numbers of trades as a stream tells them, and how often it has a gap. */
class Tape {
  numbers: string[] = [];
  gaps = 0;
  hasBegun = false;

  async follow(stream: ReturnType<typeof watch>): Promise<void> {
    for await (const message of stream) {
      this.hasBegun = true;
      if (message.type === "gap") {
        this.gaps += 1;
      } else {
        this.numbers.push(...message.trades.map(({ number }) => number));
      }
    }
  }

  since(first: string): string[] {
    return this.numbers.filter((number) => BigInt(number) >= BigInt(first));
  }
}

function watch(from = watcher, options: { maxWaiting?: number } = {}) {
  return from.stream(["trades"], ["ACME"], { signal: abort.signal, ...options });
}

function cutEvery(n: number): void {
  if (n % 10 === 5) {
    relay.cut();
  }
}

test("connections that are cut in mid-stream lose no trade and double none", async () => {
  const tape = new Tape();
  const following = tape.follow(watch());
  await until(() => tape.hasBegun);
  const before = relay.cuts;
  const numbers = await traded(40, cutEvery);
  await until(() => tape.numbers.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  assert.ok(relay.cuts > before);
  assert.deepEqual([tape.since(numbers[0]!), tape.gaps], [numbers, 0]);
});

test("control: who begins anew at each cut has trades twice", async () => {
  const tape = new Tape();
  const following = (async () => {
    while (!abort.signal.aborted) {
      const connection = new AbortController();
      const taken = relay.taken;
      const anew = watcher.stream(["trades"], ["ACME"], { signal: AbortSignal.any([abort.signal, connection.signal]) });
      void until(() => abort.signal.aborted || relay.taken > taken + 1).then(() => connection.abort());
      await tape.follow(anew);
    }
  })();
  await until(() => tape.hasBegun);
  const numbers = await traded(40, cutEvery);
  await until(() => tape.numbers.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  assert.notDeepEqual(tape.since(numbers[0]!), numbers);
});

test("a message that does not come is asked for again", async () => {
  let dropped = 0;
  const proxy = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  proxy.on("connection", (client) => {
    const venue = new WebSocket(VENUE.ws, ["outcry.json"]);
    const early: string[] = [];
    client.on("message", (data) => (venue.readyState === WebSocket.OPEN ? venue.send(String(data)) : early.push(String(data))));
    venue.on("open", () => early.forEach((data) => venue.send(data)));
    client.on("close", () => venue.close());
    venue.on("message", (data) => {
      if (dropped === 0 && String(data).includes('"type":"update"')) {
        dropped += 1;
      } else {
        client.send(String(data));
      }
    });
  });
  await once(proxy, "listening");
  const { port } = proxy.address() as { port: number };
  const tape = new Tape();
  const following = tape.follow(watch(client("alice", { ws: `ws://127.0.0.1:${port}/v1/ws` })));
  await until(() => tape.hasBegun);
  const numbers = await traded(3);
  await until(() => tape.numbers.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  proxy.close();
  assert.equal(dropped, 1);
  assert.deepEqual([tape.since(numbers[0]!), tape.gaps], [numbers, 0]);
});

test("who reads slowly is sent the rest when he asks for it", async () => {
  const tape = new Tape();
  const stream = watch(watcher, { maxWaiting: 4 });
  await stream.next();
  const taken = relay.taken;
  const numbers = await traded(30);
  const following = tape.follow(stream);
  await until(() => tape.numbers.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  assert.ok(relay.taken > taken);
  assert.deepEqual([tape.since(numbers[0]!), tape.gaps], [numbers, 0]);
});

test("a connection that says nothing any more is given up", async () => {
  const [tape, taken] = [new Tape(), relay.taken];
  const following = tape.follow(watch(client("alice", { ws: relay.address, timeoutMs: 500, quietMs: 50 })));
  await until(() => tape.hasBegun);
  relay.isSilent = true;
  await until(() => relay.taken > taken + 1);
  relay.isSilent = false;
  const numbers = await traded(2);
  await until(() => tape.numbers.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  assert.deepEqual(tape.since(numbers[0]!), numbers);
});

test("what cannot be sent again is a gap, and then comes the state", async () => {
  await traded(1);
  const stream = alice.stream(["trades"], ["ACME"], { from: { 1: 0 }, signal: abort.signal });
  const [gap, state] = [(await stream.next()).value, (await stream.next()).value];
  assert.ok(gap?.type === "gap" && gap.after === 0);
  assert.ok(state?.type === "snapshot" && state.channel === "trades" && state.trades.length > 0);
});

test("what happens to your accounts comes once, over cut connections", async () => {
  const seen: string[] = [];
  const orders: string[] = [];
  const following = (async () => {
    for await (const message of watcher.user({ signal: abort.signal })) {
      assert.ok(message.type !== "gap");
      seen.push(...message.executions.map(({ number }) => number));
      orders.push(...message.orders.map(({ order, open_quantity }) => `${order} ${open_quantity}`));
    }
  })();
  await heard(() => orders.length > 0);
  const numbers = await traded(40, cutEvery);
  await until(() => seen.includes(numbers.at(-1)!));
  abort.abort();
  await following;
  assert.deepEqual(seen.slice(-numbers.length), numbers); // before them may be what was done just before
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(new Set(orders).size, orders.length);
});

test("what your alert rules tell comes once, over cut connections", async () => {
  await alice.request("POST", "/v1/alerts", {}, { kind: "fills", symbol: "ACME" });
  const told: string[] = [];
  const following = (async () => {
    for await (const message of watcher.stream(["alerts"], [], { signal: abort.signal })) {
      assert.ok(message.type !== "gap");
      told.push(...message.alerts.map(({ name }) => name));
    }
  })();
  while (told.length === 0) {
    await traded(1);
  }
  const before = told.length;
  await traded(20, cutEvery);
  await until(() => told.length >= before + 20);
  abort.abort();
  await following;
  assert.equal(new Set(told).size, told.length);
});

test("who was away goes on where he was", async () => {
  const before = alice.user();
  let last: Position | undefined;
  const first = before.next().then(({ value }) => (last = { [value!.partition]: value!.seq }));
  await heard(() => last !== undefined);
  await Promise.all([first, before.return()]);
  const numbers = await traded(3);
  const executions: string[] = [];
  for await (const message of alice.user({ from: last!, signal: abort.signal })) {
    assert.ok(message.type !== "gap");
    executions.push(...message.executions.map(({ number }) => number));
    if (executions.length >= 3) {
      break;
    }
  }
  assert.deepEqual(executions, numbers);
});

test("every channel of an instrument begins with what is", async () => {
  const channels = ["level1", "level2", "level3", "trades", "bars", "ticker", "status"] as const;
  const kinds: string[] = [];
  for await (const message of alice.stream(channels, ["ACME"], { interval: "1d" })) {
    assert.equal(message.type, "snapshot");
    kinds.push(message.channel);
    if (kinds.length === channels.length) {
      break;
    }
  }
  assert.deepEqual(kinds.sort(), [...channels].sort());
});

test("what the venue does not push is rejected, and not asked for again", async () => {
  await assert.rejects(alice.stream(["trades"], ["NONE"]).next(), (error) => error instanceof Rejected && error.status === 404);
});

test("a venue that cannot be reached is unavailable", async () => {
  const closed = await Relay.to(VENUE.ws);
  closed.close();
  const away = client("alice", { ws: closed.address, retries: { attempts: 2 } });
  await assert.rejects(away.stream(["trades"], ["ACME"]).next(), Unavailable);
});
