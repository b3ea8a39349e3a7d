// The log as it grows: its end stays in sight for who looks at the end.

const NEAR = 8; // pixels

let atEnd = true;

/** Called when the log has been drawn. */
export function keepEnd(place) {
  const box = place.querySelector("[data-end]");
  if (!box) return;
  if (atEnd) box.scrollTop = box.scrollHeight;
  box.onscroll = () => {
    atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - NEAR;
  };
}

/** Copy the text of what is shown. `say` gets the words for how that went. */
export async function copy(id, say) {
  try {
    await navigator.clipboard.writeText(document.getElementById(id).innerText);
    say("Copied");
  } catch {
    say("The browser does not let this page copy. Select the text and copy it yourself.");
  }
}
