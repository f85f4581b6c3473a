/**
 * What goes over the wire, called as it is there. Decimals and 64-bit numbers are text: nothing is lost in a double.
 * The venue may add fields; who reads passes over what it does not know.
 */

export type Side = "buy" | "sell";
export type Interval = "1s" | "1m" | "5m" | "1h" | "1d";

/** The block that an answer is as of. */
export interface AsOf {
  partition: number;
  seq: number;
  time: string;
  level: string;
  behind: number;
}

export interface Instrument {
  symbol: string;
  state: string;
  partition: number;
  instrument: number;
  base_asset: string;
  quote_asset: string;
  tick_size: string;
  lot_size: string;
  low_price: string;
  high_price: string;
  max_quantity: string;
  maker_rate: string;
  taker_rate: string;
}

export interface PriceLevel {
  price: string;
  quantity: string;
  orders: number;
}

/** Price levels, best first. */
export interface Book {
  symbol: string;
  bids: PriceLevel[];
  asks: PriceLevel[];
  as_of: AsOf;
}

/** `side` is the taker's. */
export interface Trade {
  number: string;
  time: string;
  price: string;
  quantity: string;
  side: Side;
}

export interface Bar {
  start: string;
  open: string;
  high: string;
  low: string;
  close: string;
  vwap: string;
  volume: string;
  turnover: string;
  trades: number;
}

export interface Order {
  order: string;
  account: number;
  symbol: string;
  side: Side;
  order_type: string;
  time_in_force: string;
  client_order_id: string;
  price: string;
  quantity: string;
  open_quantity: string;
  filled_quantity: string;
  average_price: string;
  fees: string;
  accepted: string;
  changed: string;
  status: string;
  reason: string;
}

/** One side of a trade. */
export interface Execution {
  number: string;
  time: string;
  order: string;
  symbol: string;
  side: Side;
  liquidity: "maker" | "taker";
  price: string;
  quantity: string;
  fee: string;
}

export interface Balance {
  asset: string;
  available: string;
  held: string;
}

/** A movement of an account; `total` is what is there after it. */
export interface Line {
  number: string;
  time: string;
  kind: string;
  asset: string;
  amount: string;
  fee: string;
  total: string;
}

export interface Fill {
  number: string;
  price: string;
  quantity: string;
  fee: string;
  maker_order: string;
}

/**
 * A command on record. `status` is `repeated` when it was on record already, of which `fills`, `resting` and `removed` say nothing;
 * `order` is what it entered or changed, or empty; `resting` tells whether (the rest of) it is in the book now.
 */
export interface Done {
  command_id: string;
  verb: string;
  status: "accepted" | "repeated";
  order: string;
  resting: boolean;
  fills: Fill[];
  removed: string;
  partition: number;
  seq: number;
  event: string;
  durability: string;
}

/** A rule of yours fired: docs/alerts.md. `name` is for ever the same. */
export interface Alert {
  name: string;
  number: string;
  time: string;
  rule: number;
  kind: string;
  tells: string;
  level: string;
  value: string;
  text: string;
  fills: number;
  lots: number;
}

/** What became of a command: `open` waits for the record; `unknown` is not known to the gateway that was asked. */
export interface Command {
  command_id: string;
  account: number;
  status: "accepted" | "refused" | "open" | "unknown";
  detail: string;
  as_of: AsOf[];
  verb: string;
  order: string;
  rule: string;
  limit: number | null;
  observed: number | null;
  time: string;
  partition: number | null;
  seq: number | null;
  event: string;
}

/** Newest first. `next` is the `cursor` of the page after; empty: there is none. */
export interface Page {
  as_of: AsOf[];
  next: string;
}

export type Orders = Page & { orders: Order[] };
export type Executions = Page & { executions: Execution[] };
export type Statement = Page & { account: number; lines: Line[] };

export interface Balances {
  account: number;
  partitions: { balances: Balance[]; as_of: AsOf }[];
}

export interface Me {
  user: string;
  key: string;
  scopes: string[];
  accounts: { account: number; name: string; status: string }[];
}

/** What every command may have. */
export interface Asked {
  /** Yours; may be left out by who has one. */
  account?: number;
  /** Sent again with it, nothing is done twice. Made by the client when left out. */
  command_id?: string;
  /** Not executed later than so many milliseconds from now, however often it is tried. */
  deadline_ms?: number;
}

/** Without a price it is a market order: a buy then needs a budget. */
export interface NewOrder extends Asked {
  symbol: string;
  side: Side;
  quantity: string;
  price?: string;
  order_type?: "limit" | "market";
  time_in_force?: "GTC" | "IOC" | "FOK" | "DAY" | "GTD";
  post_only?: "off" | "refuse" | "slide";
  self_trade?: "allow" | "cancel_newest" | "cancel_oldest" | "cancel_both" | "decrement";
  budget?: string;
  expires?: string;
  client_order_id?: string;
}

/** What is left out stays. */
export interface Replacement {
  price?: string;
  /** Open quantity. */
  quantity?: string;
  new_client_order_id?: string;
}

/** Price, quantity, orders. */
export type LevelTuple = [price: string, quantity: string, orders: number];
/** Number, side, price, open quantity (0: it is gone), and why. */
export type OrderTuple = [order: string, side: Side, price: string, open_quantity: string, why: string];

interface Push<C extends string> {
  channel: C;
  type: "snapshot" | "update";
  symbol: string;
  partition: number;
  /** Block that it is as of. */
  seq: number;
  /** `seq` of the message before it of this channel and symbol. */
  previous: number;
  event: string;
}

export interface Pushes {
  level1: Push<"level1"> & { bid: LevelTuple; ask: LevelTuple };
  level2: Push<"level2"> & { bids: LevelTuple[]; asks: LevelTuple[] };
  level3: Push<"level3"> & { orders: OrderTuple[] };
  trades: Push<"trades"> & { trades: Trade[] };
  bars: Push<"bars"> & { interval: Interval; bars: Bar[] };
  ticker: Push<"ticker"> & { day: Bar | null };
  status: Push<"status"> & { state: string };
  alerts: Push<"alerts"> & { account: number; alerts: Alert[] };
  user: Push<"user"> & { account: number; orders: Order[]; executions: Execution[]; balances: Balance[]; more?: boolean };
}

export type Channel = keyof Pushes;

/** What lies between two blocks cannot be sent again: ask REST with `at_least` that `seq`. */
export interface Gap {
  type: "gap";
  channel: Channel;
  symbol: string;
  account: number;
  partition: number;
  after: number;
  seq: number;
}

/** Who a connection belongs to. */
export interface Welcome {
  type: "welcome";
  id: string;
  user: string;
  scopes: string[];
  accounts: number[];
  /** Number for rows of batches whose sequence rises; 0: none. */
  session: string;
  /** To which batches go. */
  partition: number;
}
