"use strict";
// The data of the page. Texts of entries enter the document only through textContent and option labels.
const data = JSON.parse(document.getElementById("data").textContent);
const ABSENT = "–";
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") node.textContent = value;
    else if (key === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function bytes(text) {
  const raw = atob(text);
  const decoded = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) decoded[k] = raw.charCodeAt(k);
  return decoded;
}

function floats(text) {
  const view = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, k) => view.getFloat32(4 * k, true));
}

// A negative number that rounds to zero has no sign.
const fixed = (value, digits) => value.toFixed(digits).replace(/^-(0\.0+)$/, "$1");
const points = (value) => (value === null || value === undefined ? ABSENT : fixed(value, 2));
const nats = (value) => (value === null || value === undefined ? ABSENT : fixed(value, 4));
const signed = (value) => (value === null ? ABSENT : (fixed(value, 2).startsWith("-") ? "−" : "+") + Math.abs(value).toFixed(2));
const whole = (value) => (value === null || value === undefined ? ABSENT : String(value));
const pText = (p) => (p < 0.0001 ? "≤ 0.0001" : p.toFixed(4));
const rangeText = (low, high, show = points) => (low === null || low === undefined ? "" : `${show(low)} to ${show(high)}`);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return ABSENT;
  const rounded = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  if (rounded < 3600) return `${Math.floor(rounded / 60)}:${two(rounded % 60)} min`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`;
}

data.rows.forEach((row, index) => { row.index = index; });
const compared = data.rows.filter((row) => row.kind === "row");
const current = data.rows.filter((row) => ["row", "repeat", "reference"].includes(row.kind));
const partial = data.rows.filter((row) => row.kind === "partial"); // baselines that answer only some datasets and have no average
const state = { text: "", method: "", references: true, baseline: null, dataset: 0, shade: "score", cost: null };

// Differences of all pairs in the order (0, 1), (0, 2), …, (1, 2), … of the rows.
const pairs = data.pairs && {
  half: floats(data.pairs.half),
  p: floats(data.pairs.p),
  significant: bytes(data.pairs.significant),
  place: new Map(data.pairs.rows.map((name, index) => [name, index])),
};

// The first row minus the second as {value, low, high, p, significant}; null if the rows were not compared.
function difference(first, second) {
  if (!pairs || !pairs.place.has(first.name) || !pairs.place.has(second.name) || first === second) return null;
  const [a, b] = [pairs.place.get(first.name), pairs.place.get(second.name)];
  const [i, j] = a < b ? [a, b] : [b, a];
  const count = pairs.place.size;
  const k = (i * (2 * count - i - 1)) / 2 + (j - i - 1);
  const value = first.average[0] - second.average[0];
  return {
    value,
    low: Math.max(value - pairs.half[k], -100),
    high: Math.min(value + pairs.half[k], 100),
    p: pairs.p[k],
    significant: Boolean((pairs.significant[k >> 3] >> (k & 7)) & 1),
  };
}

// Rows that match the filter.
function visible(rows = data.rows) {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (state.method && row.method !== state.method) return false;
    if (!state.references && (row.kind === "reference" || row.kind === "partial")) return false;
    const text = `${row.name} ${row.method} ${row.remark}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function options(select, items, chosen) {
  select.replaceChildren(...items.map(([value, label]) => el("option", { value, text: label })));
  if (chosen !== undefined && chosen !== null) select.value = String(chosen);
}

const nameOptions = (rows) => rows.map((row) => [String(row.index), row.name]);
