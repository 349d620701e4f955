"use strict";
// From an address to its page.

/**
 * @param {string} kind
 * @param {string} [name] of the experiment
 * @param {string} [nav] what the navigation marks, where that is not the page itself
 */
function only(kind, name, nav) {
  for (const section of document.querySelectorAll("[data-page]")) {
    const page = /** @type {HTMLElement} */ (section);
    page.hidden = page.dataset.page !== kind || (name !== undefined && page.dataset.experiment !== name);
  }
  const current = nav ?? (name === undefined ? kind : `${kind}/${name}`);
  for (const anchor of document.querySelectorAll("[data-nav]")) {
    if (/** @type {HTMLElement} */ (anchor).dataset.nav === current) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

let shown = "";

async function route() {
  const { parts, state } = address();
  const study = await piece("study");
  const [kind, ...rest] = parts;
  const known = new Set(study.experiments.map((/** @type {any} */ each) => each.name));
  const path = parts.join("/");
  const moved = path !== shown;
  shown = path;
  document.documentElement.removeAttribute("data-ready");
  if (kind === "experiment" && known.has(rest[0])) {
    only("experiment", rest[0]);
    await showExperiment(study, rest[0], rest[1] === "group" ? rest.slice(2).join("/") : null);
  } else if (kind === "crystal" && rest.length) {
    only("crystal");
    await showCrystal(study, rest.join("/"), state);
  } else if (kind === "compare") {
    only("compare");
    await showCompare(study, rest[0], rest[1]);
  } else if (kind === "runs" && rest[0] === "text") {
    only("calls", undefined, "runs");
    await showCalls(study, rest.slice(1));
  } else if (kind === "runs") {
    only("runs");
    await showRuns(study, rest);
  } else {
    only("overview");
    showOverview(study);
    if (kind === "leakage") find("#leakage").scrollIntoView();
  }
  document.title = titleOf(kind, rest, study);
  if (moved && kind && kind !== "leakage") {
    const group = kind === "experiment" && rest[1] === "group" ? find(`[data-experiment="${CSS.escape(rest[0])}"] [data-group-head]`) : null;
    if (group) group.scrollIntoView();
    else window.scrollTo(0, 0);
  }
  document.documentElement.setAttribute("data-ready", path);
}

/**
 * @param {string | undefined} kind
 * @param {string[]} rest
 * @param {any} study
 * @returns {string}
 */
function titleOf(kind, rest, study) {
  const names = { experiment: "Experiment", crystal: "Crystal", compare: "Compare", runs: "Runs" };
  const page = names[/** @type {keyof typeof names} */ (kind)];
  return page ? `${page} ${rest.join(" ")} · ${study.task}` : `${study.task}: a study with Foldwise`;
}

/** The search box of the header: a crystal by its id, or the crystals of a formula. */
function findCrystals() {
  const form = find("[data-find]");
  const input = /** @type {HTMLInputElement} */ (find("#find"));
  const choices = find("#found");
  input.addEventListener("input", async () => {
    const text = input.value.trim().toLowerCase();
    if (text.length < 2) return;
    const rows = await table("rows");
    const ids = rows.id.texts ?? [];
    const formulas = rows.formula.texts ?? [];
    const hits = [];
    for (let row = 0; row < ids.length && hits.length < 12; row += 1) {
      if (ids[row].toLowerCase().includes(text) || formulas[row].toLowerCase().startsWith(text)) hits.push(row);
    }
    choices.replaceChildren(...hits.map((row) => make("option", { value: ids[row] }, formulas[row])));
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    const rows = await table("rows");
    const at = (rows.id.texts ?? []).indexOf(text);
    const formula = (rows.formula.texts ?? []).findIndex((each) => each.toLowerCase() === text.toLowerCase());
    const row = at >= 0 ? at : formula;
    if (row >= 0) location.hash = link(["crystal", (rows.id.texts ?? [])[row]]);
    else if (text) location.hash = link(["crystal", text]);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  findCrystals();
  window.addEventListener("hashchange", () => {
    if (location.hash === "#leakage" && !find('[data-page="overview"]').hidden) return;
    route();
  });
  route();
});
