// Vega-Lite specifications of the plots. Expressions are interpreted and not compiled, as the content security policy requires.

const COSTS = {
  trainable: { label: "trainable parameters (millions)", value: (row) => (row.trainable ? row.trainable / 1e6 : null), log: true, show: points },
  seconds: { label: "training time (minutes, mean over the seeds)", value: (row) => (row.seconds ? row.seconds / 60 : null), show: points },
  train: { label: "time of a training step, relative to LoRA of equal total rank", value: ratioOf("train"), show: points },
  decode: { label: "time of a generated token, relative to LoRA of equal total rank", value: ratioOf("decode"), show: points },
  drift: { label: "drift from the base (nats per token)", value: (row) => (row.drift ? row.drift[0] : null), show: nats },
  loss_change: { label: "change of the loss on unrelated text (nats per token)", value: (row) => (row.loss_change ? row.loss_change[0] : null), show: nats },
};
const MANY = 24;
const views = new Map();

function theme() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const dark = document.documentElement.dataset.theme === "dark";
  return {
    text: color("text"), muted: color("muted"), line: color("line"), mark: color("mark"), bg: color("bg"), good: color("good"), bad: color("bad"),
    methods: dark
      ? ["#7fb0ff", "#ffb454", "#4fd1a5", "#ff8fb1", "#c9a2ff", "#e5d44f", "#7fdbff", "#b0bac6"]
      : ["#1d5fc4", "#b3560a", "#0a7a5c", "#b4245c", "#7038b8", "#7a6a00", "#00708c", "#566170"],
  };
}

async function draw(place, spec) {
  if (typeof vegaEmbed === "undefined") return;
  const look = theme();
  const axis = { labelColor: look.muted, titleColor: look.muted, gridColor: look.line, domainColor: look.line, tickColor: look.line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, gridOpacity: 0.6 };
  const config = { background: "transparent", font: "system-ui, sans-serif", view: { stroke: null }, axis, legend: { labelColor: look.text, titleColor: look.muted, labelFontSize: 12, labelLimit: 220 } };
  views.get(place)?.finalize();
  views.delete(place);
  const done = await vegaEmbed(byId(place), { ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" }, config }, { actions: false, renderer: "svg", ast: true, tooltip: { theme: "custom" } });
  views.set(place, done);
}

// Rows with a higher average than every row of equal or lower cost.
function frontier(items) {
  const best = [];
  for (const item of [...items].sort((a, b) => a.cost - b.cost || b.value - a.value)) {
    if (!best.length || item.value > best[best.length - 1].value) best.push(item);
  }
  return best;
}

function costItems() {
  const axis = COSTS[state.cost];
  return visible(current).filter((row) => row.kind !== "repeat").map((row) => ({ name: row.name, method: row.method, kind: row.kind, cost: axis.value(row), value: row.average[0], low: row.average[1], high: row.average[2], row }));
}

// Places names beside their points where they cover no other name, no point and no label of a line. Labels of tuned LoRA are at the
// right ends of their lines, and that of the base is at the left end. Names that do not fit are shown in tooltips and in the table
// only. Pixel positions are estimates, because the plot rounds its vertical axis.
function labelled(items, lines, log, width, height) {
  const at = (values, value, from, to) => { const [low, high] = [Math.min(...values), Math.max(...values)]; return high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2; };
  const costs = items.map((item) => (log ? Math.log(item.cost) : item.cost));
  const values = [...items, ...lines].flatMap((item) => [item.low ?? item.value, item.high ?? item.value]);
  const points = items.map((item, k) => ({ item, x: at(costs, costs[k], 30, width - 30), y: at(values, item.value, height - 20, 20) }));
  const taken = points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  for (const line of lines) {
    const [y, size] = [at(values, line.value, height - 20, 20), 6.6 * line.name.length + 4];
    taken.push({ left: line.label ? width - size : 0, right: line.label ? width : size, top: y - 13, bottom: y + 1 });
  }
  const labels = [];
  for (const { item, x, y } of points.sort((a, b) => a.y - b.y)) {
    const size = 6.6 * item.name.length;
    const sides = x < width / 2 ? [1, -1] : [-1, 1];
    for (const [dy, side] of [-8, 9, -22, 23, -36, 37, -50, 51].flatMap((dy) => sides.map((side) => [dy, side]))) {
      const box = { left: side > 0 ? x + 9 : x - 9 - size, right: side > 0 ? x + 9 + size : x - 9, top: y + dy - 7, bottom: y + dy + 7 };
      if (box.left < 0 || box.right > width || box.top < 0 || box.bottom > height) continue;
      if (taken.some((other) => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)) continue;
      taken.push(box);
      labels.push({ item, align: side > 0 ? "left" : "right", dx: 9 * side, dy });
      break;
    }
  }
  return labels;
}

function drawCost() {
  const axis = COSTS[state.cost];
  const items = costItems();
  const placed = items.filter((item) => item.cost !== null).map(({ row, ...rest }) => rest);
  const free = items.filter((item) => item.cost === null && item.row.method === "base").map(({ row, ...rest }) => rest);
  const tuned = tunedLines();
  byId("cost-caption").textContent = placed.length
    ? `Points show the CME average with its 95 % interval. The dashed line connects rows that have a higher average than every row of equal or lower cost. These differences need not be significant.${free.length ? " The dotted line shows the base model without training." : ""}${tuned.length ? ` ${TUNED}` : ""}`
    : "No shown row has a recorded value of this cost.";
  byId("cost-plot").hidden = !placed.length;
  if (!placed.length) { views.get("cost-plot")?.finalize(); views.delete("cost-plot"); byId("cost-plot").replaceChildren(); return; }
  const look = theme();
  const methods = [...new Set(compared.map((row) => row.method).concat(placed.map((item) => item.method)))];
  const narrow = byId("cost-plot").clientWidth < 520;
  const x = { field: "cost", type: "quantitative", title: axis.label, scale: axis.log ? { type: "log", nice: false, padding: 30 } : { type: "linear", zero: false, padding: 30 }, axis: { tickCount: 6, format: "~g" } };
  const y = { field: "value", type: "quantitative", title: "CME average", scale: { zero: false, nice: true }, axis: { tickCount: 7 } };
  const tooltip = [{ field: "name", title: "row" }, { field: "method", title: "method" }, { field: "cost", title: "cost", format: ".4~g" }, { field: "value", title: "average", format: ".2f" }, { field: "low", title: "from", format: ".2f" }, { field: "high", title: "to", format: ".2f" }];
  const color = { field: "method", type: "nominal", scale: { domain: methods, range: methods.map((_, k) => look.methods[k % look.methods.length]) }, legend: { title: null, values: methods.filter((name) => placed.some((item) => item.method === name)), orient: "bottom", columns: narrow ? 3 : 8 } };
  const layers = [
    { data: { values: free }, mark: { type: "rule", strokeDash: [2, 3], color: look.muted }, encoding: { y: { field: "value", type: "quantitative" } } },
    { data: { values: free }, mark: { type: "text", align: "left", dx: 4, dy: -6, x: 0, color: look.muted, fontSize: 11 }, encoding: { y: { field: "value", type: "quantitative" }, text: { field: "name" } } },
    { data: { values: tuned }, mark: { type: "rule", strokeWidth: 1.6, color: look.text }, encoding: { y: { field: "value", type: "quantitative" }, strokeDash: tunedDash(tuned) } },
    { data: { values: tuned }, mark: { type: "text", align: "right", dx: -4, dy: -6, x: "width", color: look.text, fontSize: 11 }, encoding: { y: { field: "value", type: "quantitative" }, text: { field: "name" } } },
    { data: { values: frontier(placed) }, mark: { type: "line", interpolate: "step-after", strokeDash: [5, 4], color: look.muted, strokeWidth: 1.2 }, encoding: { x, y } },
    { data: { values: placed.filter((item) => item.low !== null) }, mark: { type: "rule", strokeWidth: 1.6, opacity: placed.length > MANY ? 0.35 : 0.8 }, encoding: { x, y: { field: "low", type: "quantitative", title: "CME average" }, y2: { field: "high" }, color } },
    { data: { values: placed }, mark: { type: "point", filled: true, size: placed.length > MANY ? 45 : 90, opacity: 1 }, encoding: { x, y, color, shape: { field: "method", type: "nominal", scale: { domain: methods } }, tooltip, description: { field: "name" } } },
  ];
  const height = narrow ? 300 : 380;
  if (placed.length <= MANY) {
    for (const { item, align, dx, dy } of labelled(placed, [...free, ...tuned], axis.log, byId("cost-plot").clientWidth - 50, height)) {
      layers.push({ data: { values: [item] }, mark: { type: "text", align, dx, dy, fontSize: 11, color: color.scale.range[methods.indexOf(item.method)] }, encoding: { x, y, text: { field: "name" } } });
    }
  }
  draw("cost-plot", { height, description: `CME average against ${axis.label}; the table below contains the same numbers.`, layer: layers.filter((layer) => layer.data.values.length) });
}

// LoRA whose rate and settings a grid chose: what every other method must beat.
const TUNED = "The long-dashed line shows LoRA with the learning rate and settings that a grid chose.";

function tunedLines() {
  return data.tuned.map((line) => ({ ...line, label: line.name }));
}

function tunedDash(lines) {
  return { field: "label", type: "nominal", scale: { domain: lines.map((line) => line.label), range: lines.map(() => [9, 4]) }, legend: { title: null, orient: "bottom", symbolType: "stroke", symbolSize: 300, symbolStrokeColor: theme().text } };
}

function differenceItems() {
  const baseline = data.rows[state.baseline];
  if (!baseline) return [];
  return visible(compared).map((row) => ({ row, name: row.name, ...difference(row, baseline) })).filter((item) => item.value !== undefined);
}

function drawForest() {
  const items = differenceItems().sort((a, b) => b.value - a.value);
  const place = byId("forest-plot");
  const significant = items.filter((item) => item.significant).length;
  byId("forest-caption").textContent = items.length
    ? `${significant} of ${items.length} differences ${significant === 1 ? "is" : "are"} significant at the family-wise level ${data.pairs.alpha} (Holm’s correction over all ${pairs.half.length} pairs of the board, ${data.pairs.resamples} resamples).${data.tuned.length && data.rows[state.baseline].average[0] !== null ? ` ${TUNED}` : ""}`
    : pairs ? "No row matches the filter." : "This board has no paired comparison. A comparison needs two rows and a tier above smoke.";
  place.classList.toggle("tall", items.length > 40);
  place.hidden = !items.length;
  if (!items.length) { views.get("forest-plot")?.finalize(); views.delete("forest-plot"); place.replaceChildren(); return; }
  const look = theme();
  const paint = { better: look.good, tied: look.muted, worse: look.bad };
  const values = items.map(({ row, ...rest }) => {
    const verdict = rest.significant ? (rest.value > 0 ? "better" : "worse") : "tied";
    return { ...rest, verdict, fill: rest.significant ? paint[verdict] : look.bg };
  });
  const y = { field: "name", type: "nominal", sort: null, title: null, axis: { labelLimit: place.clientWidth < 520 ? 110 : 260, labelColor: look.text, ticks: false, domain: false, grid: true } };
  const color = { field: "verdict", type: "nominal", scale: { domain: Object.keys(paint), range: Object.values(paint) }, legend: { title: null, orient: "top", symbolFillColor: "transparent" } };
  const tooltip = [{ field: "name", title: "row" }, { field: "value", title: "difference", format: "+.2f" }, { field: "low", title: "from", format: "+.2f" }, { field: "high", title: "to", format: "+.2f" }, { field: "p", title: "Holm's p", format: ".4f" }, { field: "verdict", title: "verdict" }];
  const title = "difference in CME average (points)";
  const x = { field: "value", type: "quantitative", title, axis: { tickCount: 8, orient: items.length > 40 ? "top" : "bottom" } };
  draw("forest-plot", {
    height: items.length * (items.length > 40 ? 15 : 26),
    description: `Paired differences from ${data.rows[state.baseline].name}; the table below contains the same numbers.`,
    data: { values },
    layer: [
      { data: { values: [{ zero: 0 }] }, mark: { type: "rule", color: look.muted, strokeDash: [4, 3] }, encoding: { x: { field: "zero", type: "quantitative", title } } },
      ...tunedLayers(look, title),
      { mark: { type: "rule", strokeWidth: 2 }, encoding: { y, x: { field: "low", type: "quantitative", title, axis: x.axis }, x2: { field: "high" }, color } },
      { mark: { type: "point", size: 80, strokeWidth: 2, opacity: 1 }, encoding: { y, x, color, fill: { field: "fill", type: "nominal", scale: null }, tooltip, description: { field: "name" } } },
    ],
  });
}

// Vertical lines of tuned LoRA, at its difference from the compared row.
function tunedLayers(look, title) {
  const origin = data.rows[state.baseline].average[0];
  if (!data.tuned.length || origin === null) return [];
  const lines = tunedLines().map((line) => ({ ...line, value: line.value - origin }));
  const x = { field: "value", type: "quantitative", title };
  return [
    { data: { values: lines }, mark: { type: "rule", strokeWidth: 1.6, color: look.text }, encoding: { x, strokeDash: tunedDash(lines) } },
    { data: { values: lines }, mark: { type: "text", align: "left", dx: 4, y: 8, color: look.text, fontSize: 11 }, encoding: { x, text: { field: "name" } } },
  ];
}

function makePlotTables() {
  const costs = new SortedTable("cost-table", {
    caption: "CME average and cost of every row",
    columns: [nameColumn(), textColumn("Method", (row) => row.method), { label: "Cost", value: (row) => COSTS[state.cost].value(row), cell: (row, td) => { td.textContent = COSTS[state.cost].show(COSTS[state.cost].value(row)); } }, { label: "CME average", value: (row) => row.average[0], cell: averageCell }],
    sort: { index: 2, direction: 1 },
  });
  const forest = new SortedTable("forest-table", {
    caption: "Paired differences from the compared row", grouped: false,
    columns: [
      { label: "Row", key: true, text: true, value: (item) => item.name, cell: (item, th) => { th.textContent = item.name; } },
      numberColumn("Difference", (item) => item.value, signed),
      { label: "95 % interval", value: (item) => item.low, cell: (item, td) => { td.textContent = rangeText(item.low, item.high, signed); } },
      numberColumn("Holm’s p", (item) => item.p, pText),
      textColumn("Significant", (item) => (item.significant ? "yes" : "no")),
    ],
    sort: { index: 1, direction: -1 },
  });
  return () => {
    costs.show(visible(current).filter((row) => row.kind !== "repeat"));
    forest.show(differenceItems());
  };
}
