// Each knob against the outcome.

function drawScatters(holder, note, outcome, order) {
  holder.replaceChildren();
  const knobs = data.columns.filter((column) => column.role === "knob");
  const cards = knobs.map(() => {
    const figure = document.createElement("figure"), inner = document.createElement("div");
    figure.className = "card";
    inner.className = "picture";
    figure.append(inner);
    holder.append(figure);
    return inner;
  });
  knobs.forEach((knob, index) => drawScatter(cards[index], knob, outcome, order));
  const missing = outcome.values.filter((value) => value === null).length;
  const parts = [];
  if (!knobs.length) parts.push("All members have the same knobs.");
  if (missing) parts.push(`Members without such a value, ${missing} of them, are crosses below the axis.`);
  if (outcome.scale.cropped) parts.push("Values beyond the axis lie at its end.");
  note.textContent = parts.join(" ");
}

function drawScatter(holder, knob, outcome, order) {
  const width = holder.clientWidth, height = 250;
  const log = knob.scale.kind === "linear" ? "" : " on a logarithmic axis";
  const svg = picture(
    holder, width, height,
    `${outcome.label} against ${knob.label}${log}, a point for each of ${data.members.length} members. ${trend(knob, outcome)}`,
  );
  const box = { left: 48, top: 24, right: width - 14, bottom: height - 44 };
  const missing = outcome.values.some((value) => value === null);
  const inner = { ...box, bottom: box.bottom - (missing ? 14 : 0) };
  const { x, y } = axes(svg, inner, knob.scale, outcome.scale, "", fitted(outcome.label, width));
  svg.append(words(fitted(knob.label, width), (box.left + box.right) / 2, height - 6, "axis-name", "middle"));
  const radius = order.length > 300 ? 2 : 3;
  for (const row of order) {
    const at = x(share(knob.scale, knob.values[row])), value = outcome.values[row];
    if (value === null) mark(svg, row, "cross", "path", { d: cross(at, inner.bottom + 25, 2.5) });
    else mark(svg, row, "dot", "circle", { cx: at.toFixed(1), cy: y(share(outcome.scale, value)).toFixed(1), r: radius });
  }
}

// Spearman's rank correlation in words, the text alternative of the cloud.
function trend(knob, outcome) {
  const rows = data.members.map((_, row) => row).filter((row) => outcome.values[row] !== null);
  if (rows.length < 3) return "";
  const a = ranks(rows.map((row) => knob.values[row])), b = ranks(rows.map((row) => outcome.values[row]));
  const mean = (rows.length - 1) / 2;
  let both = 0, left = 0, right = 0;
  a.forEach((rank, index) => {
    both += (rank - mean) * (b[index] - mean);
    left += (rank - mean) ** 2;
    right += (b[index] - mean) ** 2;
  });
  if (!left || !right) return "";
  return `The rank correlation is ${(both / Math.sqrt(left * right)).toFixed(2)}.`;
}

function ranks(values) {
  const order = values.map((_, index) => index).sort((a, b) => values[a] - values[b]);
  const found = [];
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1]] === values[order[first]]) last += 1;
    for (let index = first; index <= last; index += 1) found[order[index]] = (first + last) / 2;
    first = last + 1;
  }
  return found;
}
