// A table that is sorted by the buttons in its header. Groups such as repeats, references and stale rows stay at the end.

const GROUPS = [["row", null], ["repeat", "The same trainings as another row (ranked once)"], ["reference", "Reference rows (not ranked)"], ["partial", "Baselines that answer only some of the datasets (no average, not ranked)"], ["stale", "Stale rows, scored by an older version of the rules (not ranked)"]];

// Columns: {label, title, value(row) → number | string | null, cell(row, td), text, key}.
class SortedTable {
  constructor(place, { caption, columns, sort, second = null, grouped = true }) {
    Object.assign(this, { columns, sort, grouped, second, rows: [] });
    this.head = el("thead");
    this.body = el("div");
    this.table = el("table", {}, el("caption", { text: caption }), this.head);
    const region = el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, this.table);
    byId(place).replaceChildren(region);
    this.headers = columns.map((column, index) => this.header(column, index));
    this.head.append(el("tr", {}, ...this.headers));
    if (second) this.head.append(el("tr", { class: "open" }, ...columns.map((column) => el("td", {}, second(column)))));
  }

  header(column, index) {
    const button = el("button", { type: "button", text: column.label, title: column.title, on: { click: () => this.turn(index) } });
    return el("th", { scope: "col", class: column.key ? "key" : column.text ? null : "n", "aria-sort": "none" }, button);
  }

  turn(index) {
    const start = this.columns[index].text || this.columns[index].ascending ? 1 : -1;
    this.sort = { index, direction: this.sort.index === index ? -this.sort.direction : start };
    this.show(this.rows);
  }

  show(rows) {
    this.rows = rows;
    const { index, direction } = this.sort;
    this.headers.forEach((th, k) => th.setAttribute("aria-sort", k !== index ? "none" : direction > 0 ? "ascending" : "descending"));
    const value = this.columns[index].value;
    const sorted = rows.map((row, k) => [value(row), k, row]).sort((a, b) => compare(a, b, direction)).map((item) => item[2]);
    for (const old of this.table.querySelectorAll("tbody")) old.remove();
    for (const [kind, title] of this.grouped ? GROUPS : [[null, null]]) {
      const group = kind === null ? sorted : sorted.filter((row) => row.kind === kind);
      if (!group.length) continue;
      const body = el("tbody", { class: title && "rest" });
      if (title) body.append(el("tr", {}, el("th", { scope: "rowgroup", class: "group", colspan: this.columns.length, text: title })));
      body.append(...group.map((row) => this.line(row)));
      this.table.append(body);
    }
    if (!rows.length) this.table.append(el("tbody", {}, el("tr", {}, el("td", { colspan: this.columns.length, text: "No row matches the filter." }))));
  }

  line(row) {
    const cells = this.columns.map((column) => {
      const cell = column.key ? el("th", { scope: "row" }) : el("td", { class: column.text ? null : "n" });
      column.cell(row, cell);
      return cell;
    });
    return el("tr", { class: row.index !== undefined && row.index === state.baseline ? "chosen" : null }, ...cells);
  }
}

// Missing values come last in both directions; equal values keep their order.
function compare([a, i], [b, j], direction) {
  if (a === null || a === undefined || b === null || b === undefined) {
    const missing = (value) => (value === null || value === undefined ? 1 : 0);
    return missing(a) - missing(b) || i - j;
  }
  const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return direction * order || i - j;
}

const textColumn = (label, value, extra = {}) => ({ label, text: true, value, cell: (row, td) => { td.textContent = value(row) || ABSENT; }, ...extra });
const numberColumn = (label, value, show = points, extra = {}) => ({ label, value, cell: (row, td) => { td.textContent = show(value(row)); }, ...extra });

const nameColumn = () => ({
  label: "Row", key: true, text: true, value: (row) => row.name,
  cell: (row, th) => th.append(el("button", { type: "button", class: "link", text: row.name, title: row.name, on: { click: () => openDetails(row) } })),
});

// Draws an interval on a scale that all rows of the table share.
function track(interval, [start, end]) {
  const place = (value) => `${(100 * (value - start)) / (end - start || 1)}%`;
  const box = el("span", { class: "track", "aria-hidden": "true" });
  if (interval[1] !== null) {
    const line = el("i");
    line.style.left = place(interval[1]);
    line.style.width = `${(100 * (interval[2] - interval[1])) / (end - start || 1)}%`;
    box.append(line);
  }
  const dot = el("b");
  dot.style.left = place(interval[0]);
  box.append(dot);
  return box;
}

function scaleOf(intervals) {
  const ends = intervals.flat().filter((value) => value !== null);
  return ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 100];
}
