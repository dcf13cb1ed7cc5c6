"use strict";
// The rows arrive in the order of the tree; each knows its depth, and its parent is the last shallower row before it.
const table = document.querySelector(".modelstat table");
const body = table.tBodies[0];
const tools = document.querySelector(".tools");
const search = document.getElementById("search");
const status = document.getElementById("status");
const root = { children: [], depth: -1, open: true, parent: null };
const nodes = [];
const path = [root];
const most = 500; // matches shown at once: a browser lays out no more in an instant
for (const element of Array.from(body.rows)) {
  const depth = Number(element.dataset.depth);
  while (path[path.length - 1].depth >= depth) path.pop();
  const parent = path[path.length - 1];
  const node = { element, depth, parent, children: [], fold: element.querySelector(".fold"), order: nodes.length };
  const [name, kind] = element.cells;
  node.text = `${name.title || name.textContent} ${kind ? kind.textContent : ""}`.toLowerCase();
  node.open = depth < Number(table.dataset.open);
  parent.children.push(node);
  nodes.push(node);
  path.push(node);
  if (node.fold) {
    node.fold.hidden = false;
    node.fold.addEventListener("click", () => { node.open = !node.open; show(); });
  }
}

function shownByFolding() {
  const shown = new Set();
  const visit = (node) => { for (const child of node.children) { shown.add(child); if (child.open) visit(child); } };
  visit(root);
  return shown;
}

// A match is shown with the modules that it lies in.
function shownBySearch(words) {
  const shown = new Set();
  let found = 0;
  for (const node of nodes) {
    if (!words.every((word) => node.text.includes(word))) continue;
    found += 1;
    if (found > most) continue;
    for (let one = node; one !== root; one = one.parent) shown.add(one);
  }
  const first = found > most ? `, the first ${most} are shown` : "";
  status.textContent = `${found} of ${nodes.length} rows match${first}`;
  return shown;
}

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) status.textContent = "";
  const shown = words.length ? shownBySearch(words) : shownByFolding();
  for (const node of nodes) {
    const hidden = !shown.has(node);
    if (node.element.hidden !== hidden) node.element.hidden = hidden;
    if (node.fold) node.fold.setAttribute("aria-expanded", String(words.length > 0 || node.open));
  }
}

function key(node, column) {
  const cell = node.element.cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
}

// Siblings are sorted among themselves, so that a container keeps its contents; the sums of what is not shown stay last.
function sort(column, direction, nodes = root.children) {
  const last = (node) => node.element.classList.contains("rest");
  nodes.sort((a, b) => {
    if (last(a) !== last(b)) return last(a) ? 1 : -1;
    const [x, y] = [key(a, column), key(b, column)];
    if (typeof x === "number" && typeof y === "number") return direction * (x - y);
    if (typeof x === "number" || typeof y === "number") return typeof x === "number" ? -1 : 1;
    return direction * x.localeCompare(y, "en", { numeric: true });
  });
  for (const node of nodes) sort(column, direction, node.children);
}

function place(nodes, into) {
  for (const node of nodes) { into.append(node.element); place(node.children, into); }
}

Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
  const button = heading.querySelector("button");
  button.disabled = false;
  button.addEventListener("click", () => {
    const numeric = heading.classList.contains("number");
    const previous = heading.getAttribute("aria-sort");
    const descending = previous ? previous === "ascending" : numeric;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort(column, descending ? -1 : 1);
    const sorted = document.createDocumentFragment();
    place(root.children, sorted);
    body.append(sorted);
  });
});

// All rows with exact numbers: a spreadsheet gets the whole report, whatever is folded or searched for.
function csv() {
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (cells) => cells.map(quoted).join(",");
  const headings = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  const rows = nodes.map(({ element }) =>
    Array.from(element.cells, (cell) => cell.dataset.value ?? (cell.title || cell.textContent)));
  return [headings, ...rows].map(line).join("\n");
}

async function copy() {
  try {
    await navigator.clipboard.writeText(csv());
    status.textContent = `${nodes.length} rows copied`;
  } catch {
    status.textContent = "the browser does not let this page copy; use --format csv";
  }
}

tools.hidden = false;
search.addEventListener("input", show);
document.getElementById("copy").addEventListener("click", copy);
document.querySelector(".folding").hidden = !document.querySelector(".modelstat .fold");
for (const button of document.querySelectorAll(".folding button")) {
  button.addEventListener("click", () => {
    const open = button.dataset.fold === "false";
    for (const node of nodes) node.open = open || node.depth === 0;
    show();
  });
}
