// One curve a member.

function codesOf(curve) {
  const bytes = Uint8Array.from(atob(curve.points), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return (index) => view.getUint16(2 * index, true);
}

function drawCurves(holder, note, curve, order) {
  if (!curve) {
    holder.textContent = "No epoch was completed.";
    return;
  }
  const width = holder.clientWidth, height = Math.max(260, Math.min(460, width * 0.55));
  const svg = picture(
    holder, width, height,
    `${curve.label} by epoch, a curve for each of ${data.members.length} members. The table of members has the numbers.`,
  );
  const box = { left: 52, top: 24, right: width - 12, bottom: height - 42 };
  const { x, y } = axes(svg, box, epochScale(), curve.scale, "epoch", curve.label);
  const across = (epoch) => x(share(epochScale(), epoch));
  rungs(svg, across, box.top, box.bottom);
  const code = codesOf(curve), count = data.epochs.length;
  for (const row of order) {
    let path = "", last = null;
    for (let index = 0; index < count; index += 1) {
      const value = code(row * count + index);
      if (!value) continue;
      last = [across(data.epochs[index]), y((value - 1) / 65534)];
      path += `${path ? "L" : "M"}${last[0].toFixed(1)} ${last[1].toFixed(1)}`;
    }
    if (!last) continue;
    mark(svg, row, "line", "path", { d: `${path}h0` });
    const kind = data.kindNames[data.kinds[row]];
    if (kind === "diverged") mark(svg, row, "cross", "path", { d: cross(...last, 3) });
    else if (kind !== "trained") mark(svg, row, "dot", "circle", { cx: last[0], cy: last[1], r: 2 });
  }
  const parts = [];
  if (data.rungs.length) parts.push("Dashed lines are rungs.");
  parts.push("A dot ends the curve of a member that was taken out or stopped early, a cross one that diverged.");
  if (curve.scale.cropped) parts.push("Values beyond the axis lie at its end.");
  if (count < data.training.length) parts.push(`Of ${data.training.length} epochs ${count} are drawn.`);
  note.textContent = parts.join(" ");
}
