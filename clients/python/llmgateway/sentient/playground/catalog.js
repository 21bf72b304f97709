// What can be asked, and how its providers are.

import { list, make } from "./dom.js";
import { age, count, price } from "./format.js";

const STATES = {
  active: ["Active", "good"],
  degraded: ["Degraded", "poor"],
  circuit_open: ["Circuit open", "bad"],
  draining: ["Draining", "idle"],
  disabled: ["Disabled", "idle"],
};
const SUPPORTS = {
  tools: "tools",
  images: "images",
  json_schema: "JSON Schema",
  reasoning: "reasoning",
};

async function get(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** The model picker and the card of the model that it shows. */
export class Models {
  #select;
  #card;
  #byName = new Map();

  constructor(select, card) {
    this.#select = select;
    this.#card = card;
    select.addEventListener("change", () => {
      keep(select.value);
      this.#describe();
    });
  }

  /** What `?model=` should say; empty for the gateway's default. */
  get chosen() {
    return this.#select.value;
  }

  async load() {
    try {
      const { models, default: preset } = await get("api/models");
      this.#fill(models, preset ?? "");
    } catch {
      const text = "The list of models is not available; the default route is asked.";
      this.#card.replaceChildren(make("p", { class: "remark" }, text));
    }
  }

  #fill(models, preset) {
    this.#byName = new Map(models.map((model) => [model.name, model]));
    const groups = new Map();
    for (const { name, provider } of models) {
      const group = provider || "Routes";
      groups.set(group, [...(groups.get(group) ?? []), name]);
    }
    const routes = groups.get("Routes") ?? [];
    groups.delete("Routes");
    const options = [["Routes", routes], ...groups].filter(([, names]) => names.length);
    const first = this.#byName.has(preset) ? [] : [make("option", { value: "" }, "Default route")];
    this.#select.replaceChildren(...first, ...options.map(([label, names]) => group(label, names)));
    const wanted = kept();
    this.#select.value = this.#byName.has(wanted) ? wanted : first.length ? "" : preset;
    this.#describe();
  }

  #describe() {
    const model = this.#byName.get(this.chosen);
    this.#card.replaceChildren(model ? card(model) : make("p", {}, "The gateway chooses."));
  }
}

function group(label, names) {
  const options = names.map((name) => make("option", { value: name }, name));
  return make("optgroup", { label }, ...options);
}

function card(model) {
  const { prices = {}, supports = {}, targets = [] } = model;
  const can = Object.keys(SUPPORTS).filter((name) => supports[name]);
  const cost = ["input", "output", "cached_input"].map((kind) => {
    const text = price(prices[`${kind}_nano_usd_per_million`]);
    return [`Price, ${kind.replace("_", " ")}`, text];
  });
  return list("pairs", [
    ["Name", model.display_name],
    ["Provider", model.provider],
    ["Leads to", targets.length ? targets.join("\n") : null],
    ["Context", model.context_window ? `${count(model.context_window)} tokens` : null],
    ["Longest answer", model.max_output ? `${count(model.max_output)} tokens` : null],
    ["Can", can.length ? can.map((name) => SUPPORTS[name]).join(", ") : null],
    ...cost,
  ]);
}

/** The list of providers and the button that sums it up. */
export class Providers {
  #list;
  #summary;

  constructor(listElement, summary) {
    this.#list = listElement;
    this.#summary = summary;
  }

  async load() {
    try {
      const { providers } = await get("api/providers");
      this.#show(providers);
    } catch {
      this.#sum("idle", "Providers unknown");
    }
  }

  #show(providers) {
    this.#list.replaceChildren(...providers.map(row));
    const tones = providers.map((provider) => stateOf(provider.state)[1]);
    const good = tones.filter((tone) => tone === "good").length;
    const tone = good === tones.length ? "good" : good ? "poor" : "bad";
    const noun = providers.length === 1 ? "provider " : "providers ";
    const wide = make("span", { class: "wide" }, noun);
    this.#sum(providers.length ? tone : "idle", `${good} of ${providers.length} `, wide, "active");
  }

  #sum(tone, ...text) {
    this.#summary.replaceChildren(make("span", {}, ...text));
    this.#summary.dataset.tone = tone;
  }
}

function stateOf(state) {
  const name = String(state ?? "").toLowerCase().replace("provider_state_", "");
  return STATES[name] ?? [name || "Unknown", "idle"];
}

function row({ name, dialect, state, state_since: since, in_flight: open }) {
  const [text, tone] = stateOf(state);
  const seconds = (Date.now() - new Date(since).getTime()) / 1000;
  const long = age(seconds);
  const calls = open === 1 ? "1 call" : `${count(open ?? 0)} calls`;
  const more = [dialect, calls].filter(Boolean).join(" · ");
  return make(
    "li",
    {},
    make("span", { class: "name" }, name),
    make("span", { class: "state", "data-tone": tone }, long ? `${text} for ${long}` : text),
    make("span", { class: "more" }, more),
  );
}

function keep(model) {
  try {
    localStorage.setItem("model", model);
  } catch {
    /* storage is shut off: the choice lasts as long as the page */
  }
}

function kept() {
  try {
    return localStorage.getItem("model") ?? "";
  } catch {
    return "";
  }
}
