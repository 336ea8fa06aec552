// Details of a row: its settings, recipe and runs, and how its costs were measured.

function openDetails(row) {
  byId("details-title").textContent = row.name;
  const facts = { method: row.method, ranks: ranksText(row), remark: row.remark, device: row.device };
  const runs = el("table", {}, el("caption", { text: "Runs" }),
    el("thead", {}, el("tr", {}, ...["Seed", "CME average", "Train time", "Peak memory"].map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...row.runs.map((run) => el("tr", {}, el("th", { scope: "row", text: whole(run.seed) }), el("td", { text: points(run.average) }), el("td", { text: duration(run.seconds) }), el("td", { text: run.peak_memory_bytes ? `${(run.peak_memory_bytes / 2 ** 30).toFixed(2)} GiB` : ABSENT })))));
  const seeds = row.runs[0].seed === null ? "This row was not trained." : row.runs.length > 1
    ? `The standard error from ${row.runs.length} seeds is ${points(row.seed_stderr)} points.`
    : row.seed_stderr === null ? "This row has one run. Its interval describes this run, not the method."
      : `This row has one run. Its standard error from seeds, ${points(row.seed_stderr)} points, is that of the methods with several seeds.`;
  const parts = [
    el("dl", { class: "facts" }, ...Object.entries(facts).filter(([, value]) => value).map(([key, value]) => el("div", {}, el("dt", { text: key }), el("dd", { text: value })))),
    el("div", { class: "scroll" }, runs), el("p", { class: "hint", text: seeds }),
  ];
  const blocks = [["Adapter", row.settings], ["Recipe", data.recipes[row.recipe]], ["Measured costs", Object.keys(row.ratios).length ? { "relative to LoRA of equal total rank": row.ratios, ...row.measured_on } : {}]];
  for (const [title, value] of blocks) {
    if (value && Object.keys(value).length) parts.push(el("h3", { text: title }), el("pre", { tabindex: "0", text: JSON.stringify(value, null, 2) }));
  }
  byId("details-body").replaceChildren(...parts);
  byId("details").showModal();
}

byId("details-close").addEventListener("click", () => byId("details").close());
