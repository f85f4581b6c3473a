/** Orders over a WebSocket: quicker than REST, and as safe. A lost connection is made anew, and what was not answered sent again. */

import { decode, encode, type Acknowledged, type Row } from "./batch.js";
import { Connection, type Login, type Where } from "./connection.js";
import { Lost, OutcryError } from "./errors.js";
import { remainingMs, settled, unavailable, unknown, type Retries } from "./patience.js";
import type { Asked, Done, NewOrder, Replacement } from "./shapes.js";
import { newCommandId } from "./signing.js";

/** An order by the venue's number, or by your client order id and its symbol. */
export type Aim = Asked & ({ order: string; symbol?: string } | { client_order_id: string; symbol: string });

/** Tells what became of a command whose answer was not heard. */
export type Ask = (commandId: string, account: number | undefined) => (cause: unknown) => Promise<Done>;

export class Session {
  readonly #where: Where;
  readonly #retries: Retries;
  readonly #ask: Ask;
  readonly #login: Login;
  #connection: Promise<Connection> | undefined;
  #closed = "";

  private constructor(where: Where, retries: Retries, ask: Ask, login: Login) {
    this.#where = where;
    this.#retries = retries;
    this.#ask = ask;
    this.#login = login;
  }

  /** A session that is logged in. Throws Rejected, Unavailable. */
  static async open(where: Where, retries: Retries, ask: Ask, login: Login): Promise<Session> {
    const session = new Session(where, retries, ask, login);
    await session.#live();
    return session;
  }

  /** Throws Refused, Rejected, Unavailable, OutcomeUnknown; so do all that follow. */
  order(order: NewOrder): Promise<Done> {
    return this.#send("order", order);
  }

  cancel(aim: Aim): Promise<Done> {
    return this.#send("cancel", aim);
  }

  /** It loses its place in the queue unless only the quantity falls. */
  replace(aim: Aim & { symbol: string }, by: Replacement): Promise<Done> {
    return this.#send("replace", { ...aim, ...by });
  }

  /** `quantity`: how much to take off. */
  reduce(aim: Aim & { symbol: string }, quantity: string): Promise<Done> {
    return this.#send("reduce", { ...aim, quantity });
  }

  /** All orders in one instrument. */
  cancelAll(symbol: string, side: "any" | "buys" | "sells" = "any", account?: number): Promise<Done> {
    const command_id = newCommandId();
    const words = { op: "mass_cancel", symbol, side, command_id, ...(account !== undefined && { account }) };
    return settled(this.#retries, async () => (await (await this.#live()).ask(words)) as Done, unknown([command_id]));
  }

  /** One frame of rows made by `batch`, answered when all are on record. */
  async sendBatch(rows: readonly Row[]): Promise<Acknowledged> {
    const frame = encode(rows);
    const send = async () => decode(await (await this.#live()).sendBatch(frame));
    return settled(this.#retries, send, unknown(rows.map(({ commandId }) => commandId)));
  }

  /** Orders stay, unless the session began with `cancel_on_disconnect`. */
  close(): void {
    this.#closed = "the session is closed";
    this.#connection?.then((connection) => connection.close()).catch(() => undefined);
  }

  async #send(op: string, words: Asked & { quantity?: string }): Promise<Done> {
    const said = { ...words, op, command_id: words.command_id ?? newCommandId() };
    const end = Date.now() + (words.deadline_ms ?? 0);
    const send = async () => {
      const connection = await this.#live();
      return (await connection.ask(words.deadline_ms ? { ...said, deadline_ms: remainingMs(end) } : said)) as Done;
    };
    return settled(this.#retries, send, this.#ask(said.command_id, words.account));
  }

  /** The connection, made anew when it ended. That it cannot be made leaves nothing in doubt: nothing was sent. */
  async #live(): Promise<Connection> {
    if (this.#closed) {
      throw new OutcryError(this.#closed);
    }
    const connection = (this.#connection ??= this.#opened());
    try {
      return await connection;
    } catch (error) {
      if (this.#connection === connection) {
        this.#connection = undefined;
      }
      throw error instanceof Lost ? unavailable(error) : error;
    }
  }

  #opened(): Promise<Connection> {
    let wasOpen = false;
    const ended = () => {
      if (wasOpen) {
        this.#connection = undefined;
        this.#closed ||= this.#login.cancel_on_disconnect ? "the connection ended, and its orders are cancelled; open another session" : "";
      }
    };
    return Connection.open(this.#where, this.#login, { pushed: () => undefined, ended }).then((connection) => {
      wasOpen = true;
      return connection;
    });
  }
}
