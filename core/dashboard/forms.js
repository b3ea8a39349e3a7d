// The dialogs that ask once and give one order.

import { order } from "./orders.js";

/** What each dialog shows when it opens and does when it is confirmed; what it returns is said, null leaves it open. */
export const FORMS = {
  "add-key": {
    title: ({ kind }) => (kind === "go" ? "Add an OpenCode Go key" : "Add an Anthropic API key"),
    open(form, { kind }) {
      form.serves.parentElement.hidden = kind === "go";
    },
    async confirm(form, { kind }) {
      const key = form.key.value;
      form.key.value = ""; // it stays nowhere in this page, whatever comes of it
      return order("add_key", { kind, key, label: form.label.value.trim(), serves: serves(form) });
    },
  },
  rename: {
    title: ({ label }) => `Rename ${label}`,
    open(form, { label }) {
      form.label.value = label;
      form.label.select();
    },
    confirm: (form, { account }) => order("rename", { account, label: form.label.value }),
  },
  remove: {
    title: ({ label }) => `Remove ${label}?`,
    open(form, { own }) {
      form.revoke.parentElement.hidden = !own;
    },
    confirm: (form, { account }) => order("remove", { account, revoke: form.revoke.checked }),
  },
  import: {
    title: () => "Import from other programs",
    async open(form) {
      await list(form, { dry_run: true });
    },
    async confirm(form) {
      await list(form, { dry_run: false });
      return null;
    },
  },
  connect: {
    title: ({ label }) => `Connect ${label}`,
    async open(form, { client }) {
      await plan(form, client);
    },
    confirm: (form, { client }) => order("connect", { client }),
  },
};

/** Which programs a new account serves, by the form's check box. */
export function serves(form) {
  return form.serves.checked && !form.serves.parentElement.hidden ? "claude-code" : "any";
}

async function list(form, given) {
  const [progress, plan] = form.querySelectorAll("[role=status], ul");
  const button = form.querySelector(".main");
  plan.replaceChildren();
  button.hidden = true;
  progress.textContent = given.dry_run ? "Looking at what other programs have…" : "Importing…";
  try {
    const { lines } = await order("import", given);
    plan.replaceChildren(...lines.map(({ text }) => Object.assign(document.createElement("li"), { textContent: text })));
    button.hidden = !(given.dry_run && lines.some(({ outcome }) => outcome === "import" || outcome === "update"));
    progress.textContent = given.dry_run ? "Found, and not changed there:" : "Done:";
  } catch (refusal) {
    progress.textContent = "";
    throw refusal;
  }
}

/** Show what connecting a program would change. Nothing is changed yet. */
async function plan(form, client) {
  const [progress, changes, notes] = form.querySelectorAll("[role=status], ul");
  const button = form.querySelector(".main");
  for (const shown of [changes, notes]) shown.replaceChildren();
  button.hidden = true;
  progress.textContent = "Looking at its settings…";
  try {
    const planned = await order("connection_plan", { client });
    changes.append(...planned.changes.map(change));
    notes.append(...planned.notes.map((note) => element("li", note)));
    progress.replaceChildren("Changes in ", element("code", planned.file), ":");
    button.hidden = false;
  } catch (refusal) {
    progress.textContent = "";
    throw refusal;
  }
}

/** One setting: its name, what it is and what it becomes. */
function change({ setting, before, after }) {
  const line = element("li", "");
  const turn = element("p", "");
  turn.append(element("code", before), " → ", element("code", after));
  line.append(element("strong", setting), turn);
  return line;
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
