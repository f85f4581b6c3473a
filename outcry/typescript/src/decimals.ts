/** Decimals as text, counted exactly. */

const DECIMAL = /^(\d+)(?:\.(\d*))?$/;

/** How many `unit` (a tick, a lot) `text` is. Throws a RangeError off the grid, and for what is no decimal. */
export function unitsOf(text: string, unit: string): bigint {
  const scale = Math.max(digitsAfterPoint(text), digitsAfterPoint(unit));
  const [value, one] = [scaled(text, scale), scaled(unit, scale)];
  if (value % one !== 0n) {
    throw new RangeError(`${text} is not a multiple of ${unit}`);
  }
  return value / one;
}

/** Below 0, 0 or above it, as `left` is less than, equal to or more than `right`. */
export function compare(left: string, right: string): number {
  const scale = Math.max(digitsAfterPoint(left), digitsAfterPoint(right));
  const difference = scaled(left, scale) - scaled(right, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function digitsAfterPoint(text: string): number {
  return text.split(".")[1]?.length ?? 0;
}

function scaled(text: string, scale: number): bigint {
  const [, whole, rest = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined) {
    throw new RangeError(`${JSON.stringify(text)} is no decimal; right would be for example "12.50"`);
  }
  return BigInt(whole + rest.padEnd(scale, "0"));
}
