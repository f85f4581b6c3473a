/** One WebSocket to the venue: who we are, questions and their answers, and what is pushed. */

import { errorOf, Lost, OutcryError, type Problem } from "./errors.js";
import type { Channel, Gap, Pushes, Welcome } from "./shapes.js";
import type { Signer } from "./signing.js";

/** What this client needs of a WebSocket: that of browsers and of the package ws have it. */
export interface Socket {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message" | "close" | "error", listener: (event: any) => void): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** What is pushed. */
export type Pushed = Pushes[Channel] | Gap;

/** Where a connection goes, and as whom. */
export interface Where {
  url: string;
  signer: Signer | undefined;
  socket: SocketConstructor | undefined;
  timeoutMs: number;
  quietMs: number;
}

/** Words of a login, beside who it is. */
export interface Login {
  /** When the connection ends, all orders of the accounts that traded over it are cancelled. */
  cancel_on_disconnect?: boolean;
  /** To which batches go; left out: the lowest. */
  partition?: number;
}

export interface Listener {
  pushed(message: Pushed): void;
  /** Once, with why. */
  ended(why: Lost): void;
}

type Said = { type: string; id?: string; done?: unknown; problem?: Problem; reason?: string; channel?: string };

const ACKNOWLEDGED = 0x4b54554f; // "OUTK"
const CHECKSUM_AT = 12;

export class Connection {
  welcome: Welcome | undefined;
  readonly #socket: Socket;
  readonly #listener: Listener | undefined;
  readonly #timeoutMs: number;
  readonly #waiting = new Map<string, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  readonly #watch: ReturnType<typeof setInterval>;
  #asked = 0;
  #isQuiet = false;
  #ended: Lost | undefined;
  #reason = "";

  private constructor(socket: Socket, { timeoutMs, quietMs }: Where, listener: Listener | undefined) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#listener = listener;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer }) => this.#heard(data));
    socket.addEventListener("close", ({ code, reason }: { code: number; reason: string }) =>
      this.#end(`the connection ended: ${this.#reason || reason || `code ${code}`}`),
    );
    socket.addEventListener("error", ({ message }: { message?: string }) => this.#end(`the connection failed: ${message ?? ""}`));
    this.#watch = setInterval(() => this.#look(), quietMs);
  }

  /** A connection that was welcomed, as whoever signs. Throws Lost, Rejected, Unavailable. */
  static async open(where: Where, login: Login = {}, listener?: Listener): Promise<Connection> {
    const socket = where.socket ?? (await platformSocket());
    const made = new Connection(new socket(where.url, ["outcry.json"]), where, listener);
    try {
      made.welcome = (await made.#answer("")) as Welcome;
      if (where.signer) {
        made.welcome = (await made.ask({ op: "login", ...(await where.signer.login()), ...login })) as Welcome;
      }
    } catch (error) {
      made.close();
      throw error;
    }
    return made;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /** The answer to `words`, which have an `op`. Throws Rejected, Refused, Unavailable; Lost when none came. */
  ask(words: object): Promise<unknown> {
    const id = `q${++this.#asked}`;
    return this.#send(id, JSON.stringify({ ...words, id }));
  }

  /** The frame that answers a batch. Throws as `ask` does. */
  async sendBatch(frame: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    const checksum = new DataView(frame.buffer, frame.byteOffset).getUint32(CHECKSUM_AT, true);
    return (await this.#send(String(checksum), frame)) as ArrayBuffer;
  }

  close(): void {
    this.#socket.close(1000);
    this.#end("it was closed here");
  }

  #send(id: string, data: string | Uint8Array<ArrayBuffer>): Promise<unknown> {
    if (this.#ended) {
      return Promise.reject(this.#ended);
    }
    if (this.#waiting.has(id)) {
      return Promise.reject(new OutcryError(`the same batch is under way already`));
    }
    const answer = this.#answer(id);
    this.#socket.send(data);
    return answer;
  }

  async #answer(id: string): Promise<unknown> {
    const timer = setTimeout(() => this.#give(`nothing was answered for ${this.#timeoutMs} ms`), this.#timeoutMs);
    try {
      return await new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    } finally {
      clearTimeout(timer);
    }
  }

  #heard(data: string | ArrayBuffer): void {
    this.#isQuiet = false;
    if (typeof data !== "string") {
      const view = new DataView(data);
      if (data.byteLength > CHECKSUM_AT && view.getUint32(0, true) === ACKNOWLEDGED) {
        this.#settle(String(view.getUint32(CHECKSUM_AT, true)), data);
      }
      return;
    }
    const said = JSON.parse(data) as Said;
    if (said.channel !== undefined) {
      this.#listener?.pushed(said as Pushed);
    } else if (said.type === "cut") {
      this.#reason = said.reason ?? "";
    } else if (said.type === "problem") {
      this.#refused(said.id ?? "", said.problem!);
    } else {
      this.#settle(said.id ?? "", said.type === "done" ? said.done : said);
    }
  }

  /** A problem without an id is of something that the venue did not even read: nobody can say of what. */
  #refused(id: string, problem: Problem): void {
    if (id === "" && !this.#waiting.has(id)) {
      this.#give(`a message was turned away: ${problem.detail ?? problem.title}`);
    } else {
      this.#settle(id, undefined, errorOf(problem));
    }
  }

  #settle(id: string, answer: unknown, error?: Error): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) {
      waiting?.reject(error);
    } else {
      waiting?.resolve(answer);
    }
  }

  /** Who has heard nothing for a while asks; who is not answered ends it. */
  #look(): void {
    if (this.#isQuiet && this.welcome) {
      this.ask({ op: "ping" }).catch(() => undefined);
    }
    this.#isQuiet = true;
  }

  #give(why: string): void {
    this.#socket.close();
    this.#end(why);
  }

  #end(why: string): void {
    if (this.#ended) {
      return;
    }
    this.#ended = new Lost(why);
    clearInterval(this.#watch);
    for (const { reject } of this.#waiting.values()) {
      reject(this.#ended);
    }
    this.#waiting.clear();
    this.#listener?.ended(this.#ended);
  }
}

/** Of the platform; where it has none, as Node 20, that of the package ws. */
async function platformSocket(): Promise<SocketConstructor> {
  const { WebSocket } = globalThis as { WebSocket?: SocketConstructor };
  if (WebSocket) {
    return WebSocket;
  }
  const ws = "ws"; // not written out, so that who makes bundles for browsers does not look for it
  try {
    return ((await import(ws)) as { WebSocket: SocketConstructor }).WebSocket;
  } catch (error) {
    throw new OutcryError("this platform has no WebSocket: install the package ws, or give one as `socket`", { cause: error });
  }
}
