// The picture as it changes. Not an EventSource: that could send no key.

import { ask } from "./orders.js";

const LONGEST_WAIT_S = 15;

/**
 * Tell of what happens for as long as the page lives: `show` gets each new view of the accounts, `changed` is called
 * when something else has changed, and `tell` gets what is wrong ("" when nothing is).
 */
export async function follow({ show, changed, tell }) {
  for (let wait_s = 1; ; wait_s = Math.min(2 * wait_s, LONGEST_WAIT_S)) {
    try {
      const answer = await ask("/-/live");
      if (answer.status === 401) return tell("This page is not signed in. Open it from Tidegate's menu.");
      if (answer.ok) {
        tell("");
        for await (const { name, data } of events(answer.body)) {
          if (name === "view") show(data);
          changed();
          wait_s = 1;
        }
      }
    } catch {
      // The connection is gone: that is told below.
    }
    tell("Tidegate does not answer. This page looks for it again by itself.");
    await new Promise((resolve) => setTimeout(resolve, 1000 * wait_s));
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const [name, data] = ["event: ", "data: "].map((field) => valueOf(part, field));
      if (data) yield { name, data: JSON.parse(data) };
    }
  }
}

function valueOf(event, field) {
  return event
    .split("\n")
    .find((line) => line.startsWith(field))
    ?.slice(field.length);
}
