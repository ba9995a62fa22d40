// Names for screen readers that unfold's forms lack: of boxes to choose a row, and of the fields in a table.
"use strict";

function labelOf(field) {
  const label = field.id && document.querySelector(`label[for="${CSS.escape(field.id)}"]`);
  if (label) {
    return label.textContent.trim();
  }
  const cell = field.closest("td");
  const head = cell && cell.closest("table").querySelectorAll("thead th")[cell.cellIndex];
  return head ? head.textContent.trim() : "";
}

function nameFields() {
  for (const field of document.querySelectorAll("td input:not([type=hidden]), td select, td textarea")) {
    const name = labelOf(field);
    if (name && !field.labels?.length && !field.hasAttribute("aria-label")) {
      field.setAttribute("aria-label", name);
    }
  }
  for (const box of document.querySelectorAll(".select2-selection")) {
    const field = box.closest(".select2")?.previousElementSibling;
    const name = field && (labelOf(field) || field.getAttribute("aria-label") || field.name);
    const value = box.querySelector(".select2-selection__rendered");
    if (name) {
      const chosen = value?.textContent.trim();
      box.removeAttribute("aria-labelledby");
      box.setAttribute("aria-label", chosen ? `${name}: ${chosen}` : name);
      value?.setAttribute("aria-label", name);
    }
  }
  for (const head of document.querySelectorAll("thead th")) {
    if (!head.textContent.trim() && !head.children.length) {
      head.innerHTML = '<span class="unseen">Actions</span>';
    }
  }
}

function nameScrolling() {
  document.querySelectorAll(".simplebar-content-wrapper[role=region]").forEach((part, place) => {
    part.setAttribute("aria-label", place ? `Scrollable part ${place + 1}` : "Scrollable part");
  });
}

document.addEventListener("DOMContentLoaded", () => {
  nameFields();
  // Unfold makes its boxes and scrolling parts later, and a box shows another choice without an event.
  new MutationObserver(() => {
    nameFields();
    nameScrolling();
  }).observe(document.body, { childList: true, subtree: true });
});
