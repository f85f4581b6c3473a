/** What is pushed, as one stream that outlives its connections: each message once, and what is missing is said. */

import { Connection, type Listener, type Pushed, type Where } from "./connection.js";
import { Lost, OutcryError } from "./errors.js";
import { isPassing, sleep, unavailable, waitMs, type Retries } from "./patience.js";
import type { Channel, Gap, Interval, Pushes } from "./shapes.js";

/** By partition the last block that was seen. */
export type Position = Record<number, number>;

export interface Subscription {
  channels: readonly Channel[];
  symbols: readonly string[];
  interval?: Interval;
  /** Go on after these blocks. Left out: from now on. */
  from?: Position;
  /** Ends the stream. */
  signal?: AbortSignal;
  /** So many messages wait for who reads; beyond that the connection is given up, and what comes after is asked for again. */
  maxWaiting?: number;
}

const MAX_WAITING = 4_096;

/** Channels of your accounts; the others are of instruments. */
export function isOwn(channel: Channel): boolean {
  return channel === "user" || channel === "alerts";
}

type Seen = { partition: number; seq: number; trade: bigint };

/**
 * Every message once and in its order, over as many connections as it takes; a Gap where the venue cannot send again what came between.
 * The first connection is tried `retries.attempts` times, those after it for ever. `start`: where each partition was before, for who
 * loses his connection before his first message.
 * Throws Rejected when the venue does not want it, Unavailable when it was never reached.
 */
export async function* follow<C extends Channel>(
  where: Where,
  retries: Retries,
  wanted: Subscription & { channels: readonly C[] },
  start: Position = {},
): AsyncGenerator<Pushes[C] | Gap, void, undefined> {
  const topics = topicsOf(wanted);
  const seen = new Map<string, Seen>();
  let [failures, wasOpen] = [0, false];
  while (!wanted.signal?.aborted) {
    const inbox = new Inbox(wanted.maxWaiting ?? MAX_WAITING);
    let connection: Connection | undefined;
    const abort = () => {
      inbox.ended();
      connection?.close(); // who reads may never come back to see it
    };
    wanted.signal?.addEventListener("abort", abort);
    try {
      connection = await Connection.open(where, {}, inbox);
      const accounts = connection.welcome?.accounts ?? [];
      const goOn = wasOpen ? { ...start, ...wanted.from } : { ...wanted.from };
      await Promise.all(
        topics.map(([channel, symbol]) => {
          const from = symbol === undefined ? ownPosition(channel, accounts, goOn, seen) : positionOf(`${channel} ${symbol}`, goOn, seen);
          const symbols = symbol === undefined ? [] : [symbol];
          const interval = wanted.interval && { interval: wanted.interval };
          return connection!.ask({ op: "subscribe", channels: [channel], symbols, from, ...interval });
        }),
      );
      [failures, wasOpen] = [0, true];
      for await (const message of inbox) {
        const news = unseen(message, seen);
        if (news) {
          yield news as Pushes[C] | Gap;
        }
      }
    } catch (error) {
      failures += 1;
      if (!isPassing(error) || (!wasOpen && failures >= retries.attempts)) {
        throw error instanceof Lost ? unavailable(error) : error;
      }
    } finally {
      connection?.close();
      wanted.signal?.removeEventListener("abort", abort);
    }
    await sleep(waitMs(retries, Math.max(1, failures)), wanted.signal);
  }
}

/** Each channel of each symbol is subscribed to by itself, so that each goes on after its own last block. */
function topicsOf({ channels, symbols }: Subscription): [channel: Channel, symbol?: string][] {
  const topics = channels.flatMap((channel): [Channel, string?][] =>
    isOwn(channel) ? [[channel]] : symbols.map((symbol) => [channel, symbol]),
  );
  if (topics.length === 0) {
    throw new OutcryError("nothing is asked for: name channels, and symbols where they are of instruments");
  }
  return topics;
}

function positionOf(key: string, goOn: Position, seen: Map<string, Seen>): Position {
  const last = seen.get(key);
  return last ? { [last.partition]: last.seq } : goOn;
}

/** The venue takes one block for all accounts: that of the account which is furthest behind. */
function ownPosition(channel: Channel, accounts: number[], goOn: Position, seen: Map<string, Seen>): Position {
  const position: Position = {};
  for (const [partition, seq] of Object.entries(goOn)) {
    const each = accounts.map((account) => seen.get(`${channel} ${account} ${partition}`)?.seq ?? seq);
    position[Number(partition)] = each.length > 0 ? Math.min(...each) : seq;
  }
  return position;
}

/** What is new of a message; undefined: nothing. Throws Lost when one is missing before it. */
function unseen(message: Pushed, seen: Map<string, Seen>): Pushed | undefined {
  const { channel, partition, seq } = message;
  const key = "account" in message && isOwn(channel) ? `${channel} ${message.account} ${partition}` : `${channel} ${message.symbol}`;
  const last = seen.get(key);
  if (message.type === "update" && last) {
    if (seq <= last.seq) {
      return undefined;
    }
    if (message.previous > last.seq) {
      throw new Lost(`block ${message.previous} of ${key} did not come`);
    }
  }
  const now = { partition, seq, trade: last?.trade ?? 0n };
  seen.set(key, now);
  if (message.type === "gap" || message.channel !== "trades") {
    return message;
  }
  const trades = message.trades.filter(({ number }) => BigInt(number) > now.trade);
  now.trade = BigInt(trades.at(-1)?.number ?? now.trade);
  return { ...message, trades };
}

/** Between a connection and who reads: what came, then why it ended. */
class Inbox implements Listener {
  readonly #most: number;
  #messages: Pushed[] = [];
  #end: { why?: Lost } | undefined;
  #wake: () => void = () => undefined;

  constructor(most: number) {
    this.#most = most;
  }

  pushed(message: Pushed): void {
    if (this.#end) {
      return;
    }
    this.#messages.push(message);
    if (this.#messages.length > this.#most) {
      this.ended(new Lost("who reads does not keep up"));
    }
    this.#wake();
  }

  ended(why?: Lost): void {
    this.#end ??= why ? { why } : {};
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Pushed, void, undefined> {
    for (;;) {
      const messages = this.#messages;
      this.#messages = [];
      yield* messages;
      if (this.#messages.length > 0) {
        continue;
      }
      if (this.#end) {
        if (this.#end.why) {
          throw this.#end.why;
        }
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
