// The status page: what the person clicks becomes an order, or opens the dialog that asks first.

import { paint } from "./charts.js";
import { draw } from "./draw.js";
import { FORMS } from "./forms.js";
import { follow } from "./live.js";
import { copy, keepEnd } from "./log.js";
import { named, navigate } from "./navigation.js";
import { enter, order } from "./orders.js";
import { save } from "./settings.js";
import { SignIn } from "./sign_in.js";
import { View } from "./views.js";

const SAID_S = 8;

const view = document.getElementById("view");
const connection = document.getElementById("connection");
const said = document.getElementById("said");
const signIn = new SignIn(document.getElementById("sign-in"), say);
const views = {
  charts: new View("charts", { least_s: 30, after: paint }),
  // Requests end and lines are logged that change no picture.
  activity: new View("activity", { least_s: 1, most_s: 3 }),
  log: new View("log", { least_s: 1, most_s: 3, after: keepEnd }),
  settings: new View("settings", { least_s: 1 }),
};
let silence = 0;

function say(text) {
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => said.replaceChildren(), 1000 * SAID_S);
}

/** Obey a button, switch or choice that carries its order: name and arguments. */
async function obey(control, carried) {
  const card = control.closest("article");
  control.disabled = true;
  try {
    const { text } = await order(...JSON.parse(carried));
    say(text);
  } catch (refusal) {
    if (control.type === "checkbox") control.checked = !control.checked;
    if (control.type === "select-one") control.value = control.querySelector("[selected]").value;
    say(refusal.message);
  } finally {
    control.disabled = false;
    // Disabled, it has lost the focus; and the new view may have taken it away meanwhile.
    if (document.activeElement === document.body) (control.isConnected ? control : card?.querySelector("summary"))?.focus();
  }
}

/** Obey a switch. What asks first stays as it was: it turns when the picture says so. */
function turn(control) {
  const { on, off, dialog } = control.dataset;
  if (!control.checked) return obey(control, off);
  if (on) return obey(control, on);
  control.checked = false;
  return open({ ...control.dataset, dialog });
}

/** Open the dialog that a button names. */
function open({ dialog: name, ...facts }) {
  if (name === "sign-in") return void signIn.open(facts);
  const dialog = document.getElementById(name);
  const form = dialog.querySelector("form");
  dialog.querySelector("h2").textContent = FORMS[name].title(facts);
  form.reset();
  dialog.addEventListener("close", () => form.reset(), { once: true }); // a key that was typed goes
  dialog.showModal();
  attempt(form, () => FORMS[name].open(form, facts));
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(form, () => FORMS[name].confirm(form, facts));
  };
}

/** Do a step of a dialog: its answer ends the dialog, a refusal is shown in it. */
async function attempt(form, step) {
  const error = form.querySelector(".error");
  const button = form.querySelector(".ends button:last-child");
  error.textContent = "";
  button.disabled = true;
  try {
    const answer = await step();
    if (answer) {
      form.closest("dialog").close();
      say(answer.text);
    }
  } catch (refusal) {
    error.textContent = refusal.message;
    form.querySelector("input:not([type=checkbox])")?.focus();
  } finally {
    button.disabled = false;
  }
}

/** A link may name a button with a dialog, or a place: the tray's menu opens the page there. */
function openNamed() {
  const there = document.getElementById(location.hash.slice(1));
  history.replaceState(null, "", "/-/");
  if (there?.dataset.dialog) open(there.dataset);
  else there?.scrollIntoView();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.dataset.order) obey(button, button.dataset.order);
  else if (button.dataset.dialog) open(button.dataset);
  else if (button.dataset.copy) copy(button.dataset.copy, say);
  else if ("close" in button.dataset) button.closest("dialog").close();
});
document.addEventListener("change", ({ target }) => {
  if (target.dataset.off) turn(target);
  else if (target.dataset.setting) save(target, say, () => views.settings.load());
  else if (target.id === "strategy") obey(target, target.value);
});

enter();
navigate((name) => {
  for (const [other, shown] of Object.entries(views)) shown.open = other === name;
});
follow({
  show(html) {
    const first = view.ariaBusy === "true";
    draw(view, html);
    view.ariaBusy = "false";
    if (first && location.hash && !named()) openNamed();
  },
  changed() {
    for (const shown of Object.values(views)) shown.news();
  },
  tell(trouble) {
    connection.textContent = trouble;
    connection.hidden = !trouble;
  },
});
