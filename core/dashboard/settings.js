// Settings: each is saved when it is changed, and says beside it why a value was not taken.

import { order } from "./orders.js";

/** Save what was chosen or typed. `say` gets the words for it; `saved` is called when it counts. */
export async function save(field, say, saved) {
  const error = document.getElementById(`${field.id}-error`);
  const text = field.type === "checkbox" ? (field.checked ? "on" : "off") : field.value;
  const focused = document.activeElement === field;
  field.disabled = true;
  try {
    const answer = await order("config_set", { key: field.dataset.setting, text });
    error.textContent = "";
    field.ariaInvalid = null;
    if ("defaultValue" in field) field.defaultValue = field.value; // it is no longer only typed
    say(answer.text);
  } catch (refusal) {
    error.textContent = refusal.hint || refusal.message;
    field.ariaInvalid = "true";
    if (field.type === "checkbox") field.checked = field.defaultChecked;
    if (field.type === "select-one") field.value = field.querySelector("[selected]").value;
  } finally {
    field.disabled = false;
    if (focused && document.activeElement === document.body) field.focus();
  }
  saved();
}
