// The page: the prompt, the conversation, and what the keys do.

import { cutFailure, httpFailure } from "./advice.js";
import { Turn } from "./answer.js";
import { Models, Providers } from "./catalog.js";
import { list, make } from "./dom.js";
import { count, dollars, duration } from "./format.js";
import { assistBody, readEvents, ulid } from "./sse.js";

const PROVIDERS_EVERY_MS = 10_000;
const FIGURES_EVERY_MS = 200;

const byId = (id) => document.getElementById(id);
const root = document.documentElement;
const prompt = byId("prompt");
const send = byId("send");
const conversation = byId("conversation");
const models = new Models(byId("model"), byId("model-card"));
const providers = new Providers(byId("providers"), byId("health"));

let chat = newChat();

function newChat() {
  return { activity: ulid(), turns: [], begun: 0, open: null };
}

/** Tells it to who cannot see it; a few sentences an answer, never its text. */
function announce(text) {
  byId("status").textContent = text;
}

async function ask(text) {
  const turn = new Turn((chat.begun += 1), text, models.chosen);
  const open = { turn, abort: new AbortController(), chat };
  chat.open = open;
  document.body.classList.add("chatting");
  conversation.append(turn.element);
  showSending(true);
  announce("Sent. Waiting for the first token.");
  const stopPainting = paint(turn);
  const state = await stream(open);
  stopPainting();
  turn.end(state, retryButton(open));
  followEnd();
  if (open.chat !== chat) return; // a new chat began meanwhile
  chat.turns.push(turn);
  chat.open = null;
  showSending(false);
  announce(ending(turn));
  showTotals();
  providers.load();
}

/** Shows what comes, once a frame, and its figures a few times a second; returns what ends that. */
function paint(turn) {
  let frame = 0;
  const step = () => {
    turn.paint();
    followEnd();
    frame = requestAnimationFrame(step);
  };
  const figures = setInterval(() => turn.paintFigures(), FIGURES_EVERY_MS);
  isAtEnd = true;
  step();
  return () => {
    cancelAnimationFrame(frame);
    clearInterval(figures);
  };
}

/** Keeps the end of the page in view, unless the reader scrolled up. */
function followEnd() {
  if (isAtEnd) scrollTo({ top: root.scrollHeight });
}

let isAtEnd = true;
let lastTop = 0;
document.addEventListener(
  "scroll",
  () => {
    const { scrollHeight, clientHeight, scrollTop } = root;
    // The page also grows under a reader who stays at its end: only going up is leaving.
    if (scrollHeight - clientHeight - scrollTop < 64) isAtEnd = true;
    else if (scrollTop < lastTop) isAtEnd = false;
    lastTop = scrollTop;
  },
  { passive: true },
);

/** Reads one answer to its end; returns how it ended. */
async function stream({ turn, abort, chat: { turns, activity } }) {
  const before = turns.filter(({ texts }) => texts.length);
  const model = models.chosen;
  try {
    const response = await fetch(`assist${model ? `?model=${encodeURIComponent(model)}` : ""}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(assistBody(turn.prompt, before, activity)),
      signal: abort.signal,
    });
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !type.startsWith("text/event-stream")) {
      turn.failure = await httpFailure(response);
      return "failed";
    }
    return await read(turn, response.body);
  } catch (error) {
    if (abort.signal.aborted) return "stopped";
    if (!(error instanceof TypeError)) console.error(error);
    turn.failure ??= cutFailure(turn.figures.begun);
    return "failed";
  }
}

async function read(turn, body) {
  for await (const event of readEvents(body)) {
    const wasWaiting = turn.state === "waiting";
    turn.take(event);
    if (wasWaiting && turn.state === "writing") {
      announce("The answer begins.");
    }
    if (event.content_type === "atomic.done") return turn.failure ? "failed" : "done";
  }
  turn.failure ??= cutFailure(true);
  return "failed";
}

function ending({ state, failure, figures }) {
  if (state === "stopped") return "Stopped.";
  if (state === "failed") return `The answer failed: ${failure.message}`;
  const tokens = figures.usage ? `${count(figures.usage.output_tokens)} tokens in ` : "";
  return `The answer is complete: ${tokens}${duration(figures.total)}.`;
}

function retryButton({ turn, chat: owner }) {
  const button = make("button", { type: "button", class: "quiet" }, "Try again");
  button.addEventListener("click", () => {
    if (owner !== chat || chat.open) return;
    chat.turns = chat.turns.filter((other) => other !== turn);
    turn.element.remove();
    prompt.focus({ preventScroll: true });
    ask(turn.prompt);
  });
  return button;
}

function stop() {
  chat.open?.abort.abort();
}

function submit() {
  const text = prompt.value;
  if (chat.open) return announce("Still answering. Escape stops it.");
  if (!text.trim()) return prompt.focus();
  prompt.value = "";
  return ask(text);
}

function showSending(isSending) {
  send.textContent = isSending ? "Stop" : "Send";
  send.classList.toggle("stop", isSending);
}

function showTotals() {
  const used = chat.turns.map((turn) => turn.figures.usage).filter(Boolean);
  const sum = (name) => used.reduce((total, usage) => total + (usage[name] ?? 0), 0);
  const priced = used.filter((usage) => usage.cost_usd !== undefined);
  const cost = priced.length ? dollars(sum("cost_usd")) : null;
  byId("totals").replaceChildren(
    list("pairs", [
      ["Answers", count(chat.turns.length)],
      ["Input tokens", count(sum("input_tokens"))],
      ["Output tokens", count(sum("output_tokens"))],
      ["Cost", priced.length === used.length ? cost : cost && `at least ${cost}`],
    ]),
  );
}

function restart() {
  stop();
  chat = newChat();
  conversation.replaceChildren();
  byId("totals").replaceChildren(make("p", {}, "Nothing asked yet."));
  document.body.classList.remove("chatting");
  showSending(false);
  announce("A new chat.");
  prompt.focus();
}

prompt.addEventListener("keydown", (event) => {
  // An input method's Enter ends a word, not the prompt.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
byId("composer").addEventListener("submit", (event) => event.preventDefault());
send.addEventListener("click", (event) => {
  if (!chat.open) submit();
  else if (event.detail < 2) stop(); // the second half of a double click means nothing
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) stop();
});
byId("new").addEventListener("click", restart);
for (const example of document.querySelectorAll("#examples button")) {
  example.addEventListener("click", () => {
    prompt.value = example.textContent;
    prompt.focus();
  });
}

const isWide = matchMedia("(min-width: 64rem)");
const rail = byId("rail");
const railButton = byId("rail-button");
function showRail(isOpen) {
  rail.hidden = !isOpen;
  railButton.setAttribute("aria-expanded", String(isOpen));
}
let scrolled = 0;
railButton.addEventListener("click", () => {
  if (rail.hidden) scrolled = scrollY;
  showRail(rail.hidden);
  // Where there is no room beside the chat it is above it.
  if (!isWide.matches) scrollTo({ top: rail.hidden ? scrolled : 0 });
});
showRail(isWide.matches);

setInterval(() => document.hidden || providers.load(), PROVIDERS_EVERY_MS);
models.load();
providers.load();
// On a phone it would open the keyboard over the page.
if (!matchMedia("(pointer: coarse)").matches) prompt.focus({ preventScroll: true });
