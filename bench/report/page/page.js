"use strict";
// Tables sort at a click on a heading; points of charts tell their values, and lead to their runs; methods and more can be left out.
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
for (const point of document.querySelectorAll(".point")) {
  point.setAttribute("tabindex", 0);
  point.setAttribute("role", "button");
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
const showRuns = (point) => {
  // The runs that a point is the mean of.
  const wanted = ["method", "bits", "dataset"].map((kind) => [kind, point.closest(`[data-${kind}]`)?.dataset[kind]]);
  const rows = [...document.querySelectorAll("#table-runs tbody tr")];
  const found = rows.filter((row) => wanted.every(([kind, value]) => !value || row.dataset[kind] === value));
  rows.forEach((row) => row.classList.toggle("picked", found.includes(row)));
  if (!found.length) return;
  found[0].closest("details").open = true;
  found[0].tabIndex = -1;
  found[0].focus({ preventScroll: true });
  found[0].scrollIntoView({ block: "center" });
};
document.addEventListener("click", (event) => {
  const point = event.target.closest?.(".point");
  if (point) showRuns(point);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
  if (event.key === "Enter" && event.target.classList.contains("point")) showRuns(event.target);
});
const form = document.querySelector(".filters");
const kinds = ["method", "bits", "dataset", "protocol", "metric"];
form?.addEventListener("change", () => {
  const left = new Set([...form.querySelectorAll("input:not(:checked)")].map((input) => `${input.name} ${input.value}`));
  // A part may be about several protocols, one on a line.
  const values = (kind, value) => kind === "protocol" ? value.split("\n") : [value];
  const out = (part) => kinds.some((kind) =>
    kind in part.dataset && values(kind, part.dataset[kind]).every((value) => left.has(`${kind} ${value}`)));
  for (const part of document.querySelectorAll(kinds.map((kind) => `[data-${kind}]`).join())) {
    part.toggleAttribute("hidden", out(part));
  }
  for (const table of document.querySelectorAll("table")) {
    const headings = [...table.tHead.rows].at(-1).cells;
    for (const row of [...table.tBodies[0].rows, ...(table.tFoot?.rows ?? [])]) {
      [...row.cells].forEach((cell, column) => { cell.hidden = headings[column].hidden; });
    }
    if (table.tHead.rows.length === 1) continue;
    let first = 0;
    for (const group of table.tHead.rows[0].cells) {
      const count = Number(group.dataset.columns);
      const shown = [...headings].slice(first, first += count).filter((heading) => !heading.hidden).length;
      group.hidden = !shown;
      group.colSpan = shown || count;
    }
  }
});
