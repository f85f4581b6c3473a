/**
 * So many of your executions, each once, however often this is stopped and started: what was seen is kept in a file.
 * node build/examples/resume.js venue/keys/alice.json seen.json 10
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { Client, type KeyFile, type Position } from "outcry-client";

const [, , path, kept, count = "10"] = process.argv;
const client = Client.fromKeyFile(JSON.parse(readFileSync(path!, "utf8")) as KeyFile);
const from = (existsSync(kept!) ? JSON.parse(readFileSync(kept!, "utf8")) : {}) as Position;

let left = Number(count);
for await (const message of client.user({ from })) {
  if (message.type === "gap") {
    console.log(`ask for what came between blocks ${message.after} and ${message.seq}`);
  } else {
    for (const { number, side, quantity, price } of message.executions) {
      console.log(`${number}: ${side} ${quantity} at ${price}`);
      left -= 1;
    }
  }
  from[message.partition] = message.seq;
  writeFileSync(kept!, JSON.stringify(from));
  if (left <= 0) {
    break;
  }
}
