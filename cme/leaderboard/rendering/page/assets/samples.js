// One dataset: intervals of all rows, and single samples of two rows. The page has texts of the mini corpus only; `cme show` shows others.

const PAGE = 25;
const HALF = 128;
const FILTERS = [
  ["all", "all", () => true],
  ["a-wrong", "A wrong", (a) => a < HALF],
  ["a-right", "A right", (a) => a >= HALF],
  ["only-a", "A better than B", (a, b) => a > b],
  ["only-b", "B better than A", (a, b) => b > a],
  ["none", "wrong in every row", (a, b, share) => share === 0],
  ["every", "right in every row", (a, b, share) => share === 1],
];
const drill = { a: null, b: null, filter: "all", page: 0, opened: null, folder: "", tables: new Map() };

const mark = (score) => (score === 255 ? "✓" : score === 0 ? "✗" : (score / 255).toFixed(2));
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// Scores of a dataset for the rows of `current`, [rows][samples].
function sampleScores(name) {
  if (!drill.tables.has(name)) {
    const table = data.samples.datasets[name];
    const count = table ? table.ids.length : 0;
    const all = table ? bytes(table.scores) : new Uint8Array();
    drill.tables.set(name, current.map((_, k) => all.subarray(k * count, (k + 1) * count)));
  }
  return drill.tables.get(name);
}

function openDataset(index) {
  state.dataset = index;
  byId("dataset").value = String(index);
  drill.page = 0;
  showDataset();
  byId("samples").scrollIntoView();
  byId("dataset").focus({ preventScroll: true });
}

function showDataset() {
  const item = data.datasets[state.dataset];
  if (!item) return;
  byId("dataset-facts").textContent = `${item.name}: ${item.metric}, ${item.n} samples in ${item.clusters} independent clusters, chance ${points(item.chance)}${item.counted ? "" : "; not counted in the CME average"}.`;
  const pick = (row) => row.datasets[state.dataset];
  const rows = visible([...current, ...partial]).filter(pick);
  const scale = scaleOf(rows.map(pick));
  const baseline = data.rows[state.baseline];
  const table = new SortedTable("dataset-table", {
    caption: `Scores on ${item.name} with 95 % intervals`,
    columns: [
      nameColumn(),
      { label: "Score", value: (row) => pick(row)[0], cell: (row, td) => { td.append(el("strong", { text: points(pick(row)[0]) })); if (pick(row)[1] !== null) td.append(" ", el("span", { class: "small", text: rangeText(pick(row)[1], pick(row)[2]) })); } },
      { label: "95 % interval", text: true, value: (row) => pick(row)[1], cell: (row, td) => td.append(track(pick(row), scale)) },
      ...(current.includes(baseline) ? [numberColumn("Minus compared row", (row) => (row === baseline ? 0 : pick(row)[0] - pick(baseline)[0]), signed)] : []),
    ],
    sort: { index: 1, direction: -1 },
  });
  table.show(rows);
  showSamples();
}

function sampleItems(name) {
  const { ids } = data.samples.datasets[name];
  const scores = sampleScores(name);
  const places = compared.map((row) => current.indexOf(row));
  const test = FILTERS.find(([key]) => key === drill.filter)[2];
  const items = ids.map((id, k) => {
    const right = places.filter((place) => scores[place][k] >= HALF).length;
    return { id, k, a: scores[drill.a]?.[k], b: scores[drill.b]?.[k], right, share: right / (places.length || 1) };
  });
  return items.filter((item) => test(item.a, item.b, item.share));
}

function showSamples() {
  const place = byId("samples-table");
  const item = data.datasets[state.dataset];
  const table = item && data.samples.datasets[item.name];
  if (!table || !table.ids.length) {
    byId("samples-hint").textContent = "This page contains no single samples, because they would make it too large. The samples folder beside it contains them.";
    place.replaceChildren();
    return;
  }
  const kept = table.ids.length < table.total ? `The page contains the first ${table.ids.length} of ${table.total} samples. The samples folder beside it contains all of them. ` : "";
  byId("samples-hint").textContent = `${kept}✓ means a score of 1 and ✗ a score of 0. Values in between are means over seeds or partial scores. A sample counts as right from a score of 0.5. Select “open” to see the score of every row, and the text of the sample or the command that shows it.`;
  const items = sampleItems(item.name);
  const pages = Math.max(1, Math.ceil(items.length / PAGE));
  drill.page = Math.min(drill.page, pages - 1);
  const shown = items.slice(drill.page * PAGE, (drill.page + 1) * PAGE);
  const [a, b] = [current[drill.a], current[drill.b]];
  const head = el("thead", {}, el("tr", {}, ...["Sample", "A", "B", "Rows right", ""].map((text, k) => el("th", { scope: "col", class: k === 0 ? "key" : null, text, title: k === 1 ? a?.name : k === 2 ? b?.name : null }))));
  const body = el("tbody");
  for (const sample of shown) body.append(...sampleLines(item, sample));
  if (!shown.length) body.append(el("tr", {}, el("td", { colspan: 5, text: "No sample matches the filter." })));
  const caption = el("caption", { text: `Samples of ${item.name}; A is ${a?.name}, B is ${b?.name}` });
  const move = (step) => () => { drill.page += step; drill.opened = null; showSamples(); };
  place.replaceChildren(
    el("div", { class: "scroll", role: "region", "aria-label": `Samples of ${item.name}`, tabindex: "0" }, el("table", {}, caption, head, body)),
    el("div", { class: "pager" },
      el("button", { type: "button", text: "Previous", disabled: drill.page === 0, on: { click: move(-1) } }),
      el("span", { role: "status", text: `${items.length} samples, page ${drill.page + 1} of ${pages}` }),
      el("button", { type: "button", text: "Next", disabled: drill.page + 1 >= pages, on: { click: move(1) } })),
  );
}

function scoreCell(score) {
  return el("td", { class: score >= HALF ? "good" : "bad", text: mark(score) });
}

function sampleLines(item, sample) {
  const opened = drill.opened === sample.id;
  const toggle = () => { drill.opened = opened ? null : sample.id; showSamples(); byId("samples-table").querySelector(`[data-k="${sample.k}"]`)?.focus(); };
  const button = el("button", { type: "button", class: "link", "aria-expanded": String(opened), "data-k": sample.k, "aria-label": `${opened ? "Close" : "Open"} sample ${sample.id}`, text: opened ? "close" : "open", on: { click: toggle } });
  const line = el("tr", {}, el("th", { scope: "row" }, el("code", { text: sample.id })), scoreCell(sample.a), scoreCell(sample.b), el("td", { text: `${sample.right} of ${compared.length}` }), el("td", {}, button));
  return opened ? [line, el("tr", {}, el("td", { class: "sample", colspan: 5 }, el("div", {}, ...sampleDetails(item, sample))))] : [line];
}

function sampleDetails(item, sample) {
  const scores = sampleScores(item.name);
  const list = (title, rows) => el("p", {}, el("strong", { text: `${title}: ` }), rows.length ? rows.map((row) => `${row.name} ${mark(scores[current.indexOf(row)][sample.k])}`).join(", ") : "none");
  const rows = visible(current);
  const isRight = (row) => scores[current.indexOf(row)][sample.k] >= HALF;
  const folder = el("input", { type: "text", id: "folder", value: drill.folder || `results/${current[drill.a].name}`, on: { input: (event) => { drill.folder = event.target.value; answers.textContent = command(); } } });
  const command = () => `cme show ${quote(folder.value)} --dataset ${quote(item.name)} --id ${quote(sample.id)}`;
  const answers = el("code", { text: command() });
  return [
    list("Right", rows.filter(isRight)),
    list("Wrong", rows.filter((row) => !isRight(row))),
    ...sampleText(item, sample),
    el("p", { class: "small", text: "The answer of row A is in the folder that cme eval wrote. This command shows it:" }),
    el("label", {}, "Results folder", folder),
    commandLine(answers, "Copy the command that shows the answer"),
  ];
}

// The question, or the command that shows it if its text is not in the page.
function sampleText(item, sample) {
  const text = data.samples.texts[item.name]?.[sample.k];
  if (!text) {
    const source = data.source === "hub" ? "hub" : data.source.split(":")[0] === "mini" ? data.source : "FOLDER";
    const where = source === "FOLDER" ? ` (FOLDER is the folder with the rows of ${data.source})` : "";
    const code = el("code", { text: `cme show --dataset ${quote(item.name)} --source ${quote(source)} --id ${quote(sample.id)}` });
    return [el("p", { class: "small", text: `The text is not in this page. This command shows it${where}:` }), commandLine(code, "Copy the command that shows the text")];
  }
  const [prompt, options, gold, accepted] = text;
  const answers = accepted.map((answer) => answer || "(no answer)").join(" / ");
  const choices = options.map((option, k) => el("li", { class: k === gold ? "good" : null, text: option.trim() + (k === gold ? " ← right" : "") }));
  return [
    data.plain ? null : el("p", { class: "small", text: "This is the question in format plain, without examples. The rows were evaluated with the prompt format and the shots shown at the top of the page." }),
    el("pre", { text: prompt }),
    options.length ? el("ul", { class: "options", "aria-label": "Options" }, ...choices) : el("p", {}, el("strong", { text: item.metric.startsWith("rouge") ? "Reference: " : "Accepted: " }), answers),
  ];
}

function commandLine(code, label) {
  const button = el("button", { type: "button", text: "Copy", "aria-label": label, on: { click: (event) => copy(code, event.target) } });
  return el("div", { class: "command" }, code, button);
}

async function copy(code, button) {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected: press Ctrl+C";
  }
}

function makeSamples() {
  options(byId("dataset"), data.datasets.map((item, k) => [String(k), item.name]), state.dataset);
  options(byId("sample-filter"), FILTERS.map(([key, label]) => [key, label]), drill.filter);
  const names = current.map((row, k) => [String(k), row.name]);
  drill.a = current.length ? 0 : null;
  drill.b = current.length ? Math.min(1, current.length - 1) : null;
  for (const key of ["a", "b"]) {
    options(byId(`row-${key}`), names, drill[key]);
    byId(`row-${key}`).addEventListener("change", (event) => { drill[key] = Number(event.target.value); drill.page = 0; showSamples(); });
  }
  byId("dataset").addEventListener("change", (event) => { state.dataset = Number(event.target.value); drill.page = 0; drill.opened = null; showDataset(); });
  byId("sample-filter").addEventListener("change", (event) => { drill.filter = event.target.value; drill.page = 0; showSamples(); });
}
