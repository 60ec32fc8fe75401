"use strict";
// Tables sort at a click on a heading; points of charts tell their values; methods can be left out.
const keyed = (column) => (row) => {
  const text = row.cells[column].textContent;
  return { row, text, value: parseFloat(text.replace(/,/g, "").replace(/^≥\s*/, "")) };
};
const order = (sign) => (one, other) => {
  const unknown = Number.isNaN(one.value) - Number.isNaN(other.value);
  if (unknown) return unknown;
  return sign * (Number.isNaN(one.value) ? one.text.localeCompare(other.text) : one.value - other.value);
};
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, row = heading.parentElement, body = heading.closest("table").tBodies[0];
    const descending = heading.getAttribute("aria-sort") !== "descending";
    for (const other of row.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const sorted = [...body.rows].map(keyed(heading.cellIndex)).sort(order(descending ? -1 : 1));
    body.append(...sorted.map(({ row }) => row));
  });
}
const tip = document.getElementById("tip");
const tell = (event) => {
  const point = event.target.closest?.(".point");
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.getAttribute("aria-label");
  const box = point.getBoundingClientRect();
  tip.style.setProperty("left", `${Math.max(4, Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8))}px`);
  tip.style.setProperty("top", `${Math.max(4, box.top - tip.offsetHeight - 6)}px`);
};
for (const kind of ["mouseover", "focusin", "focusout"]) document.addEventListener(kind, tell);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
const form = document.querySelector(".methods");
form?.addEventListener("change", () => {
  const left = new Set([...form.querySelectorAll("input:not(:checked)")].map((input) => input.value));
  for (const part of document.querySelectorAll("[data-name]")) {
    if (part.tagName === "g") part.style.setProperty("display", left.has(part.dataset.name) ? "none" : "");
    else part.hidden = left.has(part.dataset.name);
  }
});
