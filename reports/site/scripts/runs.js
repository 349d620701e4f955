"use strict";

/**
 * @param {any} study
 * @param {string[]} rest identities of one or two runs, or `mlm`, a checkpoint and a sample
 */
async function showRuns(study, rest) {
  const runs = await piece("runs");
  const [first, second] = rest[0] === "mlm" ? [] : rest;
  const one = runs.find((/** @type {any} */ run) => run.identity === first);
  const two = runs.find((/** @type {any} */ run) => run.identity === second);
  const ticked = [first, second].filter(Boolean);
  const all = [...runs.keys()];
  const list = new RowTable(find("[data-runs]"), {
    label: "Runs", sort: "started.desc", remembered: true, open: (row) => link(["runs", runs[row].identity]),
    fields: [
      { field: "identity", title: "run", value: (row) => runs[row].identity },
      { field: "tick", title: "side by side", least: 84, value: (row) => ticked.includes(runs[row].identity), text: (_, row) => tick(runs[row].identity, ticked) },
      { field: "experiment", title: "experiment", least: 112, value: (row) => runs[row].experiment },
      { field: "status", title: "status", least: 180, value: (row) => runs[row].status, text: (value, row) => value + progressText(runs[row]) },
      { field: "mae", title: "MAE", number: true, value: (row) => runs[row].metrics.mae_all_rows ?? NaN, text: (value, row) => make("span", {}, number(value), Number.isNaN(value) ? null : seenMark(runs[row].test_presumably_seen)) },
      { field: "decision", title: "decision", least: 118, value: (row) => runs[row].decision.verdict ?? "" },
      { field: "best", title: "best of task", least: 90, value: (row) => (runs[row].is_best ? "yes" : "") },
      { field: "started", title: "started (UTC)", least: 152, value: (row) => runs[row].started, text: (value) => value.replace("T", " ").slice(0, 16) },
      { field: "seconds", title: "training", number: true, value: (row) => runs[row].metrics.wall_time_sec ?? NaN, text: (value) => (Number.isNaN(value) ? "–" : duration(value)) },
    ],
  });
  await runFilters(runs, all, list);
  const detail = find("[data-run-detail]");
  if (one && two) detail.replaceChildren(...sideBySide(one, two));
  else if (one) detail.replaceChildren(...oneRun(one, study));
  else if (first) detail.replaceChildren(make("p", {}, `The registry has no run “${first}”.`));
  else detail.replaceChildren();
  if (rest[0] === "mlm") await showSamples(rest[1], rest.slice(2).join("/"));
  if (rest.length) find(rest[0] === "mlm" ? "[data-mlm]" : "[data-run-detail]").scrollIntoView();
}

/**
 * @param {string} identity
 * @param {string[]} ticked
 */
function tick(identity, ticked) {
  const box = make("input", { type: "checkbox", checked: ticked.includes(identity), "aria-label": `Put ${identity} side by side` });
  box.addEventListener("change", () => {
    const others = ticked.filter((each) => each !== identity);
    const chosen = /** @type {HTMLInputElement} */ (box).checked ? [...others, identity].slice(-2) : others;
    location.hash = link(["runs", ...chosen]);
  });
  return box;
}

/**
 * @param {any[]} runs
 * @param {number[]} all
 * @param {RowTable} list
 */
function runFilters(runs, all, list) {
  const host = find("[data-runs]");
  const { state } = address();
  const text = /** @type {HTMLInputElement} */ (make("input", { type: "search", value: state.get("q") ?? "", placeholder: "experiment, status, commit" }));
  const update = (/** @type {boolean} */ keep) => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const of = (/** @type {any} */ run) => `${run.identity} ${run.experiment} ${run.title} ${run.status} ${run.decision.verdict ?? ""} ${run.git_commit ?? ""}`.toLowerCase();
    return list.show(all.filter((row) => words.every((word) => of(runs[row]).includes(word))), keep);
  };
  text.addEventListener("input", () => { remember({ q: text.value, page: null }); update(false); });
  host.prepend(make("div", { class: "filters" }, make("label", {}, "Filter ", text), "Two ticks put two runs side by side."));
  return update(true);
}

/**
 * @param {any} run
 * @returns {string}
 */
function progressText(run) {
  if (run.progress) {
    const [work] = run.progress.working;
    return ` ${run.progress.done}/${run.progress.jobs} jobs${work ? `, ${work.rule} ${work.step}/${work.steps}, ETA ${work.eta}` : ""}`;
  }
  return run.failure ? `: ${run.failure.reason}` : "";
}

/**
 * @param {any} run
 * @param {any} study
 * @returns {HTMLElement[]}
 */
function oneRun(run, study) {
  const failure = run.failure;
  const progress = run.progress;
  const asked = study.experiments.some((/** @type {any} */ each) => each.name === run.experiment && each.calls);
  return [
    make("h2", {}, `${run.identity}: ${run.experiment.toUpperCase()}, ${run.title}`),
    facts([
      ["status", `${run.status}, attempt ${run.attempts}`], ["time", `${run.started} to ${run.ended ?? "…"}`],
      ["decision", run.decision.verdict ? `${run.decision.verdict} by ${run.decision.by}: ${run.decision.reason}` : "none"],
      ["command", run.command ?? "not known"], ["commit", `${run.git_commit ?? "outside of git"}${run.git_dirty ? ", with changes" : ""}`],
      ...(run.status === "complete" ? [["results", make("a", { href: link(["experiment", run.experiment]) }, run.experiment.toUpperCase())]] : []),
      ...(asked ? [["prompts and outputs", make("a", { href: link(["runs", "text", run.experiment]) }, "all calls, worst first")]] : []),
    ]),
    ...(failure ? [make("h3", {}, `Why it ${run.status === "stopped" ? "stopped" : "failed"}`), make("p", {}, `${failure.kind}: ${failure.reason}`), make("pre", { tabindex: "0" }, failure.log_tail.join("\n"))] : []),
    ...(progress ? [make("h3", {}, "How far it was when this page was made"), make("p", {}, `${progress.done} of ${progress.jobs} jobs done.`),
      plainTable("Jobs at work", ["job", "step", "time left"], progress.working.map((/** @type {any} */ each) => [each.rule, `${each.step} of ${each.steps}`, each.eta]))] : []),
    ...(Object.keys(run.metrics).length ? [make("h3", {}, "Numbers"), plainTable("Numbers of the run", ["metric", { text: "value", number: true }], Object.entries(run.metrics).map(([key, value]) => [key, make("span", {}, quantity(value), key.startsWith("mae") ? seenMark(run.test_presumably_seen) : null)]))] : []),
    make("h3", {}, "Config"),
    plainTable("Config of the run", ["key", "value"], Object.entries(run.config).map(([key, value]) => [key, textOf(value)])),
  ];
}

/**
 * @param {any} one
 * @param {any} two
 * @returns {HTMLElement[]}
 */
function sideBySide(one, two) {
  const keys = [...new Set([...Object.keys(one.config), ...Object.keys(two.config)])].sort();
  const different = keys.filter((key) => JSON.stringify(one.config[key]) !== JSON.stringify(two.config[key]));
  const metrics = [...new Set([...Object.keys(one.metrics), ...Object.keys(two.metrics)])];
  const value = (/** @type {any} */ run, /** @type {string} */ key) => make("span", {}, quantity(run.metrics[key]), key.startsWith("mae") && key in run.metrics ? seenMark(run.test_presumably_seen) : null);
  const header = [one, two].map((run) => `${run.experiment.toUpperCase()} ${run.identity}`);
  return [
    make("h2", {}, `${different.length} config key${different.length === 1 ? "" : "s"} differ${different.length === 1 ? "s" : ""} between ${one.experiment.toUpperCase()} and ${two.experiment.toUpperCase()}`),
    plainTable("Config keys that differ", ["key", ...header], different.map((key) => [key, textOf(one.config[key]), textOf(two.config[key])])),
    make("h3", {}, "Numbers"),
    plainTable("Numbers side by side", ["metric", ...header.map((text) => ({ text, number: true }))], metrics.map((key) => [key, value(one, key), value(two, key)])),
    make("p", {}, make("a", { href: link(["compare", one.experiment, two.experiment]) }, "Their answers, crystal by crystal")),
    make("h3", {}, "How each ended"),
    plainTable("How each ended", ["", ...header], [["status", one.status, two.status], ["reason", one.failure?.reason ?? "", two.failure?.reason ?? ""],
      ["decision", one.decision.reason ?? "", two.decision.reason ?? ""], ["commit", one.git_commit ?? "", two.git_commit ?? ""]]),
  ];
}

/**
 * @param {any} value
 * @returns {string}
 */
function quantity(value) {
  return Number.isInteger(value) ? count(value) : number(value);
}

/**
 * @param {any} value
 * @returns {string}
 */
function textOf(value) {
  if (value === undefined) return "(absent)";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {any[][]} pairs
 */
function facts(pairs) {
  return make("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/**
 * The samples of a masked-LM checkpoint, worst first, and one of them at length.
 * @param {string} name
 * @param {string} id
 */
async function showSamples(name, id) {
  const place = document.querySelector("[data-mlm]");
  if (!place || !/^mlm_\d+$/.test(name ?? "")) return;
  /** @type {any[]} */
  const samples = await piece(name);
  const host = make("div", {});
  const one = make("div", {});
  const sample = samples.find((each) => each.id === id) ?? samples[0];
  one.replaceChildren(
    make("h3", {}, `Sample ${sample.id}`),
    make("pre", { tabindex: "0", class: "wrap" }, sample.input_text),
    facts([["answer", sample.noun], ["five answers", sample.top5.split(" ").join("   ")], ["right", sample.hit1 ? "the first" : sample.hit5 ? "among the five" : "none of the five"],
      ["rank", sample.rank === null ? "not in the vocabulary" : String(sample.rank)], ["probability", number(sample.answer_probability)], ["source", sample.source]]));
  place.replaceChildren(make("h2", {}, "Samples, worst first"), one, host);
  const list = new RowTable(host, {
    label: "Samples", sort: "place.asc", open: (row) => link(["runs", "mlm", name, samples[row].id]),
    fields: [
      { field: "id", title: "sample", value: (row) => samples[row].id },
      { field: "noun", title: "answer", value: (row) => samples[row].noun },
      { field: "top5", title: "five answers", value: (row) => samples[row].top5 },
      { field: "hit", title: "right", value: (row) => (samples[row].hit1 ? "first" : samples[row].hit5 ? "among five" : "no") },
      { field: "probability", title: "probability of the answer", number: true, value: (row) => samples[row].answer_probability },
      { field: "place", title: "worst first", number: true, value: (row) => row + 1, text: String },
    ],
  });
  await list.show([...samples.keys()]);
}
