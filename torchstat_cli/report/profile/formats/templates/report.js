"use strict";
// The rows arrive in the order of the tree; each knows its depth, and its parent is the last shallower row before it.
const table = document.querySelector(".modelstat table");
const body = table.tBodies[0];
const root = { children: [], depth: -1, open: true };
const path = [root];
for (const element of Array.from(body.rows)) {
  const node = { element, depth: Number(element.dataset.depth), children: [], fold: element.querySelector(".fold") };
  while (path[path.length - 1].depth >= node.depth) path.pop();
  path[path.length - 1].children.push(node);
  path.push(node);
  node.open = node.depth < Number(table.dataset.open);
  if (node.fold) {
    node.fold.hidden = false;
    node.fold.addEventListener("click", () => { node.open = !node.open; show(); });
  }
}

function show(nodes = root.children, visible = true) {
  for (const node of nodes) {
    node.element.hidden = !visible;
    if (node.fold) node.fold.setAttribute("aria-expanded", String(node.open));
    show(node.children, visible && node.open);
  }
}

function each(visit, nodes = root.children) {
  for (const node of nodes) { visit(node); each(visit, node.children); }
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
    each((node) => body.append(node.element));
  });
});

const controls = document.querySelector(".modelstat .controls");
controls.hidden = !document.querySelector(".modelstat .fold");
for (const button of controls.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    const open = button.dataset.fold === "false";
    each((node) => { node.open = open || node.depth === 0; });
    show();
  });
}
show();
