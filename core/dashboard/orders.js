// Orders to Tidegate. The key goes with each: it shows that this page asks, and not another one in this browser.

const KEPT = "tidegate-key";

/** Why an order was not obeyed, in words for the person. */
export class Refusal extends Error {
  constructor(title, hint) {
    super([title, hint].filter(Boolean).join(". "));
    this.hint = hint;
  }
}

/** Keep the key that came with the one-time link while this tab lives, and take the spent link off the address bar. */
export function enter() {
  const brought = document.querySelector('meta[name="tidegate-key"]');
  if (!brought) return;
  sessionStorage.setItem(KEPT, brought.content);
  brought.remove();
  history.replaceState(null, "", `/-/${location.hash}`);
}

/** A request with the key. It stays in CORS mode: in the others browsers hide the origin that Tidegate checks. */
export function ask(path, options = {}) {
  return fetch(path, { ...options, headers: { "x-tidegate-page": sessionStorage.getItem(KEPT) ?? "" } });
}

/** Give an order. Returns its answer; throws a Refusal. */
export async function order(name, given = {}) {
  let answer;
  try {
    answer = await ask(`/-/commands/${name}`, { method: "POST", body: JSON.stringify(given) });
  } catch {
    throw new Refusal("Tidegate does not answer", "Is it still running?");
  }
  if (answer.status === 401) throw new Refusal("This page is no longer signed in", "Open it from Tidegate's menu again.");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(said.title ?? `Tidegate answered with status ${answer.status}`, said.hint);
  return said;
}
