// Tables of families and datasets. Cells are tinted by score, or by the difference from the compared row.

const STRONGEST = 42; // percent of the tint, so that the text keeps a contrast of at least 4.5

function heatColumn(label, title, pick, extra = {}) {
  const value = (row) => {
    const own = pick(row);
    if (!own) return null;
    if (state.shade === "score") return own[0];
    const other = pick(data.rows[state.baseline]);
    return row.index === state.baseline || !other ? null : own[0] - other[0];
  };
  const column = { label, title, value, pick, range: [0, 1], ...extra };
  column.measure = (rows) => {
    const known = rows.map(value).filter((item) => item !== null);
    const ends = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    const widest = Math.max(Math.abs(ends[0]), Math.abs(ends[1]));
    column.range = state.shade === "score" ? ends : [0, widest];
  };
  column.cell = (row, td) => heatCell(column, row, td);
  return column;
}

function heatCell(column, row, td) {
  const value = column.value(row);
  if (value === null) {
    td.textContent = row.index === state.baseline && state.shade !== "score" ? "0" : ABSENT;
    return;
  }
  const [low, high] = column.range;
  const share = (Math.abs(value) - low) / (high - low || 1);
  const score = state.shade === "score";
  td.className = `n heat ${score ? "score" : value < 0 ? "less" : "more"}`;
  td.style.setProperty("--t", String(Math.round(STRONGEST * Math.min(Math.max(share, 0), 1))));
  td.textContent = score ? points(value) : signed(value);
  const own = column.pick(row);
  if (own[1] !== null) td.title = `95 %: ${rangeText(own[1], own[2])}`;
}

// Partial baselines are shown where they have a score.
function showHeat(table, scores) {
  const rows = visible().filter((row) => row.kind !== "partial" || scores(row).some(Boolean));
  for (const column of table.columns) if (column.measure) column.measure(rows.filter((row) => row.kind !== "stale"));
  table.show(rows);
}

// Families whose scores carry no information about the trained rows have a mark.
const limits = new Map(data.information.filter((item) => item.limit).map((item) => [`${item.kind} ${item.name}`, item.limit]));
const limitOf = (kind, name) => limits.get(`${kind} ${name}`);

function makeInformation() {
  const known = data.information.some((item) => item.score);
  byId("information").hidden = !known;
  if (!known) return;
  const of = (item, kind, k) => (item[kind] ? item[kind][k] : null);
  const columns = [
    { label: "Family", key: true, text: true, value: (item) => item.title, cell: (item, th) => { th.textContent = item.title; } },
    numberColumn("F", (item) => of(item, "score", 0), points, { title: "variance between trained rows over variance between seeds" }),
    numberColumn("Rows", (item) => of(item, "score", 1), points, { title: "standard deviation between rows without what seeds explain" }),
    numberColumn("Seeds", (item) => of(item, "score", 2), points, { title: "standard deviation between the seeds of a row" }),
    numberColumn("Soft F", (item) => of(item, "soft", 0), points, { title: "the same for soft scores" }),
    numberColumn("Soft rows", (item) => of(item, "soft", 1), points),
    numberColumn("Soft seeds", (item) => of(item, "soft", 2), points),
    textColumn("Note", (item) => item.limit, { cell: (item, td) => { td.className = "wide"; td.textContent = item.limit || ""; } }),
  ];
  const families = new SortedTable("information-table", { caption: "Signal-to-noise of the averages and the families", columns, sort: { index: 1, direction: -1 }, grouped: false });
  families.show(data.information.filter((item) => item.kind !== "dataset"));
  const sets = new SortedTable("information-datasets-table", { caption: "Signal-to-noise of the datasets", columns: [{ ...columns[0], label: "Dataset" }, ...columns.slice(1)], sort: { index: 1, direction: -1 }, grouped: false });
  sets.show(data.information.filter((item) => item.kind === "dataset"));
}

function makeScores() {
  makeInformation();
  byId("families-limits").hidden = !data.families.some((family) => limitOf("family", family.name));
  const average = { label: "Average", value: (row) => row.average[0], cell: averageShort };
  const families = new SortedTable("families-table", {
    caption: "Scores of all families, tinted from the lowest to the highest value of a column",
    columns: [nameColumn(), average, ...data.families.map((family, k) => heatColumn(family.title + (limitOf("family", family.name) ? " *" : ""), limitOf("family", family.name) || family.name, (row) => row.families[k]))],
    sort: { index: 1, direction: -1 },
  });
  const open = (column) => column.dataset === undefined ? null
    : el("button", { type: "button", text: "open", "aria-label": `Open ${column.label}: intervals and samples`, on: { click: () => openDataset(column.dataset) } });
  const sets = new SortedTable("datasets-table", {
    caption: "Scores of all datasets, tinted from the lowest to the highest value of a column",
    columns: [nameColumn(), average, ...data.datasets.map((item, k) => heatColumn(item.name, `${item.metric}, ${item.n} samples, chance ${points(item.chance)}`, (row) => row.datasets[k], { dataset: k }))],
    sort: { index: 1, direction: -1 },
    second: open,
  });
  return () => {
    for (const select of document.querySelectorAll("select.shade")) select.value = state.shade;
    for (const legend of document.querySelectorAll(".legend")) {
      const score = state.shade === "score";
      legend.className = `legend ${score ? "" : "difference"}`;
      legend.replaceChildren(score ? "lowest" : "worse", el("i"), score ? "highest" : "better");
    }
    showHeat(families, (row) => row.families);
    showHeat(sets, (row) => row.datasets);
  };
}

function averageShort(row, td) {
  td.append(el("strong", { text: points(row.average[0]) }));
}
