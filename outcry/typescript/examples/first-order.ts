/** A first order: node build/examples/first-order.js venue/keys/alice.json */

import { readFileSync } from "node:fs";

import { Client, Refused, type KeyFile } from "outcry-client";

const client = Client.fromKeyFile(JSON.parse(readFileSync(process.argv[2]!, "utf8")) as KeyFile);

const { order, seq, fills } = await client.order({ symbol: "ACME", side: "buy", quantity: "5", price: "12.00" });
console.log(`order ${order} is on record in block ${seq}; it traded ${fills.length} times`);
await client.cancel(order);
console.log(`it is ${(await client.findOrder(order)).status}`);

try {
  await client.order({ symbol: "ACME", side: "buy", quantity: "1", price: "1000000.00" });
} catch (error) {
  if (!(error instanceof Refused)) {
    throw error;
  }
  console.log(`refused by ${error.rule}: it allows ${error.limit}, and saw ${error.observed}`);
}
