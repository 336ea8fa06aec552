// The main table.

const spanText = (ranks) => (ranks ? (ranks[0] === ranks[1] ? String(ranks[0]) : `${ranks[0]}–${ranks[1]}`) : ABSENT);
const ranksText = (row) => spanText(row.ranks);
const ranksOrder = (ranks) => (ranks ? ranks[0] + ranks[1] / 1e6 : null);
const ratioOf = (name) => (row) => (row.ratios[name] ? row.ratios[name][0] : null);

function ratioCell(name) {
  return (row, td) => {
    const ratio = row.ratios[name];
    td.textContent = ratio ? ratio[0].toFixed(2) : ABSENT;
    if (ratio && ratio[1] !== null) td.title = `95 %: ${rangeText(ratio[1], ratio[2])}`;
  };
}

function averageCell(row, td) {
  td.append(el("strong", { text: points(row.average[0]) }));
  if (row.average[1] !== null) td.append(" ", el("span", { class: "small", text: rangeText(row.average[1], row.average[2]) }));
}

function softCell(row, td) {
  td.append(points(row.soft[0]));
  if (row.soft[1] !== null) td.append(" ", el("span", { class: "small", text: rangeText(row.soft[1], row.soft[2]) }));
}

function natsCell(name) {
  return (row, td) => {
    const item = row[name];
    td.textContent = item ? `${item[0].toFixed(4)} ± ${item[1].toFixed(4)}` : ABSENT;
  };
}

function timeCell(row, td) {
  td.textContent = row.time_ratio ? row.time_ratio[0].toFixed(2) : ABSENT;
  if (row.time_ratio) td.title = `training time relative to ${row.time_ratio[1]}, with the same device and threads`;
}

function makeRanking() {
  const scale = scaleOf(current.map((row) => row.average));
  const any = (value) => data.rows.some((row) => value(row) !== null && value(row) !== undefined);
  const measured = "relative to LoRA of equal total rank, measured by cme bench adapters";
  const columns = [
    { label: "Rank range", ascending: true, value: (row) => ranksOrder(row.ranks), cell: (row, td) => { td.textContent = ranksText(row); } },
    nameColumn(),
    { label: "CME average", title: "unweighted mean of the family scores, with its 95 % interval", value: (row) => row.average[0], cell: averageCell },
    { label: "95 % interval", value: (row) => row.average[1], cell: (row, td) => td.append(track(row.average, scale)), text: true },
    { label: "Soft average", title: "like the CME average, with the probability of the right option in place of whether it was chosen", value: (row) => row.soft[0], cell: softCell, optional: true },
    { label: "Soft rank range", title: "rank range by the soft average", ascending: true, value: (row) => ranksOrder(row.soft_ranks), cell: (row, td) => { td.textContent = spanText(row.soft_ranks); }, optional: true },
    textColumn("Method", (row) => row.method),
    numberColumn("Rank r", (row) => row.rank, whole, { title: "rank of the adapter, or of one expert" }),
    numberColumn("Experts", (row) => row.experts, whole),
    numberColumn("Trainable (M)", (row) => row.trainable, (value) => points(value === null ? null : value / 1e6)),
    numberColumn("Trainable %", (row) => row.share),
    { ...numberColumn("Train time", (row) => row.seconds, duration, { title: "mean over the seeds" }), replaced: data.rows.every((row) => row.seconds === null || ratioOf("train")(row) !== null) && any(ratioOf("train")) },
    { label: "Time / LoRA", title: "training time relative to the LoRA row of nearest size, if both were trained under equal conditions", value: (row) => row.time_ratio && row.time_ratio[0], cell: timeCell, optional: true, replaced: any(ratioOf("train")) },
    { label: "Train ×", title: `time of a training step ${measured}`, value: ratioOf("train"), cell: ratioCell("train"), optional: true },
    { label: "Decode ×", title: `time of a generated token ${measured}`, value: ratioOf("decode"), cell: ratioCell("decode"), optional: true },
    numberColumn("Without ROUGE", (row) => row.without_rouge, points, { optional: true }),
    numberColumn("Chance-norm.", (row) => row.chance_normalised, points, { title: "average after every dataset’s score was rescaled to (score − chance) / (1 − chance)" }),
    { label: "Drift", title: "KL divergence from the base on texts that the base wrote, nats per token", ascending: true, value: (row) => row.drift && row.drift[0], cell: natsCell("drift"), optional: true },
    { label: "Δ loss", title: "change of the loss on unrelated text, nats per token", ascending: true, value: (row) => row.loss_change && row.loss_change[0], cell: natsCell("loss_change"), optional: true },
    numberColumn("Seeds", (row) => (row.runs[0].seed === null ? null : row.runs.length), whole),
    { label: "Remark", text: true, value: (row) => row.remark, cell: (row, td) => { td.className = "wide"; td.textContent = row.remark; } },
  ].filter((column) => !column.replaced && (!column.optional || any(column.value)));
  const table = new SortedTable("ranking-table", { caption: "CME average, rank range and cost of every row", columns, sort: { index: 2, direction: -1 } });
  return () => table.show(visible().filter((row) => row.kind !== "partial"));
}
