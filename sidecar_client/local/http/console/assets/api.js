// Requests to the sidecar, and what is told when one fails.

export class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const AWAY = "The sidecar does not answer. Is it still running?";

/** What a GET answers; parameters that are empty are left out. */
export function get(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return request(query ? `${path}?${query}` : path, { signal });
}

export const post = (path, body = {}) =>
  request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const remove = (path) => request(path, { method: "DELETE" });

/** The path of a customer's part; ids may have any character. */
export const ofCustomer = (id, ...parts) =>
  ["/local/customers", id, ...parts].map((part, at) => (at ? encodeURIComponent(part) : part)).join("/");

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(AWAY);
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(told.message ?? `The sidecar answered ${answer.status}.`, answer.status);
  return told;
}
