// The picture as it changes. Not an EventSource: that could send no key.

import { ask } from "./orders.js";

const LONGEST_WAIT_S = 15;

/** Call `show` with each new view for as long as the page lives, and `tell` with what is wrong ("" when nothing is). */
export async function follow(show, tell) {
  for (let wait_s = 1; ; wait_s = Math.min(2 * wait_s, LONGEST_WAIT_S)) {
    try {
      const answer = await ask("/-/live");
      if (answer.status === 401) return tell("This page is not signed in. Open it from Tidegate's menu.");
      if (answer.ok) {
        tell("");
        for await (const view of views(answer.body)) {
          show(view);
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

async function* views(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice("data: ".length));
    }
  }
}
