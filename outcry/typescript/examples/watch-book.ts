/** A live book, for so many changes: node build/examples/watch-book.js venue/keys/alice.json ACME 10 */

import { readFileSync } from "node:fs";

import { Client, type KeyFile } from "outcry-client";

const [, , path, symbol = "ACME", changes = "10"] = process.argv;
const client = Client.fromKeyFile(JSON.parse(readFileSync(path!, "utf8")) as KeyFile);

const book = await client.bookOf(symbol);
for (let n = 0; n < Number(changes); n++) {
  const [bid, ask] = [book.bids[0], book.asks[0]];
  console.log(`block ${book.seq}: ${bid?.[1] ?? "nobody"} at ${bid?.[0] ?? "any"} | ${ask?.[1] ?? "nobody"} at ${ask?.[0] ?? "any"}`);
  await book.changed();
}
book.close();
