"use strict";
// What language models were asked and what they wrote, largest errors first.

const READ = "ok";
/** @type {Record<string, string>} */
const ENDS = { format: "; the number was complete", stop: "; the model ended its answer", length: "; cut at the most tokens that are allowed", head: "" };

/** @type {Record<string, string>} */
const OUTPUTS = { head: "Output of a linear head on the model's states", median: "Output: the median of the model's distribution over numbers" };

/**
 * The calls of an experiment, in the order of their errors: row of the dataset, seed, what the
 * output was read as (NaN without a number), what counted as the prediction, and the output.
 * @typedef {{row: Float64Array, seed: Float64Array, status: string[], value: Float64Array,
 *   prediction: Float64Array, output: string[], all: number[]}} Calls
 */

/**
 * @param {string} name
 * @returns {Promise<Calls>}
 */
async function callsOf(name) {
  const own = await table(`calls_${name}`);
  const all = [...own.row.values.keys()];
  return {
    row: own.row.values, seed: own.seed.values, value: own.value.values, prediction: own.prediction.values,
    output: own.output_text.texts ?? [], status: all.map((call) => level(own.status, call)), all,
  };
}

/**
 * The address of a call.
 * @param {string} name
 * @param {number} seed
 * @param {string} id
 * @param {URLSearchParams} [state]
 */
function callLink(name, seed, id, state) {
  return link(["runs", "text", name, String(seed), id], state);
}

/**
 * @param {any} study
 * @param {string[]} rest experiment, then seed and id of a call
 */
async function showCalls(study, rest) {
  const page = find('[data-page="calls"]');
  const experiment = study.experiments.find((/** @type {any} */ each) => each.name === rest[0] && each.calls);
  for (const part of page.children) /** @type {HTMLElement} */ (part).hidden = !experiment && !part.matches("[data-calls]");
  if (!experiment) {
    find("[data-calls]", page).replaceChildren(
      make("h1", {}, "No language model was asked"),
      make("p", {}, `This study has no calls of “${rest[0] ?? ""}”: `, make("a", { href: link(["runs"]) }, "all runs"), "."));
    return;
  }
  const [rows, calls] = await Promise.all([table("rows"), callsOf(experiment.name)]);
  const wanted = rest.length > 1 ? { seed: Number(rest[1]), id: rest.slice(2).join("/") } : null;
  await new CallsView(page, study, experiment, rows, calls, wanted).update(true);
}

/** The calls of one experiment: one at length, all of them in a table. */
class CallsView {
  /**
   * @param {HTMLElement} page
   * @param {any} study
   * @param {any} experiment
   * @param {Table} rows
   * @param {Calls} calls
   * @param {{seed: number, id: string} | null} wanted the call of the address
   */
  constructor(page, study, experiment, rows, calls, wanted) {
    this.page = page;
    this.study = study;
    this.experiment = experiment;
    this.rows = rows;
    this.calls = calls;
    this.wanted = wanted;
    this.ids = rows.id.texts ?? [];
    this.formulas = rows.formula.texts ?? [];
    const { state } = address();
    this.status = state.get("status") ?? "";
    this.text = state.get("q") ?? "";
    this.head();
    this.filters();
    this.list = new RowTable(find("[data-call-rows]", page), {
      label: `Calls of ${experiment.name}`,
      sort: "error.desc",
      remembered: true,
      open: (call) => this.link(call),
      fields: [
        { field: "id", title: "crystal", value: (call) => this.ids[calls.row[call]] },
        { field: "formula", title: "formula", value: (call) => this.formulas[calls.row[call]] },
        ...(new Set(calls.seed).size > 1 ? [{ field: "seed", title: "seed", number: true, value: (/** @type {number} */ call) => calls.seed[call], text: String }] : []),
        { field: "output", title: "output", value: (call) => calls.output[call] },
        { field: "status", title: "read as", value: (call) => (calls.status[call] === READ ? calls.value[call] : calls.status[call]), text: (value) => (typeof value === "number" ? number(value) : value) },
        { field: "target", title: `target (${study.unit})`, number: true, value: (call) => rows.target.values[calls.row[call]] },
        { field: "residual", title: `error${dagger(experiment)}`, number: true, value: (call) => this.residual(call), text: signed },
        { field: "error", title: `absolute error${dagger(experiment)}`, number: true, value: (call) => Math.abs(this.residual(call)) },
      ],
    });
  }

  /** @param {number} call */
  residual(call) {
    return this.calls.prediction[call] - this.rows.target.values[this.calls.row[call]];
  }

  /** @param {number} call */
  link(call) {
    return callLink(this.experiment.name, this.calls.seed[call], this.ids[this.calls.row[call]], address().state);
  }

  head() {
    const { calls, unread, mae, mae_read: read, model, method } = this.experiment.calls;
    const { name, seen, statement } = this.experiment;
    const title = unread
      ? `${count(unread)} of ${count(calls)} outputs hold${unread === 1 ? "s" : ""} no number`
      : `All ${count(calls)} outputs hold a number`;
    find("[data-calls]", this.page).replaceChildren(
      make("p", { class: "eyebrow" }, "Prompts and outputs of ", make("a", { href: link(["experiment", name]) }, name.toUpperCase()),
        [model, method?.replace("_", " ")].filter(Boolean).map((text) => ` · ${text}`).join("")),
      make("h1", {}, title),
      make("p", { class: "lead" }, `MAE ${number(mae)}`, seenMark(seen), ` ${this.study.unit} over all calls`,
        ...(unread ? [", the training median standing in for outputs without a number", ...(read === null ? [] : [`; ${number(read)}`, seenMark(seen), " over the others"])] : []), "."),
      make("aside", { class: seen ? "notice warn" : "notice" }, make("p", {}, seen ? make("strong", {}, "† No measure of generalisation: ") : null, statement)));
  }

  filters() {
    const of = (/** @type {string} */ status) => this.calls.status.filter((each) => each === status).length;
    const others = [...new Set(this.calls.status)].filter((each) => each !== READ).sort();
    const { calls, unread } = this.experiment.calls;
    const choices = [["", "all outputs", calls], [READ, "one number", calls - unread],
      ...(unread ? [["unread", "without a number", unread]] : []), ...others.map((each) => [each, each, of(each)])];
    const status = make("select", { id: "call-status" },
      ...choices.map(([value, words, n]) => make("option", { value, selected: value === this.status }, `${words} (${count(Number(n))})`)));
    const text = make("input", { type: "search", id: "call-text", placeholder: "id, formula or output", value: this.text });
    status.addEventListener("change", () => {
      this.status = /** @type {HTMLSelectElement} */ (status).value;
      this.filtered();
    });
    text.addEventListener("input", () => {
      this.text = /** @type {HTMLInputElement} */ (text).value;
      this.filtered();
    });
    find("[data-call-filters]", this.page).replaceChildren(
      make("label", { for: "call-status" }, "Outputs ", status), make("label", { for: "call-text" }, "Filter ", text));
  }

  filtered() {
    remember({ status: this.status, q: this.text, page: null });
    return this.update(false);
  }

  kept() {
    const words = this.text.trim().toLowerCase();
    const has = (/** @type {number} */ call) => [this.ids[this.calls.row[call]], this.formulas[this.calls.row[call]], this.calls.output[call]]
      .some((each) => (each ?? "").toLowerCase().includes(words));
    const is = (/** @type {string} */ status) => !this.status || (this.status === "unread" ? status !== READ : status === this.status);
    return this.calls.all.filter((call) => is(this.calls.status[call]) && (!words || has(call)));
  }

  /** @param {boolean} keep the page of the table */
  async update(keep) {
    const { row, seed, all } = this.calls;
    const wanted = this.wanted;
    const place = find("[data-call]", this.page);
    await this.list.show(this.kept(), keep);
    const order = this.list.rows;
    const chosen = wanted ? all.find((call) => seed[call] === wanted.seed && this.ids[row[call]] === wanted.id) : order[0];
    if (chosen !== undefined) return this.showOne(place, chosen, order);
    place.replaceChildren(make("p", {}, wanted ? `There is no call about “${wanted.id}” with seed ${wanted.seed}.` : "No call is left: widen the filters."));
    return undefined;
  }

  /**
   * One call at length, and the way to those before and behind it.
   * @param {HTMLElement} place
   * @param {number} call
   * @param {number[]} order calls of the table, sorted
   */
  async showOne(place, call, order) {
    const { name, calls } = this.experiment;
    const kind = calls.method === "head" ? "head" : calls.decoding;
    const prompts = await table(`prompts_${name}_${Math.floor(call / calls.shard)}`);
    const within = call % calls.shard;
    const text = (/** @type {string} */ key) => prompts[key]?.texts?.[within] ?? "";
    const tokens = (/** @type {string} */ key) => (prompts[key] ? count(prompts[key].values[within]) : "–");
    const { calls: { row, seed, status, value, prediction, output } } = this;
    const id = this.ids[row[call]];
    const at = order.indexOf(call);
    const beside = (/** @type {number} */ other, /** @type {string} */ words) => (at >= 0 && other !== undefined
      ? make("a", { href: this.link(other) }, words) : null);
    const read = status[call] === READ;
    place.replaceChildren(
      make("h2", {}, `${this.formulas[row[call]] ?? "Crystal"} `, make("a", { href: link(["crystal", id]) }, id), `, seed ${seed[call]}`),
      make("nav", { class: "beside", "aria-label": "Calls before and after" },
        make("span", {}, at >= 0 ? `${count(at + 1)} of ${count(order.length)} in the order of the table` : "not among the calls of the table"),
        beside(order[at - 1], "← previous"), beside(order[at + 1], "next →")),
      facts([
        ["read as", read ? `${number(value[call])} ${this.study.unit}` : `${status[call]}: the training median, ${number(prediction[call])} ${this.study.unit}, stands in`],
        ["target", `${number(this.rows.target.values[row[call]])} ${this.study.unit}`],
        ["error", make("span", {}, `${signed(this.residual(call))}`, seenMark(this.experiment.seen), ` ${this.study.unit}`)],
        ...(text("plain_text") && text("plain_text") !== output[call] ? [["most probable characters", text("plain_text")]] : []),
        ["tokens", `${tokens("input_tokens")} in, ${tokens("output_tokens")} out${ENDS[text("finish_reason")] ?? ""}`],
      ]),
      make("h3", {}, "Prompt"), make("pre", { tabindex: "0", class: "wrap", "data-prompt": "" }, text("input_text")),
      make("h3", {}, OUTPUTS[kind] ?? "Output"), make("pre", { tabindex: "0", class: "wrap", "data-output": "" }, output[call] || "(nothing)"));
  }
}

/**
 * What language models wrote about one crystal.
 * @param {any} study
 * @param {number} row
 */
async function writtenAbout(study, row) {
  const asked = study.experiments.filter((/** @type {any} */ each) => each.calls);
  const found = await Promise.all(asked.map(async (/** @type {any} */ experiment) => {
    const calls = await callsOf(experiment.name);
    return calls.all.filter((call) => calls.row[call] === row).map((call) => ({ experiment, calls, call }));
  }));
  const id = ((await table("rows")).id.texts ?? [])[row];
  const lines = found.flat().map(({ experiment, calls, call }) => [
    make("a", { href: callLink(experiment.name, calls.seed[call], id) }, `${experiment.name.toUpperCase()}, seed ${calls.seed[call]}`),
    calls.output[call], calls.status[call] === READ ? number(calls.value[call]) : calls.status[call]]);
  if (!lines.length) return [];
  return [make("h2", {}, "What language models wrote"),
    plainTable("Outputs about this crystal", ["call", "output", { text: `read as (${study.unit})`, number: true }], lines, "A call shows its whole prompt.")];
}
