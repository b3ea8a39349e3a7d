// Which view is shown: the address says it after its #, so that links, history and reload keep it.

const FIRST = "accounts";

const sections = new Map([...document.querySelectorAll("[data-view]")].map((section) => [section.dataset.view, section]));
const links = document.querySelectorAll("nav a");

/** Follow the address: `shown` is called with each view's name now and when another one is chosen. */
export function navigate(shown) {
  const follow = () => {
    const name = named() ?? FIRST;
    // What had the focus may be in the view that goes.
    const lost = sections.get(current())?.contains(document.activeElement) && current() !== name;
    for (const [other, section] of sections) section.hidden = other !== name;
    for (const link of links) link.ariaCurrent = link.hash === `#${name}` ? "page" : null;
    const heading = sections.get(name).querySelector("h1");
    document.title = `${heading.textContent} · Tidegate`;
    if (lost) heading.focus();
    shown(name);
  };
  window.addEventListener("hashchange", () => {
    follow();
    window.scrollTo(0, 0);
  });
  follow();
}

/** The view that the address names, if it does. */
export function named() {
  const name = location.hash.slice(1);
  return sections.has(name) ? name : null;
}

function current() {
  return [...sections].find(([, section]) => !section.hidden)?.[0];
}
