/** One request over HTTP, signed, and what came of it. */

import { errorOf, Lost, Unavailable, type Problem } from "./errors.js";
import type { Signer } from "./signing.js";

/** `undefined`: not said. */
export type Words = Record<string, string | number | boolean | undefined>;

/** Errors of a system that say that nothing was sent. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND"]);

export class Http {
  readonly #base: URL;
  readonly #signer: Signer | undefined;
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;

  constructor(base: string, signer: Signer | undefined, fetch: typeof globalThis.fetch, timeoutMs: number) {
    this.#base = new URL(base);
    this.#signer = signer;
    this.#fetch = fetch;
    this.#timeoutMs = timeoutMs;
  }

  /** The answer. Throws Rejected, Refused, Unavailable; Lost when none came. `path` begins with a slash. */
  async ask(method: string, path: string, query: Words = {}, body?: unknown): Promise<unknown> {
    const url = new URL(this.#base.pathname.replace(/\/$/, "") + path, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) {
        url.searchParams.set(name, String(value));
      }
    }
    const said = body === undefined ? "" : JSON.stringify(body);
    const headers = (await this.#signer?.headers(method, url.pathname + url.search, said)) ?? {};
    const [response, text] = await this.#answered(url, method, headers, said);
    if (response.ok) {
      return text === "" ? undefined : JSON.parse(text);
    }
    throw errorOf(problemOf(response, text), Number(response.headers.get("Retry-After") ?? 0) * 1_000);
  }

  async #answered(url: URL, method: string, headers: Record<string, string>, body: string): Promise<[Response, string]> {
    const request: RequestInit = { method, headers, signal: AbortSignal.timeout(this.#timeoutMs) };
    if (body !== "") {
      request.body = body;
      headers["Content-Type"] = "application/json";
    }
    try {
      const response = await this.#fetch(url, request);
      return [response, await response.text()];
    } catch (error) {
      const { code, message } = ((error as Error).cause ?? {}) as { code?: string; message?: string };
      const says = `${method} ${url.href} was not answered: ${message || code || String(error)}`;
      if (code !== undefined && NEVER_SENT.has(code)) {
        throw new Unavailable(says, undefined, 0, { cause: error });
      }
      throw new Lost(says, { cause: error });
    }
  }
}

/** The problem document; of who is no Outcry, a proxy for example, the status alone. */
function problemOf(response: Response, text: string): Problem {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    return JSON.parse(text) as Problem;
  }
  return { title: response.statusText || `status ${response.status}`, status: response.status };
}
