// A model's text as paragraphs, headings, lists, quotes and code, while it is still growing. Only a
// small part of Markdown is known; the rest stands as it was written. All of it goes in as text.

import { make } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?(.*)$/;
// Spans are bounded, so that a text full of unclosed marks costs no more than any other.
const CODE = /(`+)([^`](?:.{0,2000}?[^`])??)\1(?!`)/;
const STRONG = /\*\*(?=\S)(.{0,1000}?\S)\*\*/;
const EMPHASIS = /(?<![\w*])\*(?=[^\s*])([^*]{0,500}?[^\s*])\*(?![\w*])/;
const SPAN = new RegExp([CODE, STRONG, EMPHASIS].map((each) => each.source).join("|"), "gs");

/** Shows a growing text inside of an element. What is complete is not touched again. */
export class Prose {
  #parent;
  #settled = 0;
  #open = [];

  constructor(parent) {
    this.#parent = parent;
  }

  /** Shows `text`, which begins with all that was shown before. */
  show(text) {
    const blocks = split(text, this.#settled);
    const before = this.#open;
    const shown = blocks.map((block, at) => {
      const end = blocks[at + 1]?.start ?? text.length;
      return redraw(before[at], block, text.slice(block.start, end));
    });
    for (const { element } of before) {
      if (!shown.some((each) => each.element === element)) element.remove();
    }
    for (const { element } of shown) {
      if (!element.parentNode) this.#parent.append(element);
    }
    // A block that begins with the line that is still being written may yet turn out to be another
    // one, or none: then the block before it goes on.
    const lineStart = text.lastIndexOf("\n") + 1;
    const sure = blocks.length > 1 && blocks.at(-1).start >= lineStart ? 2 : 1;
    this.#open = shown.slice(-sure);
    this.#settled = blocks.at(-sure)?.start ?? this.#settled;
  }
}

/** The element for a block: the one before it, if that shows the same or can be added to. */
function redraw(before, block, source) {
  if (before?.source === source) return before;
  if (before && grow(before, block)) return { ...before, block, source };
  return { block, source, element: render(block) };
}

/** The blocks from an offset on, each {kind, start, lines}. */
function split(text, from) {
  const blocks = [];
  let at = from;
  let block = null;
  for (const line of text.slice(from).split("\n")) {
    block = next(blocks, block, line, at);
    at += line.length + 1;
  }
  return blocks;
}

/** Adds a line to the block before it or begins another; returns the block that lines now go to. */
function next(blocks, block, line, start) {
  if (block?.kind === "code") {
    const closing = FENCE.exec(line);
    const closes = closing && closing[1].startsWith(block.fence) && !closing[2].trim();
    if (closes) return null;
    block.lines.push(line);
    return block;
  }
  const begin = (kind, more) => {
    const begun = { kind, start, lines: [], ...more };
    blocks.push(begun);
    return begun;
  };
  const fence = FENCE.exec(line);
  if (fence) return begin("code", { fence: fence[1], language: fence[2].trim().split(/\s/)[0] });
  if (!line.trim()) {
    if (block?.kind !== "list") return null;
    block.gap = true;
    return block;
  }
  if (RULE.test(line)) {
    begin("rule");
    return null;
  }
  const heading = HEADING.exec(line);
  if (heading) {
    begin("heading", { level: heading[1].length }).lines.push(heading[2]);
    return null;
  }
  return textLine(block, line, begin);
}

function textLine(block, line, begin) {
  const item = ITEM.exec(line);
  if (item) {
    const list = block?.kind === "list" ? block : begin("list", { items: [] });
    list.items.push({ indent: item[1].length, mark: item[2], text: item[3] });
    list.gap = false;
    return list;
  }
  if (block?.kind === "list" && (!block.gap || /^\s{2,}/.test(line))) {
    const last = block.items.at(-1);
    last.text += `\n${line.trim()}`;
    block.gap = false;
    return block;
  }
  const quote = QUOTE.exec(line);
  const kind = quote ? "quote" : "paragraph";
  const same = block?.kind === kind ? block : begin(kind);
  same.lines.push(quote ? quote[1] : line);
  return same;
}

/** Code only gets longer: its element stays, and with it what the reader selected or scrolled. */
function grow({ block: before, element }, block) {
  const isSame = before.start === block.start && before.language === block.language;
  if (!isSame || before.kind !== "code" || block.kind !== "code") return false;
  const code = element.querySelector("code");
  const text = block.lines.join("\n");
  const shown = code.textContent;
  if (text.startsWith(shown)) code.append(text.slice(shown.length));
  else code.textContent = text;
  code.normalize();
  return true;
}

function render(block) {
  switch (block.kind) {
    case "code":
      return codeBlock(block);
    case "heading":
      // The page's own headings are above those of an answer.
      return make(`h${Math.min(block.level + 3, 6)}`, {}, ...spans(block.lines[0]));
    case "rule":
      return make("hr");
    case "list":
      return nest(block.items);
    case "quote":
      return make("blockquote", {}, make("p", {}, ...spans(block.lines.join("\n"))));
    default:
      return make("p", {}, ...spans(block.lines.join("\n")));
  }
}

function codeBlock({ lines, language }) {
  const label = language || "code";
  // Long lines scroll inside of it, so it must be reachable by keyboard.
  const scroller = make("pre", { tabindex: 0, role: "region", "aria-label": `Code: ${label}` });
  scroller.append(make("code", {}, lines.join("\n")));
  return make("figure", { class: "code" }, make("figcaption", {}, label), scroller);
}

/** Items as nested lists: one that is indented further belongs to the one above it. */
function nest(items) {
  const levels = [];
  for (const { indent, mark, text } of items) {
    while (levels.length > 1 && indent < levels.at(-1).indent) levels.pop();
    if (!levels.length || indent >= levels.at(-1).indent + 2) {
      const number = Number.parseInt(mark, 10);
      const tag = Number.isNaN(number) ? "ul" : "ol";
      const list = make(tag, { start: number > 1 ? number : null });
      if (levels.length) levels.at(-1).list.lastElementChild.append(list);
      levels.push({ indent, list });
    }
    levels.at(-1).list.append(make("li", {}, ...spans(text)));
  }
  return levels[0].list;
}

/** Text with its inline code and emphasis. */
function spans(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(SPAN)) {
    nodes.push(text.slice(at, match.index));
    const [whole, , code, strong, emphasis] = match;
    if (code !== undefined) nodes.push(make("code", {}, code));
    else if (strong !== undefined) nodes.push(make("strong", {}, ...spans(strong)));
    else nodes.push(make("em", {}, emphasis));
    at = match.index + whole.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
