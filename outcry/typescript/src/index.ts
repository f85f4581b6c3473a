/** A client of the Outcry exchange. Where to begin: README.md. */

export * as batch from "./batch.js";
export { LiveBook } from "./book.js";
export { Client, type AtLeast, type Funds, type KeyFile, type Options, type Paging } from "./client.js";
export type { Login, Socket, SocketConstructor } from "./connection.js";
export { OutcomeUnknown, OutcryError, Refused, Rejected, Unavailable, type Problem } from "./errors.js";
export type { Retries } from "./patience.js";
export { Session, type Aim } from "./session.js";
export type * from "./shapes.js";
export type { Credentials } from "./signing.js";
export type { Position, Subscription } from "./streams.js";
