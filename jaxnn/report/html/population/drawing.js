// SVG elements, axes, and the marks of the members.

const marks = data.members.map(() => []);

function make(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function picture(holder, width, height, label) {
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  holder.replaceChildren(svg);
  return svg;
}

// A mark of a member; `kind` is its class, beside which stand its colour and whether it is faint.
function mark(parent, row, kind, name, attributes) {
  const element = make(name, { ...attributes, "data-row": row });
  marks[row].push([element, kind]);
  parent.append(element);
}

function cross(x, y, size) {
  return `M${x - size} ${y - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`;
}

function line(x1, y1, x2, y2, kind) {
  return make("line", { x1, y1, x2, y2, class: kind });
}

function words(text, x, y, kind, anchor) {
  return make("text", { x, y, class: kind, "text-anchor": anchor }, text);
}

// Draws both axes of a box, and returns where shares of them lie.
function axes(svg, box, xScale, yScale, xName, yName) {
  const { left, top, right, bottom } = box;
  const x = (part) => left + part * (right - left);
  const y = (part) => bottom - part * (bottom - top);
  for (const value of ticks(yScale, Math.max(2, (bottom - top) / 45))) {
    const at = y(share(yScale, value));
    svg.append(line(left, at, right, at, "grid-line"), words(format(value), left - 6, at + 4, "tick", "end"));
  }
  for (const value of ticks(xScale, Math.max(2, (right - left) / 60))) {
    const at = x(share(xScale, value));
    svg.append(line(at, top, at, bottom, "grid-line"), words(format(value), at, bottom + 16, "tick", "middle"));
  }
  svg.append(line(left, bottom, right, bottom, "axis-line"), line(left, top, left, bottom, "axis-line"));
  svg.append(words(xName, (left + right) / 2, bottom + 33, "axis-name", "middle"));
  svg.append(words(yName, 4, 14, "axis-name", "start"));
  return { x, y };
}

function epochScale() {
  return { kind: "linear", low: 0, high: Math.max(data.total, 1), whole: true };
}

// `across` is the place of an epoch.
function rungs(svg, across, top, bottom) {
  for (const epoch of data.rungs) {
    svg.append(line(across(epoch), top, across(epoch), bottom, "rung"));
  }
}

function fitted(text, width) {
  const most = Math.max(4, Math.floor(width / 7));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
