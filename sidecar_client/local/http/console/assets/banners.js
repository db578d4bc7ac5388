// Banners below the header: what nobody may overlook.

import { byId, el } from "./dom.js";

const shown = new Map();

/** Shows a banner by its name, made once and announced once; with null it goes. */
export function setBanner(name, make) {
  const there = shown.get(name);
  if (make && !there) {
    const banner = make();
    shown.set(name, banner);
    byId("banners").append(banner);
  } else if (!make && there) {
    there.remove();
    shown.delete(name);
  }
}

/** The names of the banners that begin so. */
export const named = (prefix) => [...shown.keys()].filter((name) => name.startsWith(prefix));

/** A banner: its mark, what it says, and a button if there is one. */
export const banner = (style, mark, text, button = null) =>
  el("div", { class: `banner banner-${style}` }, el("span", { class: "banner-mark", "aria-hidden": "true" }, mark), el("div", { class: "banner-text" }, text), button);
