/** A book that is kept: the best levels of one instrument, as they are now. */

import { compare } from "./decimals.js";
import { unavailable } from "./patience.js";
import { Lost } from "./errors.js";
import type { Gap, LevelTuple, Pushes } from "./shapes.js";

export class LiveBook {
  /** Block that it is as of. */
  seq = 0;
  readonly #bids = new Map<string, LevelTuple>();
  readonly #asks = new Map<string, LevelTuple>();
  readonly #abort: AbortController;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #failed: unknown;

  private constructor(abort: AbortController) {
    this.#abort = abort;
  }

  /** Kept from `updates` until it is closed or `abort` is aborted. Throws what the stream throws before its first message. */
  static async open(updates: AsyncIterable<Pushes["level2"] | Gap>, abort: AbortController): Promise<LiveBook> {
    const book = new LiveBook(abort);
    const begun = book.changed();
    book.#keep(updates).catch((error: unknown) => book.#end(error));
    await begun;
    return book;
  }

  /** Best first. */
  get bids(): LevelTuple[] {
    return [...this.#bids.values()].sort(([left], [right]) => compare(right, left));
  }

  /** Best first. */
  get asks(): LevelTuple[] {
    return [...this.#asks.values()].sort(([left], [right]) => compare(left, right));
  }

  /** Until it is another. Throws what the stream throws, and Unavailable once the book is closed. */
  changed(): Promise<void> {
    if (this.#failed) {
      return Promise.reject(this.#failed);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#abort.abort();
  }

  async #keep(updates: AsyncIterable<Pushes["level2"] | Gap>): Promise<void> {
    for await (const update of updates) {
      if (update.type !== "gap") {
        this.#take(update);
      }
    }
    throw unavailable(new Lost("the book is closed"));
  }

  #take(update: Pushes["level2"]): void {
    for (const [side, levels] of [[this.#bids, update.bids], [this.#asks, update.asks]] as const) {
      if (update.type === "snapshot") {
        side.clear();
      }
      for (const level of levels) {
        if (level[2] > 0) {
          side.set(level[0], level);
        } else {
          side.delete(level[0]);
        }
      }
    }
    this.seq = update.seq;
    for (const { resolve } of this.#waiting.splice(0)) {
      resolve();
    }
  }

  #end(error: unknown): void {
    this.#failed = error;
    for (const { reject } of this.#waiting.splice(0)) {
      reject(error);
    }
  }
}
