// How many members train at each epoch, and how many ended there in which way.

function drawEndings(holder, note) {
  const count = data.members.length, column = data.columns.find((each) => each.role === "epochs");
  const width = holder.clientWidth, height = 240;
  const ended = new Map();
  data.kinds.forEach((kind, row) => {
    if (!kind) return;
    const epoch = column.values[row];
    if (!ended.has(epoch)) ended.set(epoch, data.kindNames.map(() => 0));
    ended.get(epoch)[kind] += 1;
  });
  const total = data.kindNames.map((_, kind) => data.kinds.filter((each) => each === kind).length);
  const told = data.kindNames.map((name, kind) => `${total[kind]} ${name}`).join(", ");
  const svg = picture(holder, width, height, `Members that train at each epoch, and how they ended: ${told}. The table of endings has the numbers.`);
  const box = { left: 52, top: 24, right: width - 12, bottom: height - 42 };
  const most = data.training.reduce((high, [, alive]) => Math.max(high, alive), count);
  const yScale = { kind: "linear", low: 0, high: most, whole: true };
  const { x, y } = axes(svg, box, epochScale(), yScale, "epoch", "members");
  const across = (epoch) => x(share(epochScale(), epoch)), up = (number) => y(number / most);
  let path = "";
  for (const [epoch, alive] of data.training) {
    path += `${path ? "L" : `M${across(epoch - 1)} ${box.bottom}L`}${across(epoch - 1)} ${up(alive)}L${across(epoch)} ${up(alive)}`;
  }
  if (path) svg.append(make("path", { d: `${path}V${box.bottom}Z`, class: "area" }));
  rungs(svg, across, box.top, box.bottom);
  const thick = Math.max(2, Math.min(14, (0.6 * (box.right - box.left)) / Math.max(data.total, 1)));
  for (const [epoch, counts] of ended) {
    let below = 0;
    counts.forEach((number, kind) => {
      if (!number) return;
      const high = up(below + number);
      svg.append(make("rect", { x: across(epoch) - thick / 2, y: high, width: thick, height: up(below) - high, class: `bar k${kind}` }));
      below += number;
    });
  }
  note.replaceChildren("The area counts the members that train; a bar counts those that ended at its epoch:");
  data.kindNames.forEach((name, kind) => {
    if (!kind || !total[kind]) return;
    const swatch = document.createElement("span");
    swatch.className = `swatch inline k${kind}`;
    note.append(" ", swatch, ` ${name} (${total[kind]})`);
  });
  if (!ended.size) note.append(" none so far");
  note.append(data.rungs.length ? ". Dashed lines are rungs." : ".");
}
