/** What can go wrong, by what is to be done about it. */

/** A problem document (RFC 9457) as the venue sends it. */
export interface Problem {
  title: string;
  status: number;
  detail?: string;
  type?: string;
  rule?: string;
  /** What the rule allows, and what it saw; beyond 2^53 the last digits are lost. */
  limit?: number | null;
  observed?: number | null;
  /** `none`: the command was not and will not be executed; `unknown`: nobody can say yet. */
  outcome?: string;
  command_id?: string;
}

/** Whatever the venue or this client says no with. */
export class OutcryError extends Error {
  override name = "OutcryError";
}

/** The venue answered with a problem: what was asked is wrong, or not allowed. Asked again it would be again. */
export class Rejected extends OutcryError {
  override name = "Rejected";

  constructor(readonly problem: Problem) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);
  }

  get status(): number {
    return this.problem.status;
  }
}

/** A rule of the market refused a command, and that is on record: which rule, what it allows, what it saw. */
export class Refused extends Rejected {
  override name = "Refused";

  get rule(): string {
    return this.problem.rule ?? "";
  }

  get limit(): number {
    return this.problem.limit ?? 0;
  }

  get observed(): number {
    return this.problem.observed ?? 0;
  }
}

/** Not now: the venue was not reached, or had no room. What was asked was not done, and may be asked again later. */
export class Unavailable extends OutcryError {
  override name = "Unavailable";

  /** `retryAfterMs`: how long the venue asked to wait; 0: it did not say. */
  constructor(
    message: string,
    readonly problem?: Problem,
    readonly retryAfterMs = 0,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Nobody can say whether commands were executed. Sent again with the same command ids they are done once. */
export class OutcomeUnknown extends OutcryError {
  override name = "OutcomeUnknown";

  constructor(
    readonly commandIds: readonly string[],
    options?: ErrorOptions,
  ) {
    const some = commandIds.slice(0, 3).join(", ") + (commandIds.length > 3 ? ", ..." : "");
    super(`whether command ${some} was executed is not known: ask for it, or send the same again with the same command_id`, options);
  }
}

/** A connection ended before the answer came. It stays inside of this package, and becomes one of the others. */
export class Lost extends OutcryError {
  override name = "Lost";
}

/** The error that a problem document is. */
export function errorOf(problem: Problem, retryAfterMs = 0): Rejected | Unavailable {
  if (problem.rule) {
    return new Refused(problem);
  }
  if (problem.status === 429 || problem.status >= 500) {
    return new Unavailable(problem.detail ?? problem.title, problem, retryAfterMs);
  }
  return new Rejected(problem);
}
