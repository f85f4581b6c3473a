/** Asked again, later and later: what may be asked again, how often, and what is known in the end. */

import { Lost, OutcomeUnknown, OutcryError, Refused, Rejected, Unavailable } from "./errors.js";

export interface Retries {
  /** How often something is tried. */
  attempts: number;
  /** Wait before the second attempt; it doubles with each further one, and is cut short by chance. */
  firstMs: number;
  /** No wait is longer; what the venue asks to wait longer for is not tried again. */
  longestMs: number;
}

export const RETRIES: Retries = { attempts: 6, firstMs: 100, longestMs: 10_000 };

/** Until `attempt` is answered. Throws what it throws; that the venue was not reached as Unavailable. */
export async function tried<T>(retries: Retries, attempt: () => Promise<T>): Promise<T> {
  try {
    return await repeated(retries, attempt);
  } catch (error) {
    throw error instanceof Lost ? unavailable(error) : error;
  }
}

/**
 * Until `send` of a command is answered. It carries a command id, so that it is done once however often it arrives. When it may have
 * arrived and no answer came, `ask` tells what became of it, or throws OutcomeUnknown.
 */
export async function settled<T>(retries: Retries, send: () => Promise<T>, ask: (cause: unknown) => Promise<T>): Promise<T> {
  let mayBeDone = false;
  const attempt = async () => {
    try {
      return await send();
    } catch (error) {
      mayBeDone ||= leavesOpen(error);
      throw error;
    }
  };
  try {
    return await repeated(retries, attempt);
  } catch (error) {
    if (error instanceof Refused || !mayBeDone) {
      throw error;
    }
    return ask(error);
  }
}

/** Whether a command may have been executed nevertheless. */
export function leavesOpen(error: unknown): boolean {
  if (error instanceof Unavailable) {
    return error.problem !== undefined && error.problem.status !== 429 && error.problem.outcome !== "none";
  }
  return error instanceof Lost;
}

/** Whether it may be otherwise when it is asked again. */
export function isPassing(error: unknown): error is Lost | Unavailable {
  return error instanceof Lost || error instanceof Unavailable;
}

/** What is told of a lost connection of which nothing is in doubt. */
export function unavailable(lost: OutcryError): Unavailable {
  return new Unavailable(lost.message, undefined, 0, { cause: lost });
}

export function unknown(commandIds: readonly string[]): (cause: unknown) => Promise<never> {
  return async (cause) => {
    throw new OutcomeUnknown(commandIds, { cause });
  };
}

/** What is left until `end`, by Date.now(). Throws Rejected when nothing is: then it is not sent any more. */
export function remainingMs(end: number): number {
  const leftMs = Math.ceil(end - Date.now());
  if (leftMs <= 0) {
    throw new Rejected({ title: "the deadline passed", status: 408, outcome: "none" });
  }
  return leftMs;
}

/** Wait before the attempt after `failures`: half of it is by chance, so that not all who were cut off come back at once. */
export function waitMs(retries: Retries, failures: number): number {
  const most = Math.min(retries.longestMs, retries.firstMs * 2 ** (failures - 1));
  return most * (0.5 + Math.random() / 2);
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) {
      end();
    }
  });
}

async function repeated<T>(retries: Retries, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      const askedMs = error instanceof Unavailable ? error.retryAfterMs : 0;
      if (!isPassing(error) || failures >= retries.attempts || askedMs > retries.longestMs) {
        throw error;
      }
      await sleep(Math.max(askedMs, waitMs(retries, failures)));
    }
  }
}
