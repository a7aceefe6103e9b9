"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, j) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = "Sort by " + head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      const key = (row) => {
        const cell = row.cells[j];
        if (cell.dataset.value === undefined) return cell.textContent;
        return cell.dataset.value === "" ? null : Number(cell.dataset.value);
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        const less = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return up ? less : -less;
      };
      body.append(...[...body.rows].sort(order));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
    });
  });
}
const boxes = [...document.querySelectorAll(".scroll")];
const mark = () => boxes.forEach((box) => { box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1); });
mark();
addEventListener("resize", mark);
document.querySelectorAll("details").forEach((each) => { each.addEventListener("toggle", mark); });
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
