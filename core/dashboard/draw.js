// Draws a new view over the old one and touches only what differs: a click, the focus or a selection survives it.

/** Attributes that come from the person's clicks and not from the view. */
const OURS = new Set(["open", "disabled", "aria-invalid"]);

export function draw(place, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const focused = document.activeElement;
  const card = place.contains(focused) ? focused.closest("article") : null;
  morphChildren(place, fresh);
  if (document.activeElement === focused) return;
  // A button that went away (Pin becomes Unpin) leaves the focus with its card.
  (focused.isConnected ? focused : card?.querySelector("summary"))?.focus();
}

function morphChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((child, place) => {
    const there = old.childNodes[place] ?? null;
    const same = [...old.childNodes].slice(place).find((candidate) => isSame(candidate, child));
    if (same !== there) old.insertBefore(same ?? child, there);
    if (same) morph(same, child);
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function isSame(one, other) {
  return one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
}

function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const untouched = old.value === old.defaultValue; // else the person is typing, or what was typed was refused
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !OURS.has(name)) old.removeAttribute(name);
  // A disabled one was just clicked: this view may still show what was before.
  if (old.nodeName === "INPUT" && !old.disabled) {
    if (old.type === "checkbox" || old.type === "radio") old.checked = fresh.checked;
    else if (untouched) old.value = fresh.value;
  }
  if ("drawn" in (old.dataset ?? {})) return; // what is inside is a script's
  morphChildren(old, fresh);
  if (old.nodeName === "SELECT" && !old.disabled && old.value !== fresh.value) old.value = fresh.value;
}
