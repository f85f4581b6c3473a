/** A thousand orders in one frame, and away with them: node build/examples/batch.js venue/keys/alice.json */

import { readFileSync } from "node:fs";

import { batch, Client, type KeyFile } from "outcry-client";

const client = Client.fromKeyFile(JSON.parse(readFileSync(process.argv[2]!, "utf8")) as KeyFile);
const [acme, me] = await Promise.all([client.instrument("ACME"), client.me()]);
const { account } = me.accounts[0]!;

const session = await client.session();
const orders = Array.from({ length: 1_000 }, () => batch.newOrder(acme, { account, side: "buy", quantity: "1", price: "0.01" }));
const { block, outcomes } = await session.sendBatch(orders);
console.log(`block ${block}: ${outcomes.filter(({ kind }) => kind === "OrderAccepted").length} accepted`);
const cancelled = await session.sendBatch(outcomes.map(({ order }) => batch.cancel({ account, order })));
console.log(`block ${cancelled.block}: ${cancelled.outcomes.filter(({ kind }) => kind === "OrderCancelled").length} cancelled`);
session.close();
