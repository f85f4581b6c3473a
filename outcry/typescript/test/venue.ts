/** The venue that tests/typescript/test_client.py serves for these tests, and what can be done to connections to it. */

import { createServer, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, type Options } from "outcry-client";

interface Venue {
  rest: string;
  ws: string;
  keys: Record<"alice" | "bob", { key: string; secret: string }>;
  password: string;
  /** What the venue's own code makes of some commands, by name; of an answer; and its tables. */
  frames: Record<string, string>;
  acknowledged: string;
  outcomes: Record<string, string>;
  rules: string[];
}

export const VENUE = JSON.parse(process.env["OUTCRY_VENUE"] ?? "{}") as Venue;

/** Who trades at the venue, without long waits. */
export function client(who: "alice" | "bob", options: Partial<Options> = {}): Client {
  const retries = { firstMs: 10, ...options.retries };
  return new Client({ rest: VENUE.rest, ws: VENUE.ws, credentials: VENUE.keys[who], ...options, retries });
}

/** Wait until it is so; the test's own bound ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await sleep(2);
  }
}

type Fate = "before the request" | "before the answer";

/** A way to the venue on which connections are cut: in front of `address`, at `address` of its own. */
export class Relay {
  address = "";
  /** How many connections were taken, and how many cut. */
  taken = 0;
  cuts = 0;
  #planned: [Fate, string] | undefined;
  /** Nothing more gets through, and nobody is told. */
  isSilent = false;
  readonly #open = new Set<Socket>();
  readonly #server = createServer((client) => this.#relay(client));
  readonly #to: URL;

  private constructor(address: string) {
    this.#to = new URL(address);
  }

  static async to(address: string): Promise<Relay> {
    const relay = new Relay(address);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    const found = new URL(address);
    found.port = String((relay.#server.address() as { port: number }).port);
    relay.address = found.href.replace(/\/$/, "");
    return relay;
  }

  /** Once, at the next request that has `mark` (left out: any): it never arrives, or nobody hears what came of it. */
  plan(fate: Fate, mark = ""): void {
    this.#planned = [fate, mark];
  }

  /** Cut all connections. */
  cut(): void {
    this.cuts += this.#open.size;
    this.#open.forEach((socket) => socket.resetAndDestroy());
  }

  close(): void {
    this.#server.close();
    this.#open.forEach((socket) => socket.destroy());
  }

  #relay(client: Socket): void {
    this.taken += 1;
    this.#open.add(client);
    let fate: Fate | undefined;
    const server = connect(Number(this.#to.port), this.#to.hostname);
    const end = () => {
      this.#open.delete(client);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on("error", end).on("close", end);
    }
    client.on("data", (request: Buffer) => {
      if (this.#planned && request.includes(this.#planned[1])) {
        [fate] = this.#planned;
        this.#planned = undefined;
        this.cuts += 1;
      }
      if (fate === "before the request") {
        end();
      } else if (!this.isSilent) {
        server.write(request);
      }
    });
    server.on("data", (answer: Buffer) => (fate ? end() : client.write(answer)));
  }
}
