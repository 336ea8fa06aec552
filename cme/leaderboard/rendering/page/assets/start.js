// Event handlers of the controls.

function storedTheme() {
  try { return localStorage.getItem("cme-theme"); } catch { return null; }
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = name === "dark" ? "Light theme" : "Dark theme";
}

const shows = data.rows.length ? [makeRanking(), makeScores(), makePlotTables()] : [];
const drawn = new Set();

function showRows() {
  shows.forEach((show) => show());
  showDataset();
  const count = visible().length;
  byId("shown").textContent = count === data.rows.length ? `${count} rows` : `${count} of ${data.rows.length} rows`;
  const baseline = data.rows[state.baseline];
  byId("baseline-name").textContent = baseline ? baseline.name : "another row";
  redraw();
}

function redraw() {
  if (drawn.has("cost-plot")) drawCost();
  if (drawn.has("forest-plot")) drawForest();
}

// Draws a plot when it comes near the viewport, so that the page does not wait for it.
function watchPlots() {
  const draws = { "cost-plot": drawCost, "forest-plot": drawForest };
  const watcher = new IntersectionObserver((seen) => {
    for (const item of seen) {
      if (!item.isIntersecting || drawn.has(item.target.id)) continue;
      drawn.add(item.target.id);
      draws[item.target.id]();
    }
  }, { rootMargin: "300px" });
  for (const id of Object.keys(draws)) watcher.observe(byId(id));
}

function listen() {
  const on = (id, event, change) => byId(id).addEventListener(event, (fired) => { change(fired.target); showRows(); });
  on("filter", "input", (field) => { state.text = field.value; });
  on("method", "change", (field) => { state.method = field.value; });
  on("references", "change", (field) => { state.references = field.checked; });
  on("baseline", "change", (field) => { state.baseline = Number(field.value); });
  on("cost-axis", "change", (field) => { state.cost = field.value; });
  for (const select of document.querySelectorAll("select.shade")) select.addEventListener("change", () => { state.shade = select.value; showRows(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", () => {
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("cme-theme", document.documentElement.dataset.theme); } catch { /* the choice is not kept if storage is disabled */ }
    redraw();
  });
}

setTheme(storedTheme() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
if (data.rows.length) {
  const first = compared.find((row) => row.method === "lora") || compared[0] || current[0];
  state.baseline = first ? first.index : 0;
  const known = Object.entries(COSTS).filter(([, axis]) => current.some((row) => axis.value(row) !== null));
  state.cost = known.length ? known[0][0] : "trainable";
  options(byId("cost-axis"), (known.length ? known : Object.entries(COSTS)).map(([key, axis]) => [key, axis.label]), state.cost);
  options(byId("method"), [["", "all"], ...[...new Set(data.rows.map((row) => row.method))].sort().map((name) => [name, name])]);
  options(byId("baseline"), nameOptions(current.filter((row) => row.kind !== "repeat")), state.baseline);
  makeSamples();
  byId("notes-list").append(...data.notes.map((text) => el("li", { text })));
  listen();
  showRows();
  addEventListener("DOMContentLoaded", watchPlots);
} else {
  for (const part of [byId("tools"), ...document.querySelectorAll("main > section:not(#paper)")]) part.hidden = true;
}
performance.mark("cme-interactive");
