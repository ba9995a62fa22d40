// Insert a variable where the cursor was last, in the subject or the text of the message.
"use strict";
(() => {
  const last = new Map();
  const messageOf = (field) => (field.name || "").match(/^(message-\d+)-(subject|body)$/)?.[1];

  // What is typed is saved as one types, so the browser must not put an older text back. Without this script nothing is
  // saved meanwhile, and the browser's copy is the only one.
  document.getElementById("nudge")?.setAttribute("autocomplete", "off");

  document.addEventListener("focusin", ({ target }) => {
    if (messageOf(target)) last.set(messageOf(target), target);
  });

  // What was typed or chosen before this page could save it is saved now.
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("nudge");
    const isTyped = (field) =>
      field.options
        ? [...field.options].some((each) => each.selected !== each.defaultSelected)
          && field.selectedIndex !== 0
        : field.type === "checkbox"
          ? field.checked !== field.defaultChecked
          : field.type !== "hidden" && field.value !== field.defaultValue;
    if ([...form.elements].some((field) => field.name && field.type !== "submit" && isTyped(field)))
      form.dispatchEvent(new Event("input", { bubbles: true }));
  });

  document.addEventListener("click", ({ target }) => {
    const chip = target.closest("[data-insert]");
    if (!chip) return;
    const message = chip.closest("[data-message]").dataset.message;
    const named = (name) => document.getElementsByName(`${message}-${name}`)[0];
    const field = last.get(message) || named("body");
    const asHtml = named("format").value === "html" && field.name.endsWith("body");
    const text = (asHtml && chip.dataset.insertHtml) || chip.dataset.insert;
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
