// What the reader chose, and the pictures drawn anew.

const at = (id) => document.getElementById(id);
const crowd = data.members.length > 300 ? "crowd" : data.members.length > 60 ? "many" : "some";
let chosen = null;

function outcomeColumn() {
  return data.columns[at("outcome").value];
}

// The worst first, so that the best are drawn on top.
function drawingOrder() {
  const { values, direction } = outcomeColumn(), sign = direction === "min" ? 1 : -1;
  const rows = data.members.map((_, row) => row);
  return rows.sort((a, b) => -compared(values[a], values[b], sign));
}

function draw() {
  for (const own of marks) own.length = 0;
  const order = drawingOrder(), outcome = outcomeColumn();
  drawCurves(at("curves"), at("curves-note"), data.curves[at("curve").value], order);
  drawScatters(at("scatters"), at("scatters-note"), outcome, order);
  drawParallel(at("parallel"), outcome, order);
  drawEndings(at("endings"), at("endings-note"));
  paint(order);
}

function paint(order = drawingOrder()) {
  const colour = at("colour").value, most = Number(at("best").value) || order.length;
  const bright = new Set(order.slice(-most));
  marks.forEach((own, row) => {
    const state = row === chosen ? "chosen" : bright.has(row) ? crowd : "faint";
    const name = `${colourOf(colour, row)} ${state}`;
    for (const [element, kind] of own) {
      element.setAttribute("class", `${kind} ${name}`);
      if (row === chosen) element.parentNode.append(element);
    }
  });
  drawLegend(colour);
}

function colourOf(colour, row) {
  if (colour === "ended") return `k${data.kinds[row]}`;
  const { scale, values } = data.columns[colour];
  const part = share(scale, values[row]);
  return part === null ? "none" : `c${Math.min(9, Math.floor(10 * part))}`;
}

function drawLegend(colour) {
  const legend = at("legend");
  const swatch = (name) => {
    const element = document.createElement("span");
    element.className = `swatch ${name}`;
    return element;
  };
  if (colour === "ended") {
    legend.replaceChildren(...data.kindNames.flatMap((name, kind) => [swatch(`k${kind}`), name]));
    legend.setAttribute("aria-label", "Colours: how each member ended");
    return;
  }
  const { label, scale } = data.columns[colour], bar = document.createElement("span");
  bar.className = "swatches";
  bar.append(...Array.from({ length: 10 }, (_, step) => swatch(`c${step}`)));
  const low = format(scale.kind === "log0" ? 0 : scale.low), high = format(scale.high);
  legend.replaceChildren(low, bar, scale.kind === "linear" ? high : `${high}, logarithmic`);
  legend.setAttribute("aria-label", `Colours: ${label} from ${low}, blue, to ${high}, orange`);
}

function choose(row) {
  for (const each of document.querySelectorAll("#members tr.chosen")) each.classList.remove("chosen");
  chosen = row;
  if (row !== null) document.querySelector(`#members tr[data-row="${row}"]`).classList.add("chosen");
  tell(row);
  paint();
}

function tell(row) {
  if (row === null) {
    at("chosen").textContent = "No member is chosen.";
    return;
  }
  const outcome = outcomeColumn();
  const told = data.columns.filter((column) => column.role === "knob" || column === outcome);
  const numbers = told.map((column) => `${column.label} ${format(column.values[row])}`).join(", ");
  at("chosen").textContent = `Member ${data.members[row]}: ${numbers}; ${data.fates[row]}`;
}

function rowOf(target) {
  const element = target.closest("[data-row]");
  return element ? Number(element.dataset.row) : null;
}

document.querySelector("main").addEventListener("click", (event) => {
  const row = rowOf(event.target);
  if (row === null) return;
  at("member").value = data.members[row];
  choose(row);
});
document.querySelector("main").addEventListener("pointerover", (event) => {
  if (event.target.ownerSVGElement && rowOf(event.target) !== null) tell(rowOf(event.target));
});
at("member").addEventListener("input", () => {
  const row = data.members.indexOf(Number(at("member").value || NaN));
  choose(row < 0 ? null : row);
});
for (const id of ["curve", "outcome"]) at(id).addEventListener("change", draw);
for (const id of ["colour", "best"]) at(id).addEventListener("change", () => paint());
sortable(at("members"));
draw();
let width = document.querySelector("main").clientWidth;
new ResizeObserver(() => {
  const now = document.querySelector("main").clientWidth;
  if (now !== width) {
    width = now;
    draw();
  }
}).observe(document.querySelector("main"));
