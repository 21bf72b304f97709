// Numbers as people read them. Unknown is a dash, never a zero.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const UNKNOWN = "–";

/** 12345 as "12,345". */
export function count(value) {
  return Number.isFinite(value) ? whole.format(value) : UNKNOWN;
}

/** Seconds as "212 ms", "1.42 s", "12.4 s" or "2 min 5 s". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  return `${minutes} min ${Math.round(seconds) - minutes * 60} s`;
}

/** How long ago, coarsely: "3 min", "5 h", "2 days". */
export function age(seconds) {
  if (!(seconds >= 0)) return "";
  if (seconds < 60) return "less than a minute";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** US dollars with enough digits to tell small sums apart. */
export function dollars(value) {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return "free";
  if (value < 0.0000005) return "< $0.000001";
  const digits = value < 0.01 ? 6 : value < 1 ? 4 : 2;
  return `$${value.toFixed(digits)}`;
}

const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 });

/** The price of 10^6 tokens, given in 10^-9 dollars: "$0.15 per million", "free"; null: unknown. */
export function price(nanoUsd) {
  if (nanoUsd === undefined || nanoUsd === null) return null;
  return nanoUsd === 0 ? "free" : `$${money.format(nanoUsd / 1e9)} per million`;
}

/** Tokens a second: "84 tok/s", "6.2 tok/s". */
export function speed(tokens, seconds) {
  if (!(tokens > 0) || !(seconds > 0)) return UNKNOWN;
  const value = tokens / seconds;
  return `${value < 10 ? value.toFixed(1) : whole.format(value)} tok/s`;
}
