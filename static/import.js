// While a long file is read, the page says how many rows are done: the answer comes when all are. Buttons that were
// pressed once do nothing more meanwhile.
"use strict";

const working = document.getElementById("working");
const buttons = document.querySelectorAll("main button");

function disable(isDisabled) {
  for (const button of buttons) button.disabled = isDisabled;
}

function showProgress() {
  working.className = "card";
  working.replaceChildren(document.getElementById("progress").content.cloneNode(true));
  htmx.process(working);
  working.scrollIntoView({ block: "nearest" });
  // The form is sent with the button that was pressed, so that one is disabled afterwards.
  setTimeout(() => disable(true));
}

document.querySelector("main").addEventListener("submit", showProgress);
// After the browser's back button the page is shown again as it was left.
window.addEventListener("pageshow", () => {
  working.className = "";
  working.replaceChildren();
  disable(false);
});
