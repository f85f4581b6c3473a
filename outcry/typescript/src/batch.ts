/** Many commands in one frame, and the frame that answers it: the bytes of docs/protocol.md. */

import { unitsOf } from "./decimals.js";
import { OutcryError } from "./errors.js";
import type { Instrument, NewOrder } from "./shapes.js";
import { newCommandId } from "./signing.js";

const HEADER_BYTES = 16;
const ROW_BYTES = 128;
const MAX_ROWS = 16_384;
const ANSWER_BYTES = 32;
const MAGIC = 0x4354554f; // "OUTC"
const VERSION = 1;

/** Verbs and numbers of words: docs/events.md. */
const VERBS = { newOrder: 7, cancel: 8, reduce: 9, replace: 10, massCancel: 11 } as const;
const WORDS = { sequence: 3, account: 4, instrument: 5, terms: 6, clientOrderId: 7, order: 8, price: 9, quantity: 10 } as const;
const BUDGET = 11;
const EXPIRES = 12;
const NEW_CLIENT_ORDER_ID = 13;

const SIDES = ["buy", "sell"];
const SIDE_SCOPES = ["any", "buys", "sells"];
const ORDER_TYPES = ["limit", "market"];
const TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "DAY", "GTD"];
const POST_ONLY = ["off", "refuse", "slide"];
const SELF_TRADE = ["allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"];

/** Outcomes by their kind, and reasons to refuse by their code: docs/events.md. */
export const OUTCOMES: Readonly<Record<number, string>> = {
  1: "CommandRefused",
  2: "CommandRepeated",
  9: "OrderAccepted",
  10: "OrderCancelled",
  11: "OrderReduced",
  12: "OrderReplaced",
  13: "OrdersMassCancelled",
};
export const RULES: readonly string[] = [
  "",
  "malformed_field",
  "too_many_sessions",
  "unknown_instrument",
  "already_listed",
  "too_many_instruments",
  "state_transition",
  "unknown_account",
  "account_exists",
  "too_many_accounts",
  "account_status",
  "account_not_empty",
  "too_many_wallets",
  "unknown_order",
  "instrument_state",
  "client_order_id_in_use",
  "crowded_id",
  "market_without_bound",
  "market_must_not_rest",
  "budget_not_allowed",
  "post_only_must_rest",
  "expiry_passed",
  "price_band",
  "min_quantity",
  "max_quantity",
  "account_max_quantity",
  "max_notional",
  "account_max_notional",
  "account_open_orders",
  "too_many_orders",
  "too_many_price_levels",
  "would_take",
  "insufficient_funds",
  "fok_unfillable",
  "supply_bound",
  "rate_not_held",
];

/** One command. `commandId`: sent again with it, it is done once. */
export interface Row {
  commandId: string;
  words: BigInt64Array<ArrayBuffer>;
}

/** Whose command it is, and its id; made by chance when left out. */
export interface Whose {
  account: number;
  command_id?: string;
}

/** An order by the venue's number, or by your client order id. */
export type Target = { order: string } | { client_order_id: string };

/**
 * What became of a row. `order`: that it entered or changed; `rule`: that refused it; `detail`: the number that came with the kind, of
 * CommandRepeated the kind of the first outcome (0: too long ago), of OrdersMassCancelled how many.
 */
export interface Outcome {
  kind: string;
  order: string;
  rule: string;
  detail: bigint;
}

/** The answer to a batch: the block that has it, the index of its first event in the partition, and what became of each row. */
export interface Acknowledged {
  block: bigint;
  firstEvent: bigint;
  outcomes: Outcome[];
}

/** As POST /v1/orders takes it, but for a budget in minor units and an end in nanoseconds. Throws a RangeError off tick or lot. */
export function newOrder(
  instrument: Instrument,
  order: Whose & Omit<NewOrder, "symbol" | "budget" | "expires" | "deadline_ms"> & { budgetMinor?: bigint; expiresNs?: bigint },
): Row {
  const isMarket = (order.order_type ?? (order.price === undefined ? "market" : "limit")) === "market";
  const timeInForce = order.time_in_force ?? (order.expiresNs ? "GTD" : isMarket ? "IOC" : "GTC");
  const price = order.price ?? (isMarket && order.side === "sell" ? instrument.low_price : undefined);
  return row(VERBS.newOrder, order, {
    [WORDS.instrument]: BigInt(instrument.instrument),
    [WORDS.terms]:
      code(SIDES, order.side) |
      (code(ORDER_TYPES, isMarket ? "market" : "limit") << 1n) |
      (code(TIMES_IN_FORCE, timeInForce) << 2n) |
      (code(POST_ONLY, order.post_only ?? "off") << 5n) |
      (code(SELF_TRADE, order.self_trade ?? "cancel_newest") << 7n),
    [WORDS.clientOrderId]: BigInt(order.client_order_id ?? 0),
    [WORDS.price]: ticks(instrument, price),
    [WORDS.quantity]: lots(instrument, order.quantity),
    [BUDGET]: order.budgetMinor ?? 0n,
    [EXPIRES]: order.expiresNs ?? 0n,
  });
}

export function cancel(whose: Whose & Target): Row {
  return row(VERBS.cancel, whose, target(whose));
}

/** `quantity`: how much to take off. */
export function reduce(instrument: Instrument, whose: Whose & Target & { quantity: string }): Row {
  return row(VERBS.reduce, whose, { ...target(whose), [WORDS.quantity]: lots(instrument, whose.quantity) });
}

/** What is left out stays. `quantity`: open quantity. */
export function replace(
  instrument: Instrument,
  whose: Whose & Target & { price?: string; quantity?: string; new_client_order_id?: string },
): Row {
  return row(VERBS.replace, whose, {
    ...target(whose),
    [WORDS.price]: ticks(instrument, whose.price),
    [WORDS.quantity]: lots(instrument, whose.quantity),
    [NEW_CLIENT_ORDER_ID]: BigInt(whose.new_client_order_id ?? 0),
  });
}

/** All orders of an account in the partition: of one instrument, of one side, or all. */
export function massCancel(whose: Whose & { side?: "any" | "buys" | "sells" }, instrument?: Instrument): Row {
  return row(VERBS.massCancel, whose, {
    [WORDS.instrument]: BigInt(instrument?.instrument ?? 0),
    [WORDS.terms]: code(SIDE_SCOPES, whose.side ?? "any"),
  });
}

/** The frame of 1 to 16,384 rows. */
export function encode(rows: readonly Row[]): Uint8Array<ArrayBuffer> {
  if (rows.length < 1 || rows.length > MAX_ROWS) {
    throw new OutcryError(`a batch has 1 to ${MAX_ROWS} rows, not ${rows.length}`);
  }
  const frame = new Uint8Array(HEADER_BYTES + ROW_BYTES * rows.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setUint32(8, rows.length, true);
  rows.forEach(({ words }, at) => {
    words.forEach((word, which) => view.setBigInt64(HEADER_BYTES + ROW_BYTES * at + 8 * which, word, true));
  });
  view.setUint32(12, crc32(crc32(0, frame.subarray(0, 12)), frame.subarray(HEADER_BYTES)), true);
  return frame;
}

/** What an answering frame says. */
export function decode(answer: ArrayBuffer): Acknowledged {
  const view = new DataView(answer);
  const outcomes = Array.from({ length: view.getUint32(8, true) }, (_, at) => {
    const where = ANSWER_BYTES + 16 * at;
    return outcome(view.getUint8(where), view.getBigInt64(where + 8, true));
  });
  return { block: view.getBigInt64(16, true), firstEvent: view.getBigInt64(24, true), outcomes };
}

function outcome(code: number, detail: bigint): Outcome {
  const kind = OUTCOMES[code] ?? `kind ${code}`;
  return {
    kind,
    order: ["OrderAccepted", "OrderCancelled", "OrderReduced", "OrderReplaced"].includes(kind) ? String(detail) : "",
    rule: kind === "CommandRefused" ? (RULES[Number(detail)] ?? `rule ${detail}`) : "",
    detail,
  };
}

function row(verb: number, { account, command_id }: Whose, fields: Record<number, bigint>): Row {
  const commandId = command_id ?? newCommandId();
  const words = new BigInt64Array(ROW_BYTES / 8);
  words[0] = BigInt(verb);
  words[WORDS.sequence] = BigInt(commandId);
  words[WORDS.account] = BigInt(account);
  for (const [word, value] of Object.entries(fields)) {
    words[Number(word)] = value;
  }
  return { commandId, words };
}

function target(named: Target): Record<number, bigint> {
  return "order" in named ? { [WORDS.order]: BigInt(named.order) } : { [WORDS.clientOrderId]: BigInt(named.client_order_id) };
}

function ticks(instrument: Instrument, price: string | undefined): bigint {
  return price === undefined ? 0n : unitsOf(price, instrument.tick_size);
}

function lots(instrument: Instrument, quantity: string | undefined): bigint {
  return quantity === undefined ? 0n : unitsOf(quantity, instrument.lot_size);
}

function code(spellings: readonly string[], spelled: string): bigint {
  const found = spellings.indexOf(spelled);
  if (found < 0) {
    throw new OutcryError(`${JSON.stringify(spelled)} is none of ${spellings.join(", ")}`);
  }
  return BigInt(found);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) {
    rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return rest;
});

/** CRC-32 of what had `before`, and `bytes` after it. */
function crc32(before: number, bytes: Uint8Array): number {
  let rest = ~before;
  for (const byte of bytes) {
    rest = (rest >>> 8) ^ TABLE[(rest ^ byte) & 255]!;
  }
  return ~rest >>> 0;
}
