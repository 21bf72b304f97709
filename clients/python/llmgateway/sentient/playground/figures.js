// What an answer took: time, speed, tokens, money, and the way it came.

import { folded, list, make } from "./dom.js";
import { UNKNOWN, count, dollars, duration, speed } from "./format.js";

const SHORTEST = 0.05;

/** Measures one answer; the clock is the page's, in milliseconds. */
export class Figures {
  usage = null;
  route = null;
  #start = performance.now();
  #first = null;
  #last = null;
  #letters = 0;
  #thought = 0;

  /** Text came. It is counted in letters until the gateway tells the tokens. */
  count(text, isThought) {
    this.#last = performance.now();
    this.#first ??= this.#last;
    this.#letters += text.length;
    if (isThought) this.#thought += text.length;
  }

  /** A restart made what came void; the first token stays when it was. */
  restart() {
    this.#letters = 0;
  }

  get begun() {
    return this.#first !== null;
  }

  /** Seconds from sending to the first text; while there is none, to now. */
  get firstToken() {
    return ((this.#first ?? performance.now()) - this.#start) / 1000;
  }

  /** Seconds from sending to the latest text. */
  get total() {
    return ((this.#last ?? performance.now()) - this.#start) / 1000;
  }

  /** Tokens of the answer: a guess of four letters each until they are known. */
  get output() {
    if (!this.usage) return { tokens: Math.round(this.#letters / 4), isGuess: true };
    return { tokens: this.usage.output_tokens, isGuess: Boolean(this.usage.is_estimated) };
  }

  /** The tokens that came while text came: hidden reasoning came before it. */
  get #visible() {
    const hidden = this.usage && !this.#thought ? this.usage.reasoning_tokens : 0;
    return this.output.tokens - hidden;
  }

  get speed() {
    const seconds = (this.#last - this.#first) / 1000;
    // What came at one go, as from a cache, has no speed worth a number.
    if (!this.begun || seconds < SHORTEST) return UNKNOWN;
    // The first token came at the beginning of this span, so it is not counted in it.
    const text = speed(this.#visible - 1, seconds);
    return text === UNKNOWN ? text : mark(text, this.output.isGuess);
  }

  get tokens() {
    const { tokens, isGuess } = this.output;
    if (!this.usage) return tokens ? `${mark(count(tokens), isGuess)} out` : UNKNOWN;
    return mark(`${count(this.usage.input_tokens)} in · ${count(tokens)} out`, isGuess);
  }

  get cost() {
    return this.usage ? costText(this.usage) : UNKNOWN;
  }
}

/** The line of figures under an answer. */
export class FiguresLine {
  element = make("dl", { class: "figures" });
  #values = {};

  constructor() {
    for (const name of ["First token", "Speed", "Tokens", "Cost"]) {
      this.#values[name] = make("dd", {}, UNKNOWN);
      this.element.append(make("div", {}, make("dt", {}, name), this.#values[name]));
    }
  }

  /** `ended`: nothing more will come. */
  show(figures, ended) {
    const never = ended && !figures.begun;
    this.#set("First token", never ? UNKNOWN : duration(figures.firstToken));
    this.#set("Speed", figures.speed);
    this.#set("Tokens", figures.tokens);
    this.#set("Cost", figures.cost);
  }

  #set(name, text) {
    const value = this.#values[name];
    if (value.textContent !== text) value.textContent = text;
  }
}

/** All that is known, folded. Empty names are left out. */
export function factsOf(figures) {
  const { usage, route } = figures;
  const pairs = [...(route ? routePairs(route) : []), ...(usage ? usagePairs(usage) : [])];
  if (route) pairs.push(...timePairs(figures, route));
  return folded("facts", summaryOf(route), list("pairs", pairs));
}

function summaryOf(route) {
  if (!route) return "Usage";
  const by = make("span", { class: "route" }, `${route.provider} / ${route.provider_model}`);
  const attempts = route.attempts === 1 ? "1 attempt" : `${count(route.attempts)} attempts`;
  const cache = cacheText(route.cache);
  const rest = cache ? ` · ${attempts} · ${cache.toLowerCase()}` : ` · ${attempts}`;
  return make("span", {}, by, rest);
}

const CACHE = { hit: "Cache hit", miss: "Cache miss", shared: "Shared call", bypass: "Not cached" };

function cacheText(status) {
  return CACHE[status] ?? "";
}

const FINISH = {
  stop: "complete",
  length: "output limit reached",
  tool_calls: "waits for tool results",
  content_filter: "cut by a content filter",
  refusal: "refused",
};

function routePairs(route) {
  const ended = `${route.provider}/${route.provider_model}`;
  return [
    ["Provider", route.provider],
    ["Model", route.provider_model],
    // After a recovery an answer ends elsewhere than it began.
    ["Began with", route.model === ended ? null : route.model],
    ["Attempts", count(route.attempts)],
    ["Cache", cacheText(route.cache)],
    ["End", FINISH[route.finish_reason] ?? route.finish_reason],
    ["Stop sequence", route.stop_sequence],
    ["Response id", route.response_id],
    ["Provider’s request id", route.provider_request_id],
  ];
}

function usagePairs(usage) {
  const input = [
    ["from the provider’s cache", usage.cached_input_tokens],
    ["written to it", usage.cache_write_input_tokens],
  ];
  const output = [["reasoning", usage.reasoning_tokens]];
  return [
    ["Input tokens", withParts(usage.input_tokens, input)],
    ["Output tokens", withParts(usage.output_tokens, output)],
    ["Counted by", usage.is_estimated ? "the gateway’s estimate" : "the provider"],
    ["Cost", costText(usage)],
  ];
}

function timePairs(figures, route) {
  const seconds = (value) => (value === undefined ? null : duration(value));
  return [
    ["First token, gateway", seconds(route.time_to_first_token_seconds)],
    ["First token, this page", figures.begun ? duration(figures.firstToken) : null],
    ["Queued", seconds(route.queue_seconds)],
    ["Whole answer", seconds(route.total_seconds) ?? duration(figures.total)],
  ];
}

function withParts(total, parts) {
  const known = parts.filter(([, tokens]) => tokens > 0);
  const inside = known.map(([name, tokens]) => `${count(tokens)} ${name}`).join(", ");
  return inside ? `${count(total)} (${inside})` : count(total);
}

function costText(usage) {
  return usage.cost_usd === undefined ? "price unknown" : dollars(usage.cost_usd);
}

function mark(text, isGuess) {
  return isGuess ? `≈ ${text}` : text;
}
