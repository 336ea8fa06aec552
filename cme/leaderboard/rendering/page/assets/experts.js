// The section about experts: a table of rows, and for one adapter a heat map of its load and two plots with their tables.

const adapters = data.experts.adapters;
const lab = { adapter: 0, load: "subjects", measure: "gain", drawn: new Set() };
const KINDS = { all: "all experts", base: "no expert (the base)", top1: "top 1 per token", "top1-renormalised": "top 1, renormalised" };
const GROUP = { top1: "top 1 per token", "top1-renormalised": "top 1 per token", keep: "one expert alone", drop: "all but one" };
const MEASURES = {
  gain: { label: "share of the gain over the base (%)", show: (value) => (value === null ? ABSENT : `${value.toFixed(1)} %`) },
  score: { label: "CME average (points)", show: points },
};

const maskTitle = (item) => (item.kind === "keep" ? `expert ${item.expert} alone` : item.kind === "drop" ? `without expert ${item.expert}` : KINDS[item.kind] || item.kind);
const percent = (share) => (100 * share).toFixed(1);
const minus = (value) => (value === null ? ABSENT : points(value).replace("-", "−"));
const correlation = (item) => (item === null ? "undefined" : item[1] === null ? minus(item[0]) : `${minus(item[0])} (95 %: ${rangeText(item[1], item[2], minus)})`);
const adapterName = (item) => `${data.rows[item.row].name}${data.rows[item.row].runs.length > 1 ? `, seed ${item.seed}` : ""}`;
const chosenAdapter = () => adapters[lab.adapter];

function figureColumn(label, key, title, show = points) {
  return {
    label, title, value: (row) => row[key] && row[key][0],
    cell: (row, td) => {
      td.append(show(row[key] && row[key][0]));
      if (row[key] && row[key][1] !== null) td.append(" ", el("span", { class: "small", text: rangeText(row[key][1], row[key][2], show) }));
    },
  };
}

function shareColumn(label, key, title, show = points) {
  const column = figureColumn(label, key, title, show);
  return { ...column, cell: (row, td) => (row[key] === null && row.undefined ? td.append("undefined") : column.cell(row, td)) };
}

function makeUse() {
  const name = (row) => data.rows[row.row].name;
  const table = new SortedTable("use-table", {
    caption: "Experts in use", grouped: false, sort: { index: 5, direction: -1 },
    columns: [
      { label: "Row", key: true, text: true, value: name, cell: (row, th) => th.append(el("button", { type: "button", class: "link", text: name(row), title: name(row), on: { click: () => openDetails(data.rows[row.row]) } })) },
      textColumn("Method", (row) => data.rows[row.row].method),
      { label: "Experts", value: (row) => row.experts, cell: (row, td) => { td.textContent = `${row.experts} × ${row.rank}`; } },
      { label: "Seeds", title: "seeds with an analysis", value: (row) => row.seeds, cell: (row, td) => { td.textContent = row.seeds === row.runs ? String(row.seeds) : `${row.seeds} of ${row.runs}`; } },
      figureColumn("Effective experts", "effective", "exp of the entropy of the mean φ in a layer, averaged over the layers"),
      figureColumn("Entropy: % of ln k", "entropy", "entropy of the mean φ in a layer: 100 % is an even load, for any number k of experts"),
      figureColumn("Subjects: % of ln k", "information", "mutual information of expert and MMLU subject without its bias"),
      numberColumn("p", (row) => row.p, (p) => (p === null ? ABSENT : pText(p)), { title: "largest p of the seeds’ permutation tests of whether the load depends on the subject" }),
      shareColumn("Top 1: % of gain", "top1", "share of the gain over the base that remains if every token uses its largest gate weight alone; undefined if the interval of the gain contains 0"),
      shareColumn("Top 1 renormalised", "top1_renormalised", "the same with gate weights scaled to the sum of all"),
      figureColumn("Spearman φ, Shapley", "agreement", "correlation of mean φ and Shapley values over pairs of dataset and expert", minus),
      ...(data.experts.rows.some((row) => row.worth) ? [figureColumn("Router is worth", "worth", "routed adapter minus the best plain LoRA export, in points of the CME average", minus)] : []),
    ],
  });
  return () => table.show(data.experts.rows.filter((row) => visible([data.rows[row.row]]).length));
}

// One scale for all adapters with the same number of experts, so that an even load looks even: from 0 to twice the even load,
// or to the largest load of all.
function loadScale(experts) {
  const loads = adapters.filter((item) => item.experts === experts && item.load).flatMap(({ load }) => [...load.subjects, ...load.datasets]);
  return Math.max(2 / experts, ...loads.flatMap(([, phi]) => phi));
}

// The heat map is a table, so that every value can be read, sorted and reached by keyboard.
function showLoad() {
  const item = chosenAdapter();
  const place = byId("load-map");
  for (const part of document.querySelectorAll(".needs-load")) part.hidden = !item.load;
  if (!item.load) return;
  const kinds = ["subjects", "datasets"].filter((kind) => item.load[kind].length);
  if (!kinds.includes(lab.load)) lab.load = kinds[0];
  options(byId("load-groups"), kinds.map((kind) => [kind, kind === "subjects" ? "subjects of MMLU" : "datasets"]), lab.load);
  const lines = item.load[lab.load].map(([name, phi]) => ({ name, phi }));
  const high = loadScale(item.experts);
  byId("load-low").textContent = "0 %";
  byId("load-high").textContent = `${percent(high)} % (one scale for all adapters with ${item.experts} experts; an even load is ${percent(1 / item.experts)} %)`;
  const cell = (k) => (line, td) => {
    td.className = "n heat score";
    td.style.setProperty("--t", String(Math.round((STRONGEST * Math.max(line.phi[k], 0)) / high)));
    td.textContent = percent(line.phi[k]);
  };
  const what = lab.load === "subjects" ? "Subject" : "Dataset";
  new SortedTable("load-map", {
    caption: `Mean φ of each expert of ${adapterName(item)} over the tokens of prompts, in per cent`, grouped: false, sort: { index: 1, direction: -1 },
    columns: [
      { label: what, key: true, text: true, value: (line) => line.name, cell: (line, th) => { th.textContent = line.name.replaceAll("_", " "); } },
      ...item.load.phi.map((_, k) => ({ label: `Expert ${k}`, value: (line) => line.phi[k], cell: cell(k) })),
    ],
  }).show(lines);
  place.querySelector("table").classList.add("map");
}

const maskItems = () => chosenAdapter().masks.map((item) => ({ ...item, title: maskTitle(item), group: GROUP[item.kind], shown: item[lab.measure] }));

function clearPlot(place, empty) {
  byId(place).hidden = empty;
  if (!empty) return;
  views.get(place)?.finalize();
  views.delete(place);
  byId(place).replaceChildren();
}

function drawMasks() {
  const items = maskItems().filter((item) => item.group && item.shown[0] !== null);
  clearPlot("masks-plot", !items.length);
  if (!items.length) return;
  const look = theme();
  const groups = [...new Set(Object.values(GROUP))];
  const values = items.map(({ title, group, shown: [value, low, high] }) => ({ title, group, value, low, high, text: MEASURES[lab.measure].show(value) }));
  const marks = maskItems().filter((item) => !item.group).map((item) => ({ value: item.shown[0], title: item.title })).filter((item) => item.value !== null);
  const title = MEASURES[lab.measure].label;
  const y = { field: "title", type: "nominal", sort: null, title: null, axis: { labelLimit: 200, labelColor: look.text, ticks: false, domain: false } };
  const scale = { zero: lab.measure === "gain", nice: true };
  const x = { field: "value", type: "quantitative", title, scale, axis: { tickCount: 7 } };
  const color = { field: "group", type: "nominal", scale: { domain: groups, range: [look.methods[0], look.methods[1], look.methods[2]] }, legend: { title: null, orient: "bottom" } };
  const tooltip = [{ field: "title", title: "experts" }, { field: "text", title }, { field: "low", title: "from", format: ".1f" }, { field: "high", title: "to", format: ".1f" }];
  const layer = [
    { data: { values: marks }, mark: { type: "rule", color: look.muted, strokeDash: [4, 3] }, encoding: { x: { field: "value", type: "quantitative", title, scale } } },
    { data: { values: marks }, mark: { type: "text", align: "center", dy: -8, y: 0, color: look.muted, fontSize: 11 }, encoding: { x: { field: "value", type: "quantitative" }, text: { field: "title" } } },
    { data: { values: values.filter((item) => item.low !== null) }, mark: { type: "rule", strokeWidth: 2 }, encoding: { y, x: { field: "low", type: "quantitative", title, scale }, x2: { field: "high" }, color } },
    { data: { values }, mark: { type: "point", filled: true, size: 90, opacity: 1 }, encoding: { y, x, color, shape: { field: "group", type: "nominal", scale: { domain: groups } }, tooltip, description: { field: "title" } } },
  ];
  if (lab.measure === "gain") layer.splice(2, 0, { data: { values }, mark: { type: "bar", height: 14, opacity: 0.35 }, encoding: { y, x, color } });
  draw("masks-plot", { height: 24 * items.length, description: `${title} with some experts masked; the table below contains the same numbers.`, layer: layer.filter((item) => item.data.values.length) });
}

function pointItems() {
  const shapley = chosenAdapter().shapley;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return (shapley ? shapley.datasets : []).flatMap(([dataset, gates, values]) => {
    const centre = mean(values.map(([value]) => value));
    return values.map((whole, k) => ({
      dataset, expert: `expert ${k}`, phi: 100 * (gates[k] - mean(gates)), value: whole[0] - centre, whole,
      text: whole[1] === null ? minus(whole[0]) : `${minus(whole[0])} (95 %: ${rangeText(whole[1], whole[2], minus)})`,
    }));
  });
}

function drawAgreement() {
  const items = pointItems();
  clearPlot("agreement-plot", !items.length);
  if (!items.length) return;
  const look = theme();
  const experts = [...new Set(items.map((item) => item.expert))];
  const key = (channel, range) => ({ field: "expert", type: "nominal", scale: { domain: experts, ...(range ? { range } : {}) }, legend: { title: null, orient: "bottom", columns: byId("agreement-plot").clientWidth < 520 ? 3 : 6 } });
  const x = { field: "phi", type: "quantitative", title: "mean φ minus the mean over the experts (%)", axis: { tickCount: 6 } };
  const y = { field: "value", type: "quantitative", title: "Shapley value minus the mean (points)", axis: { tickCount: 6 } };
  const rule = (channel) => ({ data: { values: [{ zero: 0 }] }, mark: { type: "rule", color: look.muted, strokeDash: [4, 3] }, encoding: { [channel]: { field: "zero", type: "quantitative", title: (channel === "x" ? x : y).title } } });
  const tooltip = [{ field: "dataset", title: "dataset" }, { field: "expert", title: "expert" }, { field: "phi", title: "φ", format: "+.2f" }, { field: "value", title: "minus the mean", format: "+.2f" }, { field: "text", title: "Shapley value" }];
  draw("agreement-plot", {
    height: 320,
    description: "Shapley values against mean φ, one point for each dataset and expert; the table below contains the same numbers.",
    layer: [rule("x"), rule("y"), { data: { values: items }, mark: { type: "point", size: 70, strokeWidth: 2, opacity: 1, filled: false }, encoding: { x, y, color: key("color", experts.map((_, k) => look.methods[k % look.methods.length])), shape: key("shape"), tooltip, description: { field: "dataset" } } }],
  });
}

function showValues() {
  const item = chosenAdapter();
  const masked = (kind, k) => item.masks.find((mask) => mask.kind === kind && mask.expert === k);
  const share = (mask) => (mask && mask.gain[0] !== null ? mask.gain : null);
  const lines = Array.from({ length: item.experts }, (_, k) => ({
    expert: k,
    value: item.shapley ? item.shapley.values[k] : null,
    soft: item.shapley ? item.shapley.soft[k] : null,
    phi: item.load ? [100 * item.load.phi[k], null, null] : null,
    keep: share(masked("keep", k)),
    drop: share(masked("drop", k)),
    undefined: item.masks.some((mask) => mask.gain[0] === null),
  }));
  new SortedTable("values-table", {
    caption: `What each expert of ${adapterName(item)} is worth, with 95 % intervals over samples`, grouped: false, sort: { index: 0, direction: 1 },
    columns: [
      { label: "Expert", key: true, ascending: true, value: (line) => line.expert, cell: (line, th) => { th.textContent = String(line.expert); } },
      figureColumn("Shapley value (points)", "value", "mean contribution to the CME average when the experts join in a random order"),
      figureColumn("Soft Shapley value (points)", "soft", "the same for the soft average"),
      figureColumn("Mean φ (%)", "phi", "over the tokens of the prompts of the suite", (value) => (value === null ? ABSENT : value.toFixed(1))),
      shareColumn("Alone: % of gain", "keep", "share of the gain over the base that remains with this expert alone", (value) => (value === null ? ABSENT : value.toFixed(1))),
      shareColumn("Without it: % of gain", "drop", "share of the gain over the base that remains without this expert", (value) => (value === null ? ABSENT : value.toFixed(1))),
    ],
  }).show(lines);
  new SortedTable("masks-table", {
    caption: `CME average and share of the gain with some experts of ${adapterName(item)} masked`, grouped: false, sort: { index: 1, direction: -1 },
    columns: [
      { label: "Experts", key: true, text: true, value: maskTitle, cell: (mask, th) => { th.textContent = maskTitle(mask); } },
      figureColumn("CME average", "score", "with its 95 % interval"),
      figureColumn("% of gain", "gain", "(masked − base) / (full − base), with Fieller’s 95 % interval; undefined if the interval of the gain contains 0", (value) => (value === null ? "undefined" : value.toFixed(1))),
    ],
  }).show(item.masks);
  new SortedTable("agreement-table", {
    caption: `Mean φ and Shapley values of ${adapterName(item)}, both minus the mean over the experts of a dataset`, grouped: false, sort: { index: 0, direction: 1 },
    columns: [
      { label: "Dataset", key: true, text: true, value: (point) => point.dataset, cell: (point, th) => { th.textContent = point.dataset; } },
      textColumn("Expert", (point) => point.expert),
      numberColumn("φ (%)", (point) => point.phi, signed),
      numberColumn("Shapley value (points)", (point) => point.value, signed),
      figureColumn("Before the mean is subtracted", "whole", "Shapley value in points, with its 95 % interval over samples"),
    ],
  }).show(pointItems());
}

function showExperts() {
  const item = chosenAdapter();
  const undefinedGain = item.masks.some((mask) => mask.gain[0] === null);
  if (undefinedGain) lab.measure = "score";
  byId("masks-measure").value = lab.measure;
  for (const part of document.querySelectorAll(".needs-masks")) part.hidden = !item.masks.length;
  for (const part of document.querySelectorAll(".needs-shapley")) part.hidden = !item.shapley;
  for (const part of document.querySelectorAll(".needs-points")) part.hidden = !pointItems().length;
  const kept = item.masks.filter((mask) => mask.kind === "keep" && mask.gain[0] !== null).map((mask) => mask.gain[0]);
  byId("masks-caption").textContent = kept.length
    ? `A single expert for all tokens keeps ${Math.min(...kept).toFixed(1)} to ${Math.max(...kept).toFixed(1)} % of the gain over the base. Lines are 95 % intervals over samples.`
    : "The interval of the gain over the base contains 0, so no share of it is defined.";
  if (item.shapley) byId("agreement-caption").textContent = `One point for each dataset and expert. Spearman’s correlation is ${correlation(item.shapley.agreement)}. Points on a rising line would mean that the router gives load to the experts that are worth most.`;
  showLoad();
  showValues();
  redrawExperts();
}

const EXPERT_PLOTS = { "masks-plot": drawMasks, "agreement-plot": drawAgreement };

function redrawExperts() {
  for (const place of lab.drawn) EXPERT_PLOTS[place]();
}

function watchExperts() {
  const watcher = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting || lab.drawn.has(entry.target.id)) continue;
      lab.drawn.add(entry.target.id);
      EXPERT_PLOTS[entry.target.id]();
    }
  }, { rootMargin: "300px" });
  for (const place of Object.keys(EXPERT_PLOTS)) watcher.observe(byId(place));
}

const showUse = makeUse();
showUse();
for (const id of ["filter", "method", "references"]) byId(id).addEventListener(id === "filter" ? "input" : "change", showUse);
byId("experts-left").hidden = !data.experts.left_out;
byId("experts-left").textContent = `${data.experts.left_out} further adapters are left out, because they would make the page too large. Their values are in the entries beside it.`;
for (const part of document.querySelectorAll(".needs-adapter")) part.hidden = !adapters.length;
if (adapters.length) {
  options(byId("adapter"), adapters.map((item, place) => [String(place), adapterName(item)]), "0");
  options(byId("masks-measure"), Object.entries(MEASURES).map(([key, measure]) => [key, measure.label]), lab.measure);
  const on = (id, change) => byId(id).addEventListener("change", (fired) => { change(fired.target.value); showExperts(); });
  on("adapter", (value) => { lab.adapter = Number(value); });
  on("load-groups", (value) => { lab.load = value; });
  byId("masks-measure").addEventListener("change", (fired) => { lab.measure = fired.target.value; if (lab.drawn.has("masks-plot")) drawMasks(); });
  byId("theme").addEventListener("click", redrawExperts);
  showExperts();
  addEventListener("DOMContentLoaded", watchExperts);
}
