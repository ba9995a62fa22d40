// While a long file is read, the page says so: the answer comes when all lines are read.
"use strict";

const working = document.getElementById("working");

function showProgress() {
  const progress = document.createElement("progress");
  progress.setAttribute("aria-label", "Progress");
  working.className = "card";
  working.replaceChildren(progress, document.createElement("br"), working.dataset.words);
  working.scrollIntoView({ block: "nearest" });
}

document.querySelector("main").addEventListener("submit", showProgress);
// After the browser's back button the page is shown again as it was left.
window.addEventListener("pageshow", () => {
  working.className = "";
  working.replaceChildren();
});
