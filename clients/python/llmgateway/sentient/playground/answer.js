// One question and its answer: events in, elements out.

import { advice, eventFailure } from "./advice.js";
import { folded, list, make } from "./dom.js";
import { Figures, FiguresLine, factsOf } from "./figures.js";
import { Prose } from "./prose.js";

const CUT = {
  length: "Cut off: the model’s output limit was reached.",
  content_filter: "Cut off by a content filter.",
  refusal: "The model refused to answer.",
  tool_calls: "The model waits for the results of its tool calls.",
};
// Of an error's details, what is told elsewhere.
const SAID = new Set(["reason", "partial", "retry_after"]);
const QUIET = new Set(["USAGE", "ROUTE", "TOOL_CALL", "RESTARTED"]);

/** One stream of text: the answer's own, or what the model thinks, folded. */
class Stream {
  text = "";
  fresh = false;
  isOpen = true;
  #begun = performance.now();
  #words = make("div", { class: "prose live" });

  constructor(name) {
    this.isThought = name === "REASONING";
    this.prose = new Prose(this.#words);
    this.element = this.isThought ? folded("thought", "Thinking …", this.#words) : this.#words;
  }

  /** Says in the fold's summary what goes on and for how long. */
  label(text) {
    const seconds = Math.round((performance.now() - this.#begun) / 1000);
    this.element.firstChild.textContent = seconds ? `${text} ${seconds} s` : text;
  }

  /** Nothing more will come. */
  settle() {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#words.classList.remove("live");
    if (this.isThought) this.label("Reasoning");
  }
}

/** A turn of the conversation. `state`: waiting, writing, done, stopped or failed. */
export class Turn {
  element = make("article", { class: "turn", "aria-busy": "true" });
  figures = new Figures();
  state = "waiting";
  failure = null;
  #streams = new Map();
  #body = make("div", { class: "answer" });
  #foot = make("div", { class: "foot" });
  #line = new FiguresLine();
  #by;

  constructor(number, prompt, model) {
    this.prompt = prompt;
    this.#by = make("h3", { class: "by" }, model || "Default route");
    const heading = make("h2", { class: "by", id: `turn-${number}` }, "You");
    this.element.setAttribute("aria-labelledby", heading.id);
    const question = make("div", { class: "question" }, heading, make("p", {}, prompt));
    this.#foot.append(this.#line.element);
    this.element.append(question, this.#by, this.#body, this.#foot);
    this.#body.append(make("p", { class: "waiting" }, "Waiting for the first token"));
  }

  /** The answer's texts, without what was thought and what a restart made void. */
  get texts() {
    const kept = [...this.#streams.values()].filter((stream) => !stream.isThought);
    return kept.map((stream) => stream.text).filter((text) => text.trim());
  }

  get ended() {
    return this.state !== "waiting" && this.state !== "writing";
  }

  /** Takes one event; the page shows its text with the next `paint`. */
  take(event) {
    const { content_type: type, event_name: name, content } = event;
    if (type === "chunked.text") this.#chunk(event);
    else if (type === "atomic.error") this.failure = eventFailure(content);
    else if (type === "atomic.textblock") this.#note(name, make("p", {}, content));
    else if (type === "atomic.json") this.#document(name, content);
  }

  /** Shows the text that came since the last time. */
  paint() {
    for (const stream of this.#streams.values()) {
      if (!stream.fresh) continue;
      stream.fresh = false;
      stream.prose.show(stream.text);
    }
  }

  /** Shows the figures of now. */
  paintFigures() {
    this.#line.show(this.figures, this.ended);
    for (const stream of this.#streams.values()) {
      if (stream.isThought && stream.isOpen) stream.label("Thinking …");
    }
  }

  /** The end, for whatever reason; `retry` is a button for the unhappy ones. */
  end(state, retry) {
    this.state = state;
    this.element.setAttribute("aria-busy", "false");
    this.element.dataset.state = state;
    this.#body.querySelector(".waiting")?.remove();
    for (const stream of this.#streams.values()) stream.settle();
    this.paint();
    this.paintFigures();
    const { route, usage } = this.figures;
    const cut = CUT[route?.finish_reason];
    if (state === "done" && cut) this.#foot.before(make("p", { class: "remark" }, cut));
    if (state === "done" && !this.#body.childElementCount) {
      this.#body.append(make("p", { class: "remark" }, "The answer is empty."));
    }
    if (state === "stopped") this.#foot.before(stopped(retry));
    if (state === "failed") this.#foot.before(failed(this.failure, retry));
    if (route || usage) this.#foot.append(factsOf(this.figures));
    else if (!this.figures.begun) this.#line.element.remove();
  }

  #chunk(event) {
    const stream = this.#streams.get(event.stream_id) ?? this.#begin(event);
    if (event.is_complete) {
      // The last chunk's one space is the wire's, not the answer's.
      if (event.content !== " ") stream.text += event.content;
      stream.fresh = true;
      stream.settle();
      return;
    }
    stream.text += event.content;
    stream.fresh = true;
    this.figures.count(event.content, stream.isThought);
  }

  #begin(event) {
    this.state = "writing";
    this.#body.querySelector(".waiting")?.remove();
    const stream = new Stream(event.event_name);
    this.#body.append(stream.element);
    this.#streams.set(event.stream_id, stream);
    const model = event.metadata?.model;
    if (typeof model === "string" && model) this.#by.textContent = model;
    return stream;
  }

  #document(name, content) {
    if (name === "USAGE") this.figures.usage = content;
    if (name === "ROUTE") this.figures.route = content;
    if (name === "RESTARTED") this.#restart(content);
    if (name === "TOOL_CALL") this.#body.append(toolCall(content));
    if (!QUIET.has(name)) this.#body.append(folded("note", name, json(content)));
  }

  #restart({ void_stream_ids: ids = [], failed_provider: failed, provider }) {
    for (const id of ids) {
      this.#streams.get(id)?.element.remove();
      this.#streams.delete(id);
    }
    this.figures.restart();
    const what = `${failed || "The provider"} failed midway`;
    const next = `${provider || "another one"} starts again`;
    this.#body.append(make("p", { class: "remark" }, `${what}; ${next}.`));
  }

  #note(name, ...children) {
    this.#body.querySelector(".waiting")?.remove();
    const label = make("p", { class: "by" }, name);
    this.#body.append(make("div", { class: "note" }, label, ...children));
  }
}

function toolCall({ name, tool_call_id: id, arguments_json: text }) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    /* a model wrote it, and may have erred: shown as it is */
  }
  const content = value === null ? code(`${name}: not valid JSON`, text) : json(value, name);
  const head = make("p", { class: "by" }, "Tool call ", make("code", {}, name));
  const element = make("div", { class: "note tool" }, head, content);
  if (id) element.append(make("p", { class: "id" }, id));
  return element;
}

function json(value, label = "JSON") {
  return code(label, JSON.stringify(value, null, 2));
}

function code(label, text) {
  const attributes = { tabindex: 0, role: "region", "aria-label": label };
  return make("pre", attributes, make("code", {}, text));
}

function stopped(retry) {
  return make("div", { class: "remark ask" }, make("p", {}, "Stopped."), retry);
}

function failed(failure, retry) {
  const { status, reason, message, details } = failure;
  const title = make("h4", {}, "The answer failed");
  const code = [status ? `${status}` : "", reason].filter(Boolean).join(" · ");
  if (code) title.append(make("span", { class: "code-name" }, code));
  const box = make("div", { class: "failure" }, title, make("p", {}, message));
  box.append(make("p", { class: "advice" }, advice(failure)));
  const pairs = Object.entries(details).filter(([name]) => !SAID.has(name));
  if (pairs.length) {
    const rows = pairs.map(([name, value]) => [plain(name), [value].flat().join("\n")]);
    box.append(folded("facts", "Details", list("pairs", rows)));
  }
  box.append(retry);
  return box;
}

function plain(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
