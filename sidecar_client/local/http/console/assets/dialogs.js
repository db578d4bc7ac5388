// Forms in dialogs: opened, sent, and what went wrong told beside them.

import { byId, el, toast } from "./dom.js";

/**
 * Opens a form. `body` is its fields, `submit` sends it: it returns what to say
 * afterwards, or throws what is shown in the form, which then stays open.
 */
export function openForm({ title, lead = "", body, action, submit, aside = null, danger = false, wide = false }) {
  const dialog = byId("dialog").content.firstElementChild.cloneNode(true);
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  const opener = document.activeElement;
  const key = opener?.dataset?.key;
  part("title").textContent = title;
  part("title").id = "dialog-title";
  dialog.setAttribute("aria-labelledby", "dialog-title");
  part("lead").textContent = lead;
  part("body").append(...body);
  part("submit").textContent = action;
  if (danger) part("submit").className = "danger";
  if (wide) dialog.classList.add("wide");
  if (!submit) part("submit").hidden = true;
  if (!submit) part("cancel").textContent = "Close";
  if (aside) {
    const button = el("button", { type: "button", class: "aside", onclick: () => run(aside.run) }, aside.label);
    part("foot").prepend(button);
  }
  const close = () => dialog.close();
  part("cancel").addEventListener("click", close);
  part("close").addEventListener("click", close);
  dialog.addEventListener("close", () => {
    dialog.remove();
    const again = opener?.isConnected ? opener : document.querySelector(`[data-key="${CSS.escape(key ?? "")}"]`);
    again?.focus({ preventScroll: true });
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (submit) run(submit);
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("[data-part=body] :is(input, select, button)")?.focus();
  return { close, run };

  async function run(work) {
    const buttons = [...dialog.querySelectorAll("[data-part=foot] button")];
    buttons.forEach((button) => (button.disabled = true));
    part("problem").hidden = true;
    try {
      const said = await work();
      close();
      if (said) toast(said);
    } catch (error) {
      part("problem").textContent = error.message;
      part("problem").hidden = false;
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  }
}

/** The number in a field; an error that names the field when there is none. */
export function numberIn(input, label) {
  const value = input.value.trim() === "" ? Number.NaN : Number(input.value);
  if (Number.isFinite(value)) return value;
  input.focus();
  throw new Error(`${label} needs a number.`);
}

/** The text in a field; an error that names the field when it is empty. */
export function textIn(input, label) {
  const value = input.value.trim();
  if (value) return value;
  input.focus();
  throw new Error(`${label} is empty.`);
}
