// Parallel coordinates: an axis a knob, and the outcome as the last.

function drawParallel(holder, outcome, order) {
  const columns = [...data.columns.filter((column) => column.role === "knob"), outcome];
  const gap = Math.max(104, (holder.parentElement.clientWidth - 130) / Math.max(1, columns.length - 1));
  const width = Math.max(240, 100 + gap * (columns.length - 1)), height = 340;
  const top = 36, bottom = height - 16, left = 56;
  const svg = picture(
    holder, width, height,
    `Parallel coordinates of ${columns.map((column) => column.label).join(", ")}, a line for each of ${data.members.length} members. The table of members has the numbers.`,
  );
  const y = (part) => bottom - part * (bottom - top);
  for (const row of order) {
    let path = "";
    columns.forEach((column, index) => {
      const value = column.values[row];
      if (value === null) return;
      path += `${path ? "L" : "M"}${(left + index * gap).toFixed(1)} ${y(share(column.scale, value)).toFixed(1)}`;
    });
    if (path) mark(svg, row, "line", "path", { d: path });
  }
  columns.forEach((column, index) => {
    const at = left + index * gap;
    const isLast = index > 0 && index === columns.length - 1;
    const name = words(fitted(column.label, gap), isLast ? width - 2 : at, 16, "axis-name", isLast ? "end" : "middle");
    name.append(make("title", {}, column.label));
    svg.append(name, line(at, top, at, bottom, "axis-line"));
    for (const value of ticks(column.scale, 5)) {
      const place = y(share(column.scale, value));
      svg.append(line(at - 4, place, at, place, "axis-line"), words(format(value), at - 7, place + 4, "tick halo", "end"));
    }
  });
}
