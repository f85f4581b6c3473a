/** The client: REST, and the way to streams, books and sessions. */

import { LiveBook } from "./book.js";
import type { Login, SocketConstructor, Where } from "./connection.js";
import { errorOf, OutcomeUnknown, OutcryError, Refused, type Problem } from "./errors.js";
import { Http, type Words } from "./http.js";
import { isPassing, leavesOpen, remainingMs, RETRIES, settled, tried, unknown, waitMs, sleep, type Retries } from "./patience.js";
import { Session } from "./session.js";
import type * as shapes from "./shapes.js";
import type { Asked, Channel, Done, Gap, NewOrder, Pushes, Replacement } from "./shapes.js";
import { newCommandId, Signer, type Credentials } from "./signing.js";
import { follow, isOwn, type Position, type Subscription } from "./streams.js";

export interface Options {
  /** Address of REST, as http://127.0.0.1:8080. */
  rest: string;
  /** Address of the WebSocket, as ws://127.0.0.1:8081/v1/ws. */
  ws: string;
  /** Left out: what anybody may see. */
  credentials?: Credentials;
  /** A WebSocket, where the platform has none and the package ws is not to be used. */
  socket?: SocketConstructor;
  fetch?: typeof fetch;
  /** How long an answer may take. */
  timeoutMs?: number;
  /** A connection on which nothing was heard for so long is asked whether it lives, and given up when it does not answer. */
  quietMs?: number;
  retries?: Partial<Retries>;
}

/** The file that `outcry demo` writes for each person. */
export interface KeyFile {
  rest: string;
  websocket: string;
  key: string;
  secret: string;
}

export interface AtLeast {
  /** As of this block or a later one. */
  at_least?: number;
}

export interface Paging extends AtLeast {
  account?: number;
  limit?: number;
  /** `next` of the page before. */
  cursor?: string;
}

export type Funds = Omit<Asked, "deadline_ms"> & { partition?: number };

type Became = { done?: Done | null; problem?: Problem | null };

export class Client {
  readonly #http: Http;
  readonly #where: Where;
  readonly #retries: Retries;

  constructor(options: Options) {
    const signer = options.credentials && new Signer(options.credentials);
    const timeoutMs = options.timeoutMs ?? 10_000;
    const { fetch: asked = fetch, quietMs = 15_000 } = options;
    this.#http = new Http(options.rest, signer, (...request) => asked(...request), timeoutMs); // a browser's knows no other `this`
    this.#where = { url: options.ws, signer, socket: options.socket, timeoutMs, quietMs };
    this.#retries = { ...RETRIES, ...options.retries };
  }

  static fromKeyFile(file: KeyFile, options: Partial<Options> = {}): Client {
    return new Client({ rest: file.rest, ws: file.websocket, credentials: { key: file.key, secret: file.secret }, ...options });
  }

  /** The token of a new session, as `credentials`. `code`: of the second factor, where there is one. Throws Rejected, Unavailable. */
  async logIn(user: string, password: string, code = ""): Promise<{ token: string }> {
    const { token } = (await tried({ ...this.#retries, attempts: 1 }, () =>
      this.#http.ask("POST", "/v1/sessions", {}, { user, password, code }),
    )) as { token: string };
    return { token };
  }

  /** Whatever has no method of its own here: one request, tried again only when it is a GET. Throws as trading does. */
  request(method: string, path: string, query: Words = {}, body?: unknown): Promise<unknown> {
    if (method === "GET") {
      return this.#get(path, query);
    }
    const once = { ...this.#retries, attempts: 1 };
    return settled(once, () => this.#http.ask(method, path, query, body), unknown([`${method} ${path}`]));
  }

  // -- what anybody may see ------------------------------------------------------------------------------------------

  /** The venue's clock. A signed request is good for 30 s around its time. */
  async time(): Promise<{ time: string; time_ns: string }> {
    return (await this.#get("/v1/time")) as { time: string; time_ns: string };
  }

  async venue(): Promise<{ partitions: shapes.AsOf[]; durability: string }> {
    return (await this.#get("/v1/venue")) as { partitions: shapes.AsOf[]; durability: string };
  }

  async instruments(): Promise<shapes.Instrument[]> {
    return ((await this.#get("/v1/instruments")) as { instruments: shapes.Instrument[] }).instruments;
  }

  async instrument(symbol: string): Promise<shapes.Instrument> {
    return (await this.#get(ofInstrument(symbol))) as shapes.Instrument;
  }

  async book(symbol: string, of: AtLeast & { levels?: number } = {}): Promise<shapes.Book> {
    return (await this.#get(ofInstrument(symbol, "book"), { ...of })) as shapes.Book;
  }

  /** The last 32, newest first. */
  async trades(symbol: string, of: AtLeast = {}): Promise<shapes.Trade[]> {
    return ((await this.#get(ofInstrument(symbol, "trades"), { ...of })) as { trades: shapes.Trade[] }).trades;
  }

  /** The newest `limit`, rising. */
  async bars(symbol: string, of: AtLeast & { interval?: shapes.Interval; limit?: number } = {}): Promise<shapes.Bar[]> {
    return ((await this.#get(ofInstrument(symbol, "bars"), { ...of })) as { bars: shapes.Bar[] }).bars;
  }

  // -- what is yours -------------------------------------------------------------------------------------------------

  async me(): Promise<shapes.Me> {
    return (await this.#get("/v1/me")) as shapes.Me;
  }

  async balances(of: AtLeast & { account?: number } = {}): Promise<shapes.Balances> {
    return (await this.#get("/v1/balances", { ...of })) as shapes.Balances;
  }

  /** Open orders as they were accepted, or the last ended ones, newest first. */
  async orders(of: Paging & { status?: "open" | "ended"; symbol?: string } = {}): Promise<shapes.Orders> {
    return (await this.#get("/v1/orders", { ...of })) as shapes.Orders;
  }

  async executions(of: Paging = {}): Promise<shapes.Executions> {
    return (await this.#get("/v1/executions", { ...of })) as shapes.Executions;
  }

  async statement(of: Paging = {}): Promise<shapes.Statement> {
    return (await this.#get("/v1/statements", { ...of })) as shapes.Statement;
  }

  async findOrder(order: string): Promise<shapes.Order> {
    return (await this.#get(ofOrder(order))) as shapes.Order;
  }

  /** What became of a command. */
  async command(commandId: string, account?: number): Promise<shapes.Command> {
    return (await this.#get(`/v1/commands/${encodeURIComponent(commandId)}`, { account })) as shapes.Command;
  }

  // -- trading: all throw Refused, Rejected, Unavailable, OutcomeUnknown ----------------------------------------------

  /** On record when it is answered. */
  order(order: NewOrder): Promise<Done> {
    return this.#command(order, (words) => this.#http.ask("POST", "/v1/orders", {}, words));
  }

  /** By the venue's number. */
  cancel(order: string, asked: Asked = {}): Promise<Done> {
    return this.#command(asked, ({ command_id, account }) => this.#http.ask("DELETE", ofOrder(order), { command_id, account }));
  }

  /** It loses its place in the queue unless only the quantity falls. */
  replace(order: string, by: Replacement & Omit<Asked, "account">): Promise<Done> {
    return this.#command(by, (words) => this.#http.ask("PATCH", ofOrder(order), {}, words));
  }

  /** `quantity`: how much to take off. */
  reduce(order: string, quantity: string, asked: Omit<Asked, "account"> = {}): Promise<Done> {
    return this.#command(asked, (words) => this.#http.ask("PATCH", ofOrder(order), {}, { ...words, reduce_by: quantity }));
  }

  /** All of an account, of one instrument or of one side, answered for each partition. */
  cancelAll(of: { symbol?: string; side?: "any" | "buys" | "sells"; account?: number; command_id?: string } = {}): Promise<Done[]> {
    const command_id = of.command_id ?? newCommandId();
    const send = async () => (await this.#http.ask("DELETE", "/v1/orders", { ...of, command_id })) as Done[];
    return settled(this.#retries, send, unknown([command_id]));
  }

  /** Up to 500 orders, decided in this order; of each what became of it, or the error that it would have thrown alone. */
  async batch(orders: readonly NewOrder[]): Promise<(Done | OutcryError)[]> {
    const named = orders.map((order) => ({ ...order, command_id: order.command_id ?? newCommandId() }));
    const outcomes = new Map<number, Done | OutcryError>();
    const mayBeDone = new Set<number>();
    const open = () => named.map((_, at) => at).filter((at) => !isFinal(outcomes.get(at)));
    const send = async () => {
      const asked = open();
      try {
        const body = { orders: asked.map((at) => named[at]) };
        const answer = (await this.#http.ask("POST", "/v1/orders/batch", {}, body)) as { outcomes: Became[] };
        answer.outcomes.forEach(({ done, problem }, which) => outcomes.set(asked[which]!, done ?? errorOf(problem!)));
      } catch (error) {
        if (error instanceof OutcryError) {
          asked.forEach((at) => outcomes.set(at, error));
        }
        throw error;
      } finally {
        asked.filter((at) => leavesOpen(outcomes.get(at))).forEach((at) => mayBeDone.add(at));
      }
      const passing = open().map((at) => outcomes.get(at));
      if (passing.length > 0) {
        throw passing[0];
      }
    };
    await tried(this.#retries, send).catch((error: unknown) => {
      if (!(error instanceof OutcryError)) {
        throw error;
      }
    });
    return Promise.all(named.map((order, at) => this.#became(order, outcomes.get(at)!, mayBeDone.has(at))));
  }

  /** Funds made of nothing, where the venue is in test mode. */
  deposit(asset: string, amount: string, asked: Funds = {}): Promise<Done> {
    return this.#command(asked, (words) => this.#http.ask("POST", "/v1/deposits", {}, { ...words, asset, amount }));
  }

  withdraw(asset: string, amount: string, asked: Funds = {}): Promise<Done> {
    return this.#command(asked, (words) => this.#http.ask("POST", "/v1/withdrawals", {}, { ...words, asset, amount }));
  }

  // -- what is pushed ------------------------------------------------------------------------------------------------

  /**
   * What happens from now on, or since `from`: each message once, over as many connections as it takes. Ends when the loop is left, or
   * by `signal`. `user` and `alerts` are of your accounts, the others of `symbols`.
   */
  async *stream<C extends Channel>(
    channels: readonly C[],
    symbols: readonly string[] = [],
    options: Omit<Subscription, "channels" | "symbols"> = {},
  ): AsyncGenerator<Pushes[C] | Gap, void, undefined> {
    const { partitions } = channels.some(isOwn) ? await this.venue() : { partitions: [] };
    const start = Object.fromEntries(partitions.map(({ partition, seq }) => [partition, seq]));
    yield* follow(this.#where, this.#retries, { channels, symbols, ...options }, start);
  }

  /**
   * What happens to your accounts: their orders, executions and balances. After a Gap ask `orders` and `executions` with `at_least` its
   * `seq`.
   */
  user(options: { from?: Position; signal?: AbortSignal } = {}): AsyncGenerator<Pushes["user"] | Gap, void, undefined> {
    return this.stream(["user"], [], options);
  }

  /** The best 32 levels of each side, kept until it is closed. */
  bookOf(symbol: string): Promise<LiveBook> {
    const abort = new AbortController();
    return LiveBook.open(this.stream(["level2"], [symbol], { signal: abort.signal }), abort);
  }

  /** Orders over a WebSocket. */
  session(login: Login = {}): Promise<Session> {
    return Session.open(this.#where, this.#retries, (commandId, account) => this.#ask(commandId, account), login);
  }

  // -- inside --------------------------------------------------------------------------------------------------------

  #get(path: string, query: Words = {}): Promise<unknown> {
    return tried(this.#retries, () => this.#http.ask("GET", path, query));
  }

  #command(asked: Asked, send: (words: Asked) => Promise<unknown>): Promise<Done> {
    const words = { ...asked, command_id: asked.command_id ?? newCommandId() };
    const end = Date.now() + (asked.deadline_ms ?? 0);
    const attempt = async () => (await send(asked.deadline_ms ? { ...words, deadline_ms: remainingMs(end) } : words)) as Done;
    return settled(this.#retries, attempt, this.#ask(words.command_id, asked.account));
  }

  async #became(order: Asked & { command_id: string }, outcome: Done | OutcryError, mayBeDone: boolean): Promise<Done | OutcryError> {
    if (!mayBeDone || !(outcome instanceof OutcryError) || outcome instanceof Refused) {
      return outcome;
    }
    return this.#ask(order.command_id, order.account)(outcome).catch((error: OutcryError) => error);
  }

  /** What became of a command whose answer was not heard. Throws Refused, OutcomeUnknown. */
  #ask(commandId: string, account: number | undefined): (cause: unknown) => Promise<Done> {
    return async (cause) => {
      for (let asked = 1; asked <= this.#retries.attempts; asked++) {
        const found = await this.command(commandId, account).catch(() => undefined);
        if (found?.status === "accepted") {
          return recorded(found);
        }
        if (found?.status === "refused") {
          const { rule, limit, observed } = found;
          throw new Refused({ title: found.detail, status: 422, rule, limit, observed, command_id: commandId });
        }
        if (found?.status !== "open") {
          break;
        }
        await sleep(waitMs(this.#retries, asked));
      }
      throw new OutcomeUnknown([commandId], { cause });
    };
  }
}

/** As a command that is sent again is answered. */
function recorded(found: shapes.Command): Done {
  return {
    command_id: found.command_id,
    verb: found.verb,
    status: "repeated",
    order: found.order,
    resting: false,
    fills: [],
    removed: "",
    partition: found.partition ?? 0,
    seq: found.seq ?? 0,
    event: found.event,
    durability: "",
  };
}

function isFinal(outcome: Done | OutcryError | undefined): boolean {
  return outcome !== undefined && !isPassing(outcome);
}

function ofInstrument(symbol: string, what?: string): string {
  return `/v1/instruments/${encodeURIComponent(symbol)}${what === undefined ? "" : `/${what}`}`;
}

function ofOrder(order: string): string {
  return `/v1/orders/${encodeURIComponent(order)}`;
}
