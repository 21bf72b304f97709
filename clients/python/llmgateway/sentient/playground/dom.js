// Elements are made here and nowhere else: text goes in as text, so nothing that a model or a
// server writes can become markup.

/** A new element. Attributes that are null or false are left out; children are nodes or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** A description list of [term, description] pairs; pairs without a description are left out. */
export function list(name, pairs) {
  const known = pairs.filter(([, text]) => text !== null && text !== undefined && text !== "");
  const rows = known.map(([term, text]) =>
    make("div", {}, make("dt", {}, term), make("dd", {}, text)),
  );
  return make("dl", { class: name }, ...rows);
}

/** A folded part with a summary that opens it. */
export function folded(name, summary, ...children) {
  return make("details", { class: name }, make("summary", {}, summary), ...children);
}
