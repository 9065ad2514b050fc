// The table of members, sorted by a click on the name of a column.

function sortable(table) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), before = head.getAttribute("aria-sort");
      const column = data.columns[button.dataset.column];
      const first = column && column.direction === "max" ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const now = before === first ? other : first;
      for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", now);
      const value = valuesFor(button.dataset.column);
      const sign = now === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => compared(value(a.dataset.row), value(b.dataset.row), sign));
      body.append(...rows);
    });
  }
}

function valuesFor(name) {
  if (name === "member") return (row) => data.members[row];
  if (name === "ended") return (row) => data.fates[row];
  return (row) => data.columns[name].values[row];
}

// A member without a value comes last, whichever way the others are sorted.
function compared(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "string") return sign * a.localeCompare(b, "en", { numeric: true });
  return sign * (a - b);
}
