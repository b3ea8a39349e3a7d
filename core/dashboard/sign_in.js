// A sign-in: the provider's page in another tab, a pasted code beside it, whichever comes first.

import { order } from "./orders.js";
import { serves } from "./forms.js";

const WAIT_S = 2; // Tidegate waits for answers in progress before it quits

/** The dialog, for a new account or to sign in an account again. `say` gets the words for how it ended. */
export class SignIn {
  #dialog;
  #say;
  #facts = {};
  #offer = null;

  constructor(dialog, say) {
    this.#dialog = dialog;
    this.#say = say;
    this.#wish.addEventListener("submit", (event) => this.#take(event, () => this.#begin()));
    this.#paste.addEventListener("submit", (event) => this.#take(event, () => this.#finish()));
    dialog.addEventListener("close", () => this.#cancel());
  }

  /** `facts`: the kind, and for one that is here already its account and label. */
  async open(facts) {
    this.#facts = facts;
    const { kind, account, label } = facts;
    const place = kind === "claude" ? "Claude" : "the Console";
    this.#find("h2").textContent = account ? `Sign in again: ${label}` : `Sign in to ${place}`;
    this.#find("#sign-in-why").textContent =
      kind === "claude" ? "For an account that pays with a subscription." : "Tidegate makes an API key there and keeps it.";
    this.#find("#sign-in-new").hidden = Boolean(account);
    this.#find(".error").textContent = "";
    this.#wish.reset();
    this.#paste.reset();
    this.#show(this.#wish);
    this.#dialog.showModal();
    if (account) await this.#take(null, () => this.#begin());
  }

  get #wish() {
    return this.#find("#sign-in-wish");
  }

  get #paste() {
    return this.#find("#sign-in-paste");
  }

  #find(selector) {
    return this.#dialog.querySelector(selector);
  }

  #show(form) {
    for (const each of [this.#wish, this.#paste]) each.hidden = each !== form;
  }

  /** Do one step of the dialog; what refuses it is shown there. */
  async #take(event, step) {
    event?.preventDefault();
    const buttons = this.#dialog.querySelectorAll(".main");
    this.#find(".error").textContent = "";
    for (const button of buttons) button.disabled = true;
    try {
      await step();
    } catch (refusal) {
      this.#find(".error").textContent = refusal.message;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  async #begin() {
    const { kind, account } = this.#facts;
    const wish = account ? {} : { label: this.#wish.label.value.trim(), serves: serves(this.#wish) };
    const offer = await order("begin_login", { kind, ...wish });
    if (!this.#dialog.open) return void order("cancel_login", { id: offer.id });
    this.#offer = offer;
    this.#find("#sign-in-page").href = offer.url;
    this.#find("#sign-in-code-page").href = offer.paste_url;
    this.#find("#sign-in-progress").textContent = "Sign in on the provider's page in the other tab. This one goes on by itself.";
    this.#show(this.#paste);
    this.#find("#sign-in-page").focus();
    window.open(offer.url, "_blank", "noopener,noreferrer");
    this.#follow(offer);
  }

  /** Wait for the browser to come back to Tidegate. */
  async #follow(offer) {
    try {
      let said = {};
      while (this.#offer === offer && !said.text) said = await order("await_login", { id: offer.id, for_s: WAIT_S });
      this.#end(offer, said);
    } catch (refusal) {
      if (this.#offer !== offer) return;
      this.#offer = null;
      this.#find("#sign-in-progress").textContent = "This sign-in is over.";
      this.#find(".error").textContent = refusal.message;
      this.#show(this.#wish);
    }
  }

  async #finish() {
    const offer = this.#offer;
    const said = await order("paste_login", { id: offer.id, text: this.#paste.code.value });
    if (said.text) this.#end(offer, said);
  }

  #end(offer, said) {
    if (this.#offer !== offer) return;
    this.#offer = null;
    this.#dialog.close();
    const { account, label } = this.#facts;
    const other = account && said.account !== account ? `. ${label} still waits for its own sign-in` : "";
    this.#say(said.text + other);
  }

  #cancel() {
    const offer = this.#offer;
    this.#offer = null;
    if (offer) order("cancel_login", { id: offer.id }).catch(() => {}); // it ends by itself after five minutes
  }
}
