// The views beside the accounts: HTML that Tidegate makes for what is asked, drawn anew while they are open.

import { draw } from "./draw.js";
import { ask } from "./orders.js";

/**
 * One view. `least_s`: after this long at the earliest it is drawn again because of news. `most_s`: it is drawn again
 * without news, for what no event tells of. `after` is called with its place when it has been drawn.
 */
export class View {
  #name;
  #place;
  #least_s;
  #most_s;
  #after;
  #open = false;
  #turn = 0; // how often it was asked for
  #waiting = false; // for an answer
  #wanted = false; // again, when that is there
  #asked_at = -Infinity;
  #due_at = Infinity;
  #timer = 0;

  constructor(name, { least_s, most_s = Infinity, after = () => {} }) {
    this.#name = name;
    this.#place = document.querySelector(`[data-view="${name}"] .drawn`);
    this.#least_s = least_s;
    this.#most_s = most_s;
    this.#after = after;
    this.#place.addEventListener("change", ({ target }) => target.closest("form.filter") && this.load());
    this.#place.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("visibilitychange", () => this.news());
  }

  set open(open) {
    if (open === this.#open) return;
    this.#open = open;
    this.#forget();
    if (open) this.load();
  }

  /** Something has changed: draw it again soon, if somebody looks. */
  news() {
    if (!this.#open) return;
    if (this.#waiting) this.#wanted = true;
    else this.#drawIn(this.#least_s);
  }

  /** Draw it now, for what its form asks. */
  async load() {
    const turn = ++this.#turn;
    const form = this.#place.querySelector("form.filter");
    const asked = new URLSearchParams(form ? new FormData(form) : {});
    this.#forget();
    this.#asked_at = performance.now();
    this.#waiting = true;
    try {
      const answer = await ask(`/-/views/${this.#name}?${asked}`);
      const text = await answer.text();
      if (turn !== this.#turn) return; // something else is asked for by now
      if (answer.ok) draw(this.#place, text);
      else if (this.#place.ariaBusy === "true") this.#place.textContent = JSON.parse(text).title ?? "";
      this.#place.ariaBusy = "false";
      this.#after(this.#place);
    } catch {
      // Tidegate is gone: the page says so, and news come when it is back.
    }
    if (turn !== this.#turn) return;
    this.#waiting = false;
    if (this.#open) this.#drawIn(this.#wanted ? this.#least_s : this.#most_s);
    this.#wanted = false;
  }

  /** Draw it when so much time has passed since the last time, or sooner if that is planned. */
  #drawIn(wait_s) {
    const due_at = this.#asked_at + 1000 * wait_s;
    // For who does not look it is made up for when the page is seen again.
    if (document.hidden || due_at >= this.#due_at) return;
    this.#forget();
    this.#due_at = due_at;
    this.#timer = setTimeout(() => this.load(), Math.max(0, due_at - performance.now()));
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#due_at = Infinity;
  }
}
