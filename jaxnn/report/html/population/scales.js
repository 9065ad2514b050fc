// Where values lie on an axis, which of them are named, and how numbers read.

const data = JSON.parse(document.getElementById("data").textContent);

function share(scale, value) {
  if (value === null) return null;
  const { kind, low, high } = scale;
  if (kind === "linear") return high > low ? between((value - low) / (high - low)) : 0.5;
  if (value <= 0) return 0;
  const part = high > low ? between(Math.log(value / low) / Math.log(high / low)) : 0.5;
  return kind === "log0" ? data.zeroGap + (1 - data.zeroGap) * part : part;
}

function between(part) {
  return Math.min(1, Math.max(0, part));
}

function ticks(scale, most) {
  const { kind, low, high } = scale;
  if (!(high > low)) return [low];
  if (kind === "linear") return linearTicks(low, high, most).filter((value) => !scale.whole || Number.isInteger(value));
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / most));
  let found = [];
  for (let power = first; power <= last; power += every) found.push(Number(`1e${power}`));
  if (found.length < 3) {
    const finer = [first - 1, ...found.map(Math.log10), last + 1].flatMap((power) => {
      return [1, 2, 5].map((factor) => Number(`${factor}e${Math.round(power)}`));
    });
    found = [...new Set(finer)].filter((value) => value >= low && value <= high).sort((a, b) => a - b);
  }
  if (found.length < 2) found = [low, high];
  return kind === "log0" ? [0, ...found] : found;
}

function linearTicks(low, high, most) {
  const rough = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough * 0.999);
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-9; number += 1) {
    found.push(Number((number * step).toPrecision(12)));
  }
  return found;
}

function format(value) {
  if (value === null) return "none";
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(3).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(4)));
}
