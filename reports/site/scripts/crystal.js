"use strict";

const MOST_TWINS = 30;

/**
 * @param {any} study
 * @param {string} id
 * @param {URLSearchParams} state
 */
async function showCrystal(study, id, state) {
  const place = find("[data-crystal]");
  const rest = find("[data-crystal-rest]");
  const rows = await table("rows");
  const ids = rows.id.texts ?? [];
  const row = ids.indexOf(id);
  find("[data-structure]").hidden = row < 0 || !study.crystals.structures;
  if (row < 0) {
    place.replaceChildren(make("h1", {}, "No such crystal"), make("p", {}, `This study has no crystal “${id}”. Crystals are found by their id or formula in the field at the top.`));
    rest.replaceChildren();
    return;
  }
  const formulas = rows.formula.texts ?? [];
  const fold = rows.fold.values[row];
  const facts = [
    `${rows.n_atoms.values[row]} atoms in the cell`,
    ...(rows.spacegroup ? [`space group ${rows.spacegroup.values[row]}`] : []),
    ...["crystal_system", "anion_family"].filter((kind) => rows[kind]).map((kind) => level(rows[kind], row)).filter(Boolean),
    fold < 0 ? "never a test crystal here" : `test crystal of fold ${fold}`,
  ];
  place.replaceChildren(
    make("p", { class: "eyebrow" }, `Crystal ${id}`),
    make("h1", {}, formulas[row]),
    make("p", { class: "lead" }, facts.join(" · ")),
    make("dl", { class: "numbers" }, make("div", {}, make("dt", {}, `target: ${study.quantity}`),
      make("dd", {}, number(rows.target.values[row]), " ", make("small", {}, study.unit)))),
  );
  rest.replaceChildren(make("p", { class: "under" }, "Loading the answers …"));
  const answers = await Promise.all(study.experiments.map((/** @type {any} */ each) => answersOf(each.name)));
  rest.replaceChildren(
    make("h2", {}, "What was answered"),
    await answersTable(study, answers, row),
    ...warnings(study),
    ...(await writtenAbout(study, row)),
    make("h2", {}, "Its place in each group"),
    placesTable(study, rows, answers, row),
    make("h2", {}, "Nearest training crystals"),
    ...(await nearest(study, rows, row)),
    ...(await copiesOf(study, row)),
  );
  if (study.crystals.structures) await showStructure(study, row, id, formulas[row], state);
}

/**
 * Every experiment's answer, members below it.
 * @param {any} study
 * @param {Answers[]} answers
 * @param {number} row
 */
async function answersTable(study, answers, row) {
  /** @type {(string | Node | null)[][]} */
  const lines = [];
  for (const [at, own] of answers.entries()) {
    const experiment = study.experiments[at];
    if (Number.isNaN(own.prediction[row])) continue;
    const label = make("span", {}, make("a", { href: link(["experiment", own.name]) }, own.name.toUpperCase()), ` ${experiment.title}`);
    const spread = own.std ? number(own.std[row]) : own.views ? `${number(own.views[row])} over views` : "";
    lines.push([label, number(own.prediction[row]), signedCell(own.prediction[row] - own.target[row], experiment.seen), spread]);
    if (!experiment.members) continue;
    const shard = study.crystals.member_shard;
    for (const [name, column] of Object.entries(await table(`members_${own.name}_${Math.floor(row / shard)}`))) {
      const value = column.values[row % shard];
      if (Number.isNaN(value)) continue;
      lines.push([make("span", { class: "member" }, name), number(value), signedCell(value - own.target[row], experiment.seen), ""]);
    }
  }
  if (!lines.length) return make("p", {}, "No experiment has an answer for it: it was never a test crystal, or it failed; the experiments' diagnostics say why.");
  return plainTable("Answers for this crystal", ["experiment", { text: `prediction (${study.unit})`, number: true }, { text: "error", number: true }, { text: "disagreement", number: true }], lines,
    "Error: prediction minus target. Disagreement: standard deviation over the members. † presumably seen in pretraining.");
}

/**
 * @param {number} error
 * @param {boolean} seen
 */
function signedCell(error, seen) {
  return make("span", {}, signed(error), seenMark(seen));
}

/**
 * The leakage statements of experiments that have presumably seen the crystal.
 * @param {any} study
 */
function warnings(study) {
  const texts = new Set(study.experiments.filter((/** @type {any} */ each) => each.seen).map((/** @type {any} */ each) => each.statement));
  return [...texts].map((text) => make("aside", { class: "notice warn" }, make("p", {}, make("strong", {}, "† No measure of generalisation: "), String(text))));
}

/**
 * Rank of the crystal's error in each of its groups, for every experiment.
 * @param {any} study
 * @param {Table} rows
 * @param {Answers[]} answers
 * @param {number} row
 */
function placesTable(study, rows, answers, row) {
  const groups = study.experiments[0].groups.filter((/** @type {any} */ each) => inGroup(rows, each.group)(row));
  const having = answers.filter((own) => !Number.isNaN(own.prediction[row]));
  const lines = groups.map((/** @type {any} */ group) => {
    const within = inGroup(rows, group.group);
    return [
      group.description,
      ...having.map((own) => {
        const members = own.answered.filter(within);
        const above = members.filter((other) => own.error[other] > own.error[row]).length;
        return make("a", { href: link(["experiment", own.name, "group", group.group]) }, `${count(above + 1)} of ${count(members.length)}`);
      }),
    ];
  });
  return plainTable("Place in each group", ["group", ...having.map((own) => ({ text: own.name.toUpperCase(), number: true }))], lines,
    "Rank of its absolute error among the crystals of the group, 1 is the largest.");
}

/**
 * Training crystals of its fold with the same structure, formula or elements.
 * @param {any} study
 * @param {Table} rows
 * @param {number} row
 */
async function nearest(study, rows, row) {
  const ids = rows.id.texts ?? [];
  const formulas = rows.formula.texts ?? [];
  const fold = rows.fold.values[row];
  /** @type {[string, string][]} */
  const pairs = await piece("twins");
  const twins = new Set(pairs.filter(([test]) => test === ids[row]).map(([, train]) => train));
  const elements = elementsOf(formulas[row]).join(" ");
  const trained = (/** @type {number} */ other) => other !== row && (fold < 0 || rows.fold.values[other] !== fold);
  const alike = [...ids.keys()].filter((other) => trained(other) && (twins.has(ids[other]) || formulas[other] === formulas[row]));
  const kind = (/** @type {number} */ other) => (twins.has(ids[other]) ? "same structure" : formulas[other] === formulas[row] ? "same formula" : "same elements");
  const found = alike.length ? alike : [...ids.keys()].filter((other) => trained(other) && elementsOf(formulas[other]).join(" ") === elements);
  const distance = (/** @type {number} */ other) => Math.abs(rows.target.values[other] - rows.target.values[row]);
  found.sort((a, b) => Number(twins.has(ids[b])) - Number(twins.has(ids[a])) || distance(a) - distance(b));
  const how = study.crystals.matched ? "Structures were matched with pymatgen's StructureMatcher." : "Whether structures match is not known here: formulas alone were compared.";
  if (!found.length) return [make("p", {}, `No training crystal of its fold has its formula, nor exactly its elements. ${how}`)];
  const lines = found.slice(0, MOST_TWINS).map((other) => [
    make("a", { href: link(["crystal", ids[other]]) }, ids[other]), formulas[other], kind(other), number(rows.target.values[other]),
    signed(rows.target.values[other] - rows.target.values[row])]);
  const more = found.length > MOST_TWINS ? ` The ${MOST_TWINS} nearest in target of ${count(found.length)}.` : "";
  return [plainTable("Nearest training crystals", ["crystal", "formula", "how near", { text: `target (${study.unit})`, number: true }, { text: "difference", number: true }], lines), make("p", { class: "under" }, how + more)];
}

/**
 * Copies of the crystal that teachers labelled for a student.
 * @param {any} study
 * @param {number} row
 */
async function copiesOf(study, row) {
  if (!study.crystals.copies.length) return [];
  const copies = (await piece(`copies_${Math.floor(row / study.crystals.shard)}`))[row % study.crystals.shard];
  if (!copies.length) return [];
  const students = study.crystals.copies.map((/** @type {string} */ name) => name.toUpperCase()).join(", ");
  const lines = copies.map((/** @type {any} */ copy) => [`copy ${copy.copy}`, formulaOf(copy.structure.numbers), number(copy.mean), number(copy.std)]);
  return [make("h2", {}, "Copies that teachers labelled"),
    plainTable("Copies of this crystal", ["copy", "atoms", { text: `teachers' mean (${study.unit})`, number: true }, { text: "disagreement", number: true }], lines,
      `Displaced, strained and with other elements; ${students} learned from them where this crystal was a training crystal. Seen in 3D by the choice above.`)];
}

/**
 * @param {number[]} numbers atomic numbers
 * @returns {string}
 */
function formulaOf(numbers) {
  const counts = d3.rollup(numbers, (/** @type {number[]} */ each) => each.length, (/** @type {number} */ each) => SYMBOLS[each - 1]);
  return [...counts].map(([symbol, n]) => `${symbol}${n > 1 ? n : ""}`).join("");
}
