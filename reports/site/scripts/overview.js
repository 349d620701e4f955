"use strict";

/**
 * @param {any} study
 */
function showOverview(study) {
  const page = find('[data-page="overview"]');
  const figure = page.querySelector('[data-chart="forest"]');
  const lines = study.comparisons
    .filter((/** @type {any} */ each) => each.same_start)
    .map((/** @type {any} */ each) => ({
      label: `${each.experiment} against ${each.against}`.toUpperCase().replace(" AGAINST ", " against "),
      // In per cent: a series from scratch errs ten times as much as a pretrained one.
      value: (100 * each.delta) / each.mae_against,
      low: (100 * each.low) / each.mae_against,
      high: (100 * each.high) / each.mae_against,
      verdict: each.verdict,
      open: link(["compare", each.against, each.experiment]),
    }));
  if (figure && lines.length) {
    forest(/** @type {HTMLElement} */ (figure), lines, { axis: "difference of the MAE, %", note: "Left is better; whiskers: 95 % intervals." });
  }
  showCosts(find('[data-chart="cost"]', page), study);
}

/**
 * Errors over the cost of training; pretrained and from-scratch experiments are never in one panel.
 * @param {HTMLElement} figure
 * @param {any} study
 */
function showCosts(figure, study) {
  const experiments = study.experiments.map((/** @type {any} */ each) => ({
    ...each,
    label: each.name.toUpperCase(),
    start: each.seen ? "† presumably seen in pretraining" : "not seen in pretraining",
    low: each.interval[0],
    high: each.interval[1],
  }));
  if (experiments.every((/** @type {any} */ each) => each.recorded)) {
    forest(figure, experiments.map((/** @type {any} */ each) => ({ ...each, value: each.mae, verdict: "better", open: link(["experiment", each.name]) })),
      { axis: `MAE (${study.unit})`, zero: d3.min(experiments, (/** @type {any} */ each) => each.low), legend: false });
    return;
  }
  const starts = [...new Set(experiments.map((/** @type {any} */ each) => each.start))];
  const unit = experiments.some((/** @type {any} */ each) => each.device === "cuda") ? "GPU-seconds" : "CPU-seconds";
  const host = find("[data-plot]", figure);
  const panels = starts.map((start) => experiments.filter((/** @type {any} */ each) => each.start === start));
  chart(
    figure,
    (width) => ({
      // Facets share an axis; panels of their own do not, and are not compared by eye.
      width: panels.length > 1 && width > 640 ? width / 2 - 12 : width,
      height: 300,
      marginLeft: 64,
      marginTop: 32,
      marginBottom: 46,
      marginRight: 44,
      ...costPanel(panels[0], study.unit, unit, String(starts[0])),
    }),
    {
      under: ["Whiskers: 95 % intervals. Training includes the teachers."],
      after: (plot, svg) => {
        opens(plot, svg, (each) => { location.hash = link(["experiment", each.name]); });
        host.classList.toggle("panels", panels.length > 1);
        for (const at of panels.keys()) {
          if (!at) continue;
          const width = host.clientWidth > 640 ? host.clientWidth / 2 - 12 : host.clientWidth;
          const other = Plot.plot({ width, height: 300, marginLeft: 64, marginTop: 32, marginBottom: 46, marginRight: 44, style: { background: "transparent", overflow: "visible" }, ...costPanel(panels[at], study.unit, unit, String(starts[at])) });
          const drawing = other.tagName === "svg" ? other : other.querySelector("svg");
          drawing.setAttribute("aria-hidden", "true");
          opens(other, drawing, (each) => { location.hash = link(["experiment", each.name]); });
          host.append(other);
        }
      },
    },
  );
}

/**
 * @param {any[]} experiments
 * @param {string} unit of the target
 * @param {string} seconds
 * @param {string} start
 * @returns {any}
 */
function costPanel(experiments, unit, seconds, start) {
  return {
    x: { type: "log", label: `${seconds} of training, log scale`, labelOffset: 38, labelAnchor: "center", labelArrow: "none", grid: true, ticks: 4, tickFormat: "~s",
      domain: paddedLog(experiments.map((each) => Math.max(each.cost, 1e-3))) },
    y: { label: `MAE (${unit})`, labelArrow: "none", grid: true, nice: true, ticks: 6 },
    marks: [
      Plot.text([start], { frameAnchor: "top-right", text: (/** @type {string} */ text) => text, fill: "var(--soft)", dy: -12 }),
      Plot.ruleX(experiments, { x: "cost", y1: "low", y2: "high", stroke: "var(--grey)", strokeWidth: 1.5 }),
      Plot.dot(experiments, { x: "cost", y: "mae", r: 5, fill: "var(--accent)" }),
      Plot.text(experiments, { x: "cost", y: "mae", text: "label", dx: 9, textAnchor: "start", fontWeight: 600, fill: "currentColor", stroke: "var(--page)", strokeWidth: 4 }),
      Plot.tip(experiments, Plot.pointer({ x: "cost", y: "mae", title: (/** @type {any} */ each) => `${each.label}: ${each.title}\nMAE ${number(each.mae)} [${number(each.low)}, ${number(each.high)}] ${unit}${each.seen ? "\n† presumably seen in pretraining" : ""}\ntraining ${duration(each.cost)}, ${each.passes} pass${each.passes === 1 ? "" : "es"} per prediction` })),
    ],
  };
}

/**
 * @param {number[]} values
 * @returns {[number, number]}
 */
function paddedLog(values) {
  return [Math.min(...values) / 1.5, Math.max(...values) * 1.8];
}
