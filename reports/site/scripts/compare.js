"use strict";

/**
 * @param {any} study
 * @param {string | undefined} first
 * @param {string | undefined} second
 */
async function showCompare(study, first, second) {
  const page = find('[data-page="compare"]');
  const names = study.experiments.map((/** @type {any} */ each) => each.name);
  const pair = [names.includes(first) ? first : names[0], names.includes(second) ? second : names[names.length - 1]].map(String);
  const form = /** @type {HTMLFormElement} */ (find("[data-choose]", page));
  const selects = [...form.querySelectorAll("select")];
  selects.forEach((select, at) => {
    select.value = pair[at];
    select.onchange = () => { location.hash = link(["compare", ...selects.map((each) => each.value)]); };
  });
  find("[data-swap]", page).onclick = () => { location.hash = link(["compare", pair[1], pair[0]]); };
  const [one, two] = pair.map((name) => study.experiments.find((/** @type {any} */ each) => each.name === name));
  const title = find("[data-compare-title]", page);
  const place = find("[data-compare]", page);
  const figures = ["difference", "wins"].map((kind) => find(`[data-chart="${kind}"]`, page));
  const list = find("[data-compare-rows]", page);
  figures.forEach((figure) => { figure.hidden = one === two; });
  if (one === two) {
    title.textContent = "Choose two different experiments";
    place.replaceChildren();
    list.replaceChildren();
    return;
  }
  const found = pairOf(await piece("pairs"), pair[0], pair[1]);
  const [a, b] = pair.map((name) => name.toUpperCase());
  if (!found) {
    title.textContent = `${a} and ${b} have no test crystals in common`;
    place.replaceChildren();
    return;
  }
  title.textContent = found.high < 0 ? `${b} errs less than ${a}` : found.low > 0 ? `${b} errs more than ${a}` : `${b} and ${a} cannot be told apart`;
  const notices = [...new Set([one, two].filter((each) => each.seen).map((each) => each.statement))];
  place.replaceChildren(
    make("p", { class: "lead" }, `Difference of the MAE, ${b} minus ${a}: ${signed(found.delta)} ${study.unit}, 95 % interval ${signed(found.low)} to ${signed(found.high)} (paired over ${count(found.rows)} crystals). `,
      `MAE of ${a}: ${number(one.mae)}`, seenMark(one.seen), `; of ${b}: ${number(two.mae)}`, seenMark(two.seen), "."),
    ...(one.seen === two.seen ? [] : [make("aside", { class: "notice warn" }, make("p", {}, make("strong", {}, "Not comparable as methods: "), "one of the two starts from pretrained weights and the other does not."))]),
    ...notices.map((text) => make("aside", { class: "notice warn" }, make("p", {}, make("strong", {}, "† No measure of generalisation: "), text))),
  );
  const [rows, left, right] = await Promise.all([table("rows"), answersOf(pair[0]), answersOf(pair[1])]);
  const shared = left.answered.filter((row) => !Number.isNaN(right.prediction[row]));
  const difference = right.error.map((error, row) => error - left.error[row]);
  const wins = shared.filter((row) => difference[row] < 0).length;
  const view = { range: rangeOf(address().state, "d") };
  const limit = d3.quantile(shared, 0.99, (/** @type {number} */ row) => Math.abs(difference[row])) || 1;
  const clip = (/** @type {number} */ value) => Math.max(-limit, Math.min(limit, value));
  const ids = rows.id.texts ?? [];
  const formulas = rows.formula.texts ?? [];
  const rowList = new RowTable(list, {
    label: "Paired differences", sort: "difference.desc", remembered: true, open: (row) => link(["crystal", ids[row]]),
    fields: [
      { field: "id", title: "crystal", value: (row) => ids[row] },
      { field: "formula", title: "formula", value: (row) => formulas[row] },
      { field: "target", title: `target (${study.unit})`, number: true, value: (row) => rows.target.values[row] },
      { field: "first", title: `error of ${a}${dagger(one)}`, number: true, value: (row) => left.prediction[row] - left.target[row], text: signed },
      { field: "second", title: `error of ${b}${dagger(two)}`, number: true, value: (row) => right.prediction[row] - right.target[row], text: signed },
      { field: "difference", title: `|${b}| minus |${a}|`, number: true, value: (row) => difference[row], text: signed },
    ],
  });
  const update = async (/** @type {boolean} */ keep) => {
    const range = view.range;
    const showing = rowList.show(range ? shared.filter((row) => difference[row] >= range[0] && difference[row] <= range[1]) : shared.slice(), keep);
    const half = Math.max(5, Math.min(40, Math.floor(0.7 * Math.sqrt(shared.length))));
    const edges = d3.range(-half, half + 2).map((/** @type {number} */ at) => ((2 * at - 1) * limit) / (2 * half + 1));
    const values = shared.map((row) => clip(difference[row]));
    chart(figures[0], (width) => ({
      height: Math.min(width, 380), marginLeft: 52, marginBottom: 46,
      x: { domain: [-limit, limit], label: `absolute error of ${b} minus that of ${a} (${study.unit})`, labelOffset: 38, labelAnchor: "center", labelArrow: "none", ticks: width < 420 ? 4 : 6 },
      y: { label: "test crystals", labelArrow: "none", grid: true, ticks: 6, tickFormat: "~s" },
      marks: [
        Plot.rectY(values, Plot.binX({ y: "count" }, { x: (/** @type {number} */ value) => value, thresholds: edges, fill: (/** @type {number} */ value) => (value < -limit / (2 * half + 1) ? "var(--accent)" : value > limit / (2 * half + 1) ? "var(--worse)" : "var(--grey)"), fillOpacity: 0.8, tip: true })),
        Plot.ruleY([0]), Plot.ruleX([0], { stroke: "currentColor" }),
        Plot.ruleX([found.delta], { stroke: "currentColor", strokeWidth: 2, strokeDasharray: "5 4" }),
      ],
    }), {
      title: `${b} errs less on ${count(wins)} of ${count(shared.length)} crystals (${((100 * wins) / shared.length).toFixed(0)} %)`,
      under: [make("span", { class: "key better" }, `${b} errs less`), make("span", { class: "key worse" }, `${b} errs more`), " Dashed: the mean. Drag a range to keep these crystals in the table."],
      after: (plot, svg) => selectable(plot, svg, { both: false, frame: { x: view.range ?? undefined }, done: (frame) => {
        view.range = frame.x ?? null;
        remember({ d: rangeText(view.range), page: null });
        update(false);
      } }),
    });
    await showing;
  };
  const groups = found.groups.map((/** @type {any} */ each) => ({
    label: `${groupLabel(each.group)} (n = ${count(each.n)})`,
    value: each.delta, low: each.low, high: each.high, verdict: each.high < 0 ? "better" : each.low > 0 ? "worse" : "even",
    open: link(["experiment", pair[1], "group", each.group]) }));
  const of = (/** @type {string} */ verdict) => groups.filter((/** @type {any} */ each) => each.verdict === verdict).length || "none";
  const clear = groups.filter((/** @type {any} */ each) => each.verdict !== "even");
  forest(figures[1], groups, {
    note: `Difference of the MAE; whiskers: 95 % intervals over formulas, not corrected for the number of groups.`,
    axis: `${b} minus ${a} (${study.unit})`,
    title: clear.length ? `Of ${groups.length} groups, ${b} errs less in ${of("better")} and more in ${of("worse")}` : `In none of ${groups.length} groups a difference is shown`,
  });
  await update(true);
}

/**
 * The difference of two experiments, second minus first.
 * @param {any[]} pairs
 * @param {string} first
 * @param {string} second
 */
function pairOf(pairs, first, second) {
  const forward = pairs.find((each) => each.experiment === second && each.against === first);
  if (forward) return forward.rows > 1 ? forward : null;
  const backward = pairs.find((each) => each.experiment === first && each.against === second);
  if (!backward || backward.rows < 2) return null;
  const turned = (/** @type {any} */ each) => ({ ...each, delta: -each.delta, low: -each.high, high: -each.low });
  return { ...turned(backward), groups: backward.groups.map(turned) };
}
