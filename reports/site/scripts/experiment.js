"use strict";

/**
 * What the pages of rows need of an experiment.
 * @typedef {{name: string, target: Float64Array, prediction: Float64Array, error: Float64Array,
 *   std: Float64Array | null, views: Float64Array | null, answered: number[]}} Answers
 */

/**
 * The answers of an experiment, in the order of the dataset.
 * @param {string} name
 * @returns {Promise<Answers>}
 */
async function answersOf(name) {
  const [rows, own] = await Promise.all([table("rows"), table(`answers_${name}`)]);
  const target = rows.target.values;
  const prediction = own.prediction.values;
  const error = target.map((value, row) => Math.abs(prediction[row] - value));
  const answered = [...prediction.keys()].filter((row) => !Number.isNaN(prediction[row]));
  return { name, target, prediction, error, std: own.std?.values ?? null, views: own.view_std?.values ?? null, answered };
}

/**
 * Rows of a group, e.g. `anion_family=oxide`.
 * @param {Table} rows
 * @param {string} group
 * @returns {(row: number) => boolean}
 */
function inGroup(rows, group) {
  const [kind, value] = splitOnce(group, "=");
  const column = rows[kind];
  const code = column?.levels ? column.levels.indexOf(value) : -1;
  return (row) => code >= 0 && column.values[row] === code;
}

/**
 * Rows whose id or formula has the text, or whose formula has all of its elements (`Fe O`).
 * @param {Table} rows
 * @param {string} text
 * @returns {(row: number) => boolean}
 */
function matches(rows, text) {
  const words = text.trim().split(/[\s,]+/).filter(Boolean);
  const ids = rows.id.texts ?? [];
  const formulas = rows.formula.texts ?? [];
  const wanted = text.trim().toLowerCase();
  const elements = words.length > 1 && words.every((word) => /^[A-Z][a-z]?$/.test(word));
  if (elements) {
    return (row) => {
      const own = elementsOf(formulas[row]);
      return words.every((word) => own.includes(word));
    };
  }
  return (row) => ids[row].toLowerCase().includes(wanted) || formulas[row].toLowerCase().includes(wanted);
}

/**
 * @param {string} formula
 * @returns {string[]} its elements, sorted
 */
function elementsOf(formula) {
  return [...new Set(formula.match(/[A-Z][a-z]?/g) ?? [])].sort();
}

/**
 * @param {any} study
 * @param {string} name
 * @param {string | null} group
 */
async function showExperiment(study, name, group) {
  const page = find(`[data-page="experiment"][data-experiment="${CSS.escape(name)}"]`);
  const experiment = study.experiments.find((/** @type {any} */ each) => each.name === name);
  showGroups(find('[data-chart="groups"]', page), study, experiment, group);
  const curves = page.querySelector('[data-chart="curves"]');
  if (curves) showCurves(/** @type {HTMLElement} */ (curves), study, await piece(`curves_${name}`));
  const [rows, answers] = await Promise.all([table("rows"), answersOf(name)]);
  await new AnswersView(page, study, experiment, group, rows, answers).update(true);
}

/** The figures of all answers, and the table that they filter. */
class AnswersView {
  /**
   * @param {HTMLElement} page
   * @param {any} study
   * @param {any} experiment
   * @param {string | null} group
   * @param {Table} rows
   * @param {Answers} answers
   */
  constructor(page, study, experiment, group, rows, answers) {
    this.page = page;
    this.study = study;
    this.experiment = experiment;
    this.group = group;
    this.rows = rows;
    this.answers = answers;
    const { state } = address();
    this.x = rangeOf(state, "x");
    this.y = rangeOf(state, "y");
    this.residual = rangeOf(state, "residual");
    this.outline = outlineOf(state, "lasso");
    this.tool = state.get("tool") ?? "";
    this.fold = state.get("fold") ?? "";
    this.text = state.get("q") ?? "";
    this.head();
    this.filters();
    const ids = rows.id.texts ?? [];
    const formulas = rows.formula.texts ?? [];
    this.list = new RowTable(find("[data-rows]", page), {
      label: `Test crystals of ${answers.name}`,
      sort: "error.desc",
      remembered: true,
      open: (row) => link(["crystal", ids[row]]),
      fields: [
        { field: "id", title: "crystal", value: (row) => ids[row] },
        { field: "formula", title: "formula", value: (row) => formulas[row] },
        { field: "fold", title: "fold", number: true, value: (row) => rows.fold.values[row], text: String },
        { field: "target", title: `target (${study.unit})`, number: true, value: (row) => answers.target[row] },
        { field: "prediction", title: "prediction", number: true, value: (row) => answers.prediction[row] },
        { field: "residual", title: `error${dagger(experiment)}`, number: true, value: (row) => answers.prediction[row] - answers.target[row], text: signed },
        { field: "error", title: `absolute error${dagger(experiment)}`, number: true, value: (row) => answers.error[row] },
        ...(answers.std ? [{ field: "std", title: "disagreement", number: true, value: (/** @type {number} */ row) => /** @type {Float64Array} */ (answers.std)[row] }] : []),
        ...["anion_family", "crystal_system"].filter((kind) => rows[kind] && experiment.groups.some((/** @type {any} */ each) => each.kind === kind))
          .map((kind) => ({ field: kind, title: kind.replace("_", " "), value: (/** @type {number} */ row) => level(rows[kind], row) })),
      ],
    });
  }

  /** The group that the page is about, above everything else. */
  head() {
    const place = find("[data-group-head]", this.page);
    const group = this.experiment.groups.find((/** @type {any} */ each) => each.group === this.group);
    place.hidden = !this.group;
    if (!this.group) return;
    const all = make("a", { href: link(["experiment", this.experiment.name]) }, "all test crystals");
    if (!group) {
      place.replaceChildren(make("p", {}, `There is no group “${this.group}”: `, all));
      return;
    }
    place.replaceChildren(
      make("h2", {}, `Only ${group.description}`),
      make("p", { class: "lead" }, `${count(group.n)} crystals with an MAE of ${number(group.mae)} ${this.study.unit} [${number(group.mae_low)}, ${number(group.mae_high)}]`,
        seenMark(this.experiment.seen), `, ${(100 * group.error_share).toFixed(1)} % of the whole error. `, all),
    );
  }

  filters() {
    const folds = [...new Set(this.answers.answered.map((row) => this.rows.fold.values[row]))].sort((a, b) => a - b);
    const text = make("input", { type: "search", id: `q-${this.experiment.name}`, placeholder: "id, formula, or elements: Fe O", value: this.text });
    const fold = make("select", { id: `fold-${this.experiment.name}` }, make("option", { value: "" }, "all folds"),
      ...folds.map((each) => make("option", { value: each, selected: String(each) === this.fold }, `fold ${each}`)));
    const group = make("select", { id: `group-${this.experiment.name}` }, make("option", { value: "" }, "all groups"),
      ...this.experiment.groups.map((/** @type {any} */ each) => make("option", { value: each.group, selected: each.group === this.group }, each.description)));
    text.addEventListener("input", () => {
      this.text = /** @type {HTMLInputElement} */ (text).value;
      remember({ q: this.text, page: null });
      this.update();
    });
    fold.addEventListener("change", () => {
      this.fold = /** @type {HTMLSelectElement} */ (fold).value;
      remember({ fold: this.fold, page: null });
      this.update();
    });
    group.addEventListener("change", () => {
      const chosen = /** @type {HTMLSelectElement} */ (group).value;
      const { state } = address();
      state.delete("page");
      location.hash = link(["experiment", this.experiment.name, ...(chosen ? ["group", chosen] : [])], state);
    });
    this.chips = make("span", { class: "chips" });
    find("[data-filters]", this.page).replaceChildren(
      make("label", { for: text.id }, "Filter ", text), make("label", { for: fold.id }, "Fold ", fold),
      make("label", { for: group.id }, "Group ", group), this.ranges(), this.chips);
    find("[data-tool]", this.page).replaceChildren("Drag over the first figure to draw ", this.tools());
  }

  /** What a drag over the parity plot draws. */
  tools() {
    const tool = make("select", { "aria-label": "What a drag draws" },
      make("option", { value: "" }, "a line around dots"), make("option", { value: "frame", selected: this.tool === "frame" }, "a frame"));
    tool.addEventListener("change", () => {
      this.tool = /** @type {HTMLSelectElement} */ (tool).value;
      remember({ tool: this.tool });
      this.showParity();
    });
    return tool;
  }

  /** The ranges as numbers, for those who do not drag. */
  ranges() {
    const inputs = RANGES.map(([key, words]) => {
      const ends = [0, 1].map((at) => /** @type {HTMLInputElement} */ (make("input", { type: "number", step: "any",
        name: `${key}-${at ? "to" : "from"}`, "aria-label": `${words} ${at ? "at most" : "at least"}, ${this.study.unit}` })));
      const read = () => {
        const [low, high] = ends.map((end) => end.valueAsNumber);
        /** @type {[number, number]} */
        const range = [Number.isNaN(low) ? -Infinity : low, Number.isNaN(high) ? Infinity : high];
        this[key] = range.some(Number.isFinite) ? range : null;
        this.framed();
      };
      for (const end of ends) end.addEventListener("change", read);
      return { key, words, ends };
    });
    this.inputs = inputs;
    return make("details", { class: "ranges" }, make("summary", {}, "Ranges"),
      ...inputs.map(({ words, ends }) => make("span", {}, `${words} from `, ends[0], " to ", ends[1])), make("span", {}, this.study.unit));
  }

  /** Rows that the filters leave, in the order of the dataset. */
  kept() {
    const { target, prediction } = this.answers;
    /** @type {((row: number) => boolean)[]} */
    const tests = [];
    if (this.group) tests.push(inGroup(this.rows, this.group));
    if (this.fold !== "") tests.push((/** @type {number} */ row) => this.rows.fold.values[row] === Number(this.fold));
    if (this.text.trim()) tests.push(matches(this.rows, this.text));
    const inRange = (/** @type {[number, number] | null | undefined} */ range, /** @type {(row: number) => number} */ of) => {
      if (range) tests.push((/** @type {number} */ row) => of(row) >= range[0] && of(row) <= range[1]);
    };
    inRange(this.x, (row) => target[row]);
    inRange(this.y, (row) => prediction[row]);
    inRange(this.residual, (row) => prediction[row] - target[row]);
    if (this.outline) {
      const inside = within(this.outline);
      tests.push((/** @type {number} */ row) => inside(target[row], prediction[row]));
    }
    return this.answers.answered.filter((row) => tests.every((test) => test(row)));
  }

  /** The outermost bars of the histogram also hold what lies beyond them.
   * @param {number} residual
   */
  clipped(residual) {
    const limit = this.limit ?? Infinity;
    return Math.max(-limit, Math.min(limit, residual));
  }

  /** @param {boolean} [keep] the page of the table */
  update(keep = false) {
    const errors = Float64Array.from(this.answers.answered, (row) => this.answers.error[row]).sort();
    this.limit = d3.quantileSorted(errors, 0.99) || 1;
    this.showParity();
    this.showErrors();
    const chip = (/** @type {string} */ words, /** @type {() => void} */ clear) =>
      make("button", { type: "button", onclick: () => { clear(); this.framed(); } }, `${words} ×`);
    this.chips?.replaceChildren(
      ...(this.outline ? [chip("within the line", () => { this.outline = null; })] : []),
      ...(this.x && this.y ? [chip(`target ${rangeWords(this.x)}, prediction ${rangeWords(this.y)}`, () => { this.x = this.y = null; })] : []),
      ...RANGES.flatMap(([key, words]) => (this[key] && !(key !== "residual" && this.x && this.y) ? [chip(`${words} ${rangeWords(this[key])}`, () => { this[key] = null; })] : [])));
    for (const { key, ends } of this.inputs ?? []) {
      ends.forEach((end, at) => { end.value = this[key] && Number.isFinite(this[key][at]) ? String(Number(this[key][at].toPrecision(6))) : ""; });
    }
    return this.list?.show(this.kept(), keep);
  }

  framed() {
    remember({ x: rangeText(this.x ?? null), y: rangeText(this.y ?? null), residual: rangeText(this.residual ?? null), lasso: outlineText(this.outline ?? null), page: null });
    this.update();
  }

  /** Rows of the figures: those of the group and the fold, whatever line or frame is drawn. */
  drawn() {
    const { x, y, residual, outline } = this;
    this.x = this.y = this.residual = this.outline = null;
    const rows = this.kept();
    Object.assign(this, { x, y, residual, outline });
    return rows;
  }

  showParity() {
    const { target, prediction, error } = this.answers;
    const rows = this.drawn();
    const worst = rows.length > DOTS ? [...rows].sort((a, b) => error[b] - error[a]).slice(0, WORST_DOTS) : rows;
    const ids = this.rows.id.texts ?? [];
    const formulas = this.rows.formula.texts ?? [];
    const extent = d3.extent(rows.flatMap((row) => [target[row], prediction[row]]));
    const many = rows.length > worst.length;
    chart(
      find('[data-chart="parity"]', this.page),
      (width) => ({
        height: Math.min(width, 460),
        marginLeft: 52,
        marginBottom: 46,
        x: { domain: extent, nice: true, label: `target: ${this.study.quantity} (${this.study.unit})`, labelOffset: 38, labelAnchor: "center", labelArrow: "none", grid: true, ticks: 6 },
        y: { domain: extent, nice: true, label: `prediction (${this.study.unit})`, labelArrow: "none", grid: true, ticks: 6 },
        color: { type: "log", scheme: "Blues", range: [0.25, 1] },
        marks: [
          Plot.link([extent], { x1: "0", y1: "0", x2: "1", y2: "1", stroke: "currentColor", strokeOpacity: 0.5 }),
          many ? Plot.dot(rows, Plot.hexbin({ fill: "count" }, { x: (/** @type {number} */ row) => target[row], y: (/** @type {number} */ row) => prediction[row], binWidth: 7, symbol: "hexagon", r: 3.8 })) : null,
          Plot.dot(worst, { x: (/** @type {number} */ row) => target[row], y: (/** @type {number} */ row) => prediction[row], r: many ? 1.6 : 2.6, fill: many ? "var(--worse)" : "var(--accent)", fillOpacity: many ? 0.7 : 0.55 }),
          Plot.tip(worst, Plot.pointer({ x: (/** @type {number} */ row) => target[row], y: (/** @type {number} */ row) => prediction[row], title: (/** @type {number} */ row) => `${formulas[row]}  ${ids[row]}\ntarget ${number(target[row])}, prediction ${number(prediction[row])}\nerror ${signed(prediction[row] - target[row])} ${this.study.unit}` })),
        ].filter(Boolean),
      }),
      {
        under: [many ? `Line: perfect. Hexagons: all ${count(rows.length)} crystals, darker where there are more; dots: the ${count(worst.length)} largest errors.` : "Line: perfect."],
        after: (plot, svg) => {
          const frame = { x: this.x ?? undefined, y: this.y ?? undefined };
          const outline = this.outline ?? null;
          if (this.tool === "frame") {
            closedLine(plot, svg, outline);
            selectable(plot, svg, { both: true, frame, done: (drawn) => { this.x = drawn.x ?? null; this.y = drawn.y ?? null; this.framed(); } });
          } else {
            closedLine(plot, svg, this.x || this.y ? corners(plot, frame) : null);
            lasso(plot, svg, { outline, done: (drawn) => { this.outline = drawn; this.framed(); } });
          }
          opens(plot, svg, (row) => { location.hash = link(["crystal", ids[row]]); });
        },
      },
    );
  }

  showErrors() {
    const { target, prediction } = this.answers;
    const rows = this.drawn();
    const limit = this.limit ?? 1;
    const beyond = rows.filter((row) => Math.abs(prediction[row] - target[row]) > limit).length;
    const half = Math.max(5, Math.min(40, Math.floor(0.7 * Math.sqrt(rows.length))));
    const edges = d3.range(-half, half + 2).map((/** @type {number} */ at) => ((2 * at - 1) * limit) / (2 * half + 1));
    const residuals = rows.map((row) => this.clipped(prediction[row] - target[row]));
    const mean = d3.mean(rows, (/** @type {number} */ row) => prediction[row] - target[row]) ?? 0;
    chart(
      find('[data-chart="errors"]', this.page),
      (width) => ({
        height: Math.min(width, 460),
        marginLeft: 52,
        marginBottom: 46,
        x: { domain: [-limit, limit], label: `prediction minus target (${this.study.unit})`, labelOffset: 38, labelAnchor: "center", labelArrow: "none", ticks: width < 420 ? 4 : 6 },
        y: { label: "test crystals", labelArrow: "none", grid: true, ticks: 6, tickFormat: "~s" },
        marks: [
          Plot.rectY(residuals, Plot.binX({ y: "count" }, { x: (/** @type {number} */ value) => value, thresholds: edges, fill: "var(--accent)", fillOpacity: 0.75, tip: true })),
          Plot.ruleY([0]),
          Plot.ruleX([0], { stroke: "currentColor", strokeOpacity: 0.6 }),
          Plot.ruleX([mean], { stroke: "var(--worse)", strokeWidth: 2, strokeDasharray: "5 4" }),
        ],
      }),
      {
        under: [make("span", { class: "key worse" }, `mean error ${signed(mean)} ${this.study.unit}`), ` The outermost bars also hold ${beyond === 1 ? "the largest error" : `the ${count(beyond)} largest errors`}.`],
        after: (plot, svg) => selectable(plot, svg, { both: false, frame: { x: this.residual ?? undefined }, done: (frame) => { this.residual = frame.x ?? null; this.framed(); } }),
      },
    );
  }
}

/** @type {["x" | "y" | "residual", string][]} */
const RANGES = [["x", "target"], ["y", "prediction"], ["residual", "error"]];

/**
 * @param {[number, number]} range
 * @returns {string}
 */
function rangeWords([low, high]) {
  if (!Number.isFinite(high)) return `at least ${number(low)}`;
  return Number.isFinite(low) ? `${number(low)} to ${number(high)}` : `at most ${number(high)}`;
}

const FIFTHS = ["lowest", "second", "middle", "fourth", "highest"];

/**
 * A group in few words, e.g. "oxide", "2 elements", "lowest fifth of targets".
 * @param {string} group
 * @returns {string}
 */
function groupLabel(group) {
  const [kind, value] = splitOnce(group, "=");
  if (kind === "n_elements") return `${value} element${value === "1" ? "" : "s"}`;
  if (kind === "target_quintile") return `${FIFTHS[Number(value) - 1]} fifth of targets`;
  return value;
}

/**
 * @param {HTMLElement} figure
 * @param {any} study
 * @param {any} experiment
 * @param {string | null} group
 */
function showGroups(figure, study, experiment, group) {
  const overall = experiment.mae;
  const lines = experiment.groups.map((/** @type {any} */ each) => {
    const [low, high] = each.mae_high ? [each.mae_low, each.mae_high] : [each.mae, each.mae];
    return {
      label: `${each.group === group ? "▸ " : ""}${groupLabel(each.group)} (n = ${count(each.n)})`,
      value: each.mae,
      low,
      high,
      verdict: low > overall ? "worse" : high < overall ? "better" : "even",
      open: link(["experiment", experiment.name, "group", each.group]),
    };
  });
  forest(figure, lines, { axis: `MAE (${study.unit})`, zero: overall, legend: false, note: `Line: all crystals, ${number(overall)}; whiskers: 95 % intervals; a click opens the group.` });
}

/**
 * @param {HTMLElement} figure
 * @param {any} study
 * @param {any[]} curves
 */
function showCurves(figure, study, curves) {
  const points = curves.flatMap((curve) => curve.epoch.flatMap((/** @type {number} */ epoch, /** @type {number} */ at) =>
    [["training", curve.train_mae[at]], ["validation", curve.val_mae[at]]].map(([part, mae]) => ({
      epoch, mae, part, fit: `fold ${curve.fold}, seed ${curve.seed}` }))));
  const colour = (/** @type {any} */ point) => (point.part === "training" ? "var(--grey)" : "var(--accent)");
  chart(
    figure,
    () => ({
      height: 300,
      marginLeft: 60,
      marginBottom: 46,
      x: { label: "epoch", labelOffset: 38, labelAnchor: "center", labelArrow: "none", ticks: Math.min(10, d3.max(points, (/** @type {any} */ point) => point.epoch)), tickFormat: "d" },
      y: { type: "log", label: `MAE (${study.unit}), log scale`, labelArrow: "none", grid: true, ticks: 5, tickFormat: "~g" },
      marks: [
        Plot.lineY(points, { x: "epoch", y: "mae", z: (/** @type {any} */ point) => point.fit + point.part, stroke: colour, strokeOpacity: 0.6, strokeWidth: 1.3 }),
        Plot.lineY(points, Plot.groupX({ y: "median" }, { x: "epoch", y: "mae", z: "part", stroke: colour, strokeWidth: 3 })),
        Plot.tip(points, Plot.pointer({ x: "epoch", y: "mae", title: (/** @type {any} */ point) => `${point.fit}, ${point.part}\nepoch ${point.epoch}: ${number(point.mae)} ${study.unit}` })),
      ],
    }),
    { under: [make("span", { class: "key even" }, "training"), make("span", { class: "key better" }, "validation"), " Thin: one fold and seed; thick: their median."] },
  );
}
