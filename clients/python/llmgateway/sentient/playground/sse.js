// The bridge's wire: the body of POST /assist, and its answer as events.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The source that all events name, and the sender of this page's requests. */
export const PROCESSOR = "llmgateway-playground";

/** A new ULID: ten characters of time, sixteen of chance, upper case. */
export function ulid(now = Date.now()) {
  let time = "";
  for (let rest = now, at = 0; at < 10; at += 1, rest = Math.floor(rest / 32)) {
    time = ALPHABET[rest % 32] + time;
  }
  const chance = crypto.getRandomValues(new Uint8Array(16));
  return time + Array.from(chance, (byte) => ALPHABET[byte & 31]).join("");
}

/** The events in a response's body. Comments, and blocks that are no JSON, are skipped. */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the end may be the first half of a line end.
      const held = !done && rest.endsWith("\r") ? 1 : 0;
      const text = rest.slice(0, rest.length - held).replace(/\r\n?/g, "\n");
      const blocks = text.split("\n\n");
      rest = blocks.pop() + rest.slice(rest.length - held);
      if (done) blocks.push(rest);
      yield* blocks.map(parseBlock).filter((event) => event !== null);
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // left early: the connection is of no more use
  }
}

function parseBlock(block) {
  const data = block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(line[5] === " " ? 6 : 5));
  if (!data.length) return null;
  try {
    const event = JSON.parse(data.join("\n"));
    return event && typeof event.content_type === "string" ? event : null;
  } catch {
    return null;
  }
}

/**
 * The body of a request. `turns` are the {prompt, texts} before it, `activity` the chat's ULID.
 * An answer goes back as one text block for each of its texts.
 */
export function assistBody(prompt, turns, activity) {
  return {
    query: { id: ulid(), prompt },
    session: {
      processor_id: PROCESSOR,
      activity_id: activity,
      request_id: ulid(),
      interactions: turns.map((turn) => interaction(turn, activity)),
    },
  };
}

function interaction({ prompt, texts }, activity) {
  const content = { capability: "assist", request_payload: { parts: [{ prompt }] } };
  return {
    request: { sender: PROCESSOR, event: { id: ulid(), chatId: activity, content } },
    responses: texts.map((text) => ({ event: textBlock(text) })),
  };
}

function textBlock(text) {
  return {
    content_type: "atomic.textblock",
    event_name: "FINAL_RESPONSE",
    schema_version: "1.0",
    id: ulid(),
    source: PROCESSOR,
    metadata: null,
    content: text,
  };
}
