// What a person can do about a failure, by the gateway's reason, else by the HTTP status.

const BY_REASON = {
  REQUEST_INVALID: "Change the prompt and send it again.",
  REQUEST_TOO_LARGE: "Send less: shorten the prompt or begin a new chat.",
  PROVIDER_REJECTED_REQUEST: "The provider refused the request. Change it or choose another model.",
  CAPABILITY_UNSUPPORTED: "This model cannot do what was asked. Choose another model.",
  CONTEXT_LENGTH_EXCEEDED:
    "The chat no longer fits. Begin a new chat or choose a model with a larger context.",
  CONTENT_BLOCKED: "A content policy blocked the prompt. Change it and send it again.",
  MODEL_NOT_FOUND: "The gateway does not know this model. Choose another one.",
  PROVIDER_RATE_LIMITED: "The provider limits its calls. Wait a little, then try again.",
  TENANT_RATE_LIMITED: "Your rate limit is reached. Wait a little, then try again.",
  PROVIDER_QUOTA_EXHAUSTED:
    "The gateway’s account at the provider is used up. Choose another model or tell the operator.",
  TENANT_BUDGET_EXHAUSTED: "Your budget is spent. Wait for its next period, or ask the operator.",
  GATEWAY_OVERLOADED: "The gateway is busy. Wait a little, then try again.",
  GATEWAY_DRAINING: "The gateway is restarting. Try again in a moment.",
  NO_PROVIDER_AVAILABLE:
    "All providers of this model are resting after failures. Wait, or choose another model.",
  PROVIDER_TIMEOUT: "The provider was too slow. Try again or choose another model.",
  PROVIDER_ERROR: "The provider failed. Try again or choose another model.",
  PROVIDER_OVERLOADED: "The provider is overloaded. Try again or choose another model.",
  PROVIDER_CREDENTIALS_REJECTED: "The provider refused the gateway’s key. Tell its operator.",
  ROUTE_MISCONFIGURED: "This route leads nowhere. Choose another model, and tell the operator.",
  STREAM_INTERRUPTED: "The answer is cut off. Keep what came, or try again for a new answer.",
  READER_TOO_SLOW: "This page read too slowly and was cut off. Try again.",
  DEADLINE_EXCEEDED: "It took too long. Ask for less, or try again.",
  INTERNAL: "This is a bug in the gateway. Report it with the ids below.",
};

const BY_STATUS = {
  0: "Check that the bridge is running and the network is up, then try again.",
  401: "The bridge’s token is missing or wrong. Start it with a valid one.",
  403: "The bridge’s token does not allow this. Ask the gateway’s operator.",
  404: "Nothing answers at this address. Check that the page came from the bridge.",
  413: "Send less: shorten the prompt or begin a new chat.",
  422: "The bridge did not understand the request. Reload the page and try again.",
  429: "Too many requests. Wait a little, then try again.",
  503: "The gateway cannot be reached or is busy. Check that it runs, then try again.",
  504: "It took too long. Ask for less, or try again.",
};

/** One sentence or two on what to do. */
export function advice({ status, reason, retryAfter }) {
  const text = BY_REASON[reason] ?? BY_STATUS[status] ?? "Try again.";
  if (!(retryAfter > 0)) return text;
  return `${text} It should work again in about ${Math.ceil(retryAfter)} s.`;
}

/** What an `error` event says, as {status, reason, message, retryAfter, details}. */
export function eventFailure(content) {
  const details = content.details ?? {};
  return {
    status: content.error_code,
    reason: typeof details.reason === "string" ? details.reason : "",
    message: String(content.error_message ?? "The answer failed."),
    retryAfter: Number(details.retry_after),
    details,
  };
}

/** The same for a response that is no stream: a JSON `detail`, text, or a list of wrong fields. */
export async function httpFailure(response) {
  let detail = "";
  try {
    const body = (await response.text()).slice(0, 20_000);
    detail = body;
    detail = JSON.parse(body).detail ?? body;
  } catch {
    /* a proxy's page, or nothing: the status says what is known */
  }
  if (Array.isArray(detail)) {
    detail = detail.map((each) => `${(each.loc ?? []).join(".")}: ${each.msg}`).join("\n");
  }
  const readable = typeof detail === "string" && detail && !detail.trimStart().startsWith("<");
  const message = readable ? detail.slice(0, 600) : `The server answered with ${response.status}.`;
  const retryAfter = Number(response.headers.get("retry-after"));
  return { status: response.status, reason: "", message, retryAfter, details: {} };
}

/** The same for a connection that failed or ended too early. */
export function cutFailure(begun) {
  const message = begun
    ? "The connection ended before the answer did."
    : "The bridge cannot be reached.";
  return { status: 0, reason: "", message, retryAfter: NaN, details: {} };
}
