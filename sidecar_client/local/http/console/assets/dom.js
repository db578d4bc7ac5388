// Elements, made without ever reading text as HTML.

/** An element with properties and children; texts become text, null is left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A button that says so, with what happens when it is pressed. */
export const button = (label, onclick, properties = {}) =>
  el("button", { type: "button", onclick, ...properties }, label);

/** A labelled field around an input or select. */
export const field = (label, input, hint = null) =>
  el("label", { class: "field" }, el("span", {}, label), input, hint && el("span", { class: "hint" }, hint));

/** A select of [value, label] pairs. */
export function select(options, value, properties = {}) {
  const made = el("select", properties, options.map(([id, label]) => el("option", { value: id }, label)));
  made.value = value;
  return made;
}

/** Puts other content in place, and leaves focus and opened details as they were. */
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const opened = new Set([...parent.querySelectorAll("details[open]")].map((item) => item.dataset.key));
  const top = parent.scrollTop;
  parent.replaceChildren(...children.flat().filter(Boolean));
  for (const details of parent.querySelectorAll("details")) details.open = opened.has(details.dataset.key);
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  parent.scrollTop = top;
}

/** Says something in passing, to eyes and to screen readers. */
export function toast(text) {
  const shown = el("p", { class: "toast" }, text);
  const all = byId("toasts");
  all.append(shown);
  while (all.children.length > 3) all.firstChild.remove();
  setTimeout(() => shown.remove(), 4500);
}

/** Calls a function once things have been quiet for a while. */
export function settled(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/** Calls a function a while after it was first asked for, however often it is. */
export function soon(work, milliseconds) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    setTimeout(() => {
      isWaiting = false;
      work();
    }, milliseconds);
  };
}
