"use strict";
// A crystal in three dimensions, by 3Dmol.

const SYMBOLS = ("H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr " +
  "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os " +
  "Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr").split(" ");

/** @typedef {{lattice: number[], numbers: number[], frac: number[]}} Structure */

/** @type {any} */
let viewer = null;

/**
 * @param {any} study
 * @param {number} row
 * @param {string} id
 * @param {string} formula
 * @param {URLSearchParams} state
 */
async function showStructure(study, row, id, formula, state) {
  const shard = Math.floor(row / study.crystals.shard);
  const place = row % study.crystals.shard;
  const [structures, copies] = await Promise.all([
    piece(`structures_${shard}`), study.crystals.copies.length ? piece(`copies_${shard}`) : []]);
  /** @type {Structure | null} */
  const own = structures[place];
  find("[data-structure]").hidden = !own;
  if (!own) return;
  /** @type {any[]} */
  const others = copies[place] ?? [];
  const host = find("[data-viewer]");
  const size = make("select", {}, ...["1", "2", "3"].map((n) => make("option", { value: n, selected: state.get("cells") === n }, `${n} × ${n} × ${n}`)));
  const labels = make("input", { type: "checkbox", checked: state.get("labels") === "1" });
  const cell = make("input", { type: "checkbox", checked: state.get("cell") !== "0" });
  const choice = make("select", {}, make("option", { value: "" }, "the crystal itself"),
    ...others.map((each) => make("option", { value: each.copy, selected: state.get("copy") === String(each.copy) }, `copy ${each.copy}: ${formulaOf(each.structure.numbers)}`)));
  const chosen = () => {
    const copy = others.find((each) => String(each.copy) === /** @type {HTMLSelectElement} */ (choice).value);
    return copy ? copy.structure : own;
  };
  const draw = () => {
    const many = Number(/** @type {HTMLSelectElement} */ (size).value);
    const named = /** @type {HTMLInputElement} */ (labels).checked;
    const edges = /** @type {HTMLInputElement} */ (cell).checked;
    remember({ cells: many > 1 ? String(many) : null, labels: named ? "1" : null, cell: edges ? null : "0", copy: /** @type {HTMLSelectElement} */ (choice).value });
    drawStructure(chosen(), { many, named, edges });
  };
  for (const control of [size, labels, cell, choice]) control.addEventListener("change", draw);
  const reset = make("button", { type: "button", onclick: () => { viewer?.zoomTo(); viewer?.render(); } }, "Whole view");
  const save = make("button", { type: "button", onclick: () => saveCif(chosen(), id) }, "CIF");
  find("[data-structure-controls]").replaceChildren(
    make("label", {}, "Cells ", size), make("label", {}, cell, " cell edges"), make("label", {}, labels, " element labels"),
    ...(others.length ? [make("label", {}, "Show ", choice)] : []), reset, save, cellText(own));
  host.setAttribute("aria-label", `Structure of ${formula} in 3D; ${own.numbers.length} atoms, coordinates in the CIF`);
  try {
    await script("assets/3dmol/3Dmol-min.js");
    if (!viewer) viewer = $3Dmol.createViewer(host, { backgroundAlpha: 0, backgroundColor: "white", disableFog: true });
    draw();
  } catch {
    viewer = null;
    host.replaceChildren(make("p", { class: "under" }, "This browser draws no WebGL; the CIF below holds the structure."));
  }
}

/**
 * Edges and angles of the cell in words.
 * @param {Structure} structure
 */
function cellText(structure) {
  const { edges, angles } = parameters(structure.lattice);
  return make("span", {}, `a, b, c = ${edges.map((edge) => edge.toFixed(3)).join(", ")} Å; α, β, γ = ${angles.map((angle) => angle.toFixed(1)).join(", ")}°`);
}

/**
 * @param {number[]} lattice rows are the cell vectors, Å
 * @returns {{edges: number[], angles: number[]}} Å and degrees
 */
function parameters(lattice) {
  const vectors = [0, 3, 6].map((at) => lattice.slice(at, at + 3));
  const dot = (/** @type {number[]} */ a, /** @type {number[]} */ b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
  const edges = vectors.map((vector) => Math.sqrt(dot(vector, vector)));
  const angle = (/** @type {number} */ i, /** @type {number} */ j) => (Math.acos(dot(vectors[i], vectors[j]) / (edges[i] * edges[j])) * 180) / Math.PI;
  return { edges, angles: [angle(1, 2), angle(0, 2), angle(0, 1)] };
}

/**
 * @param {Structure} structure
 * @returns {string} a CIF without symmetry
 */
function cif(structure) {
  const { edges, angles } = parameters(structure.lattice);
  const atoms = structure.numbers.map((number, at) => {
    const symbol = SYMBOLS[number - 1];
    return `${symbol}${at + 1} ${symbol} ${structure.frac.slice(3 * at, 3 * at + 3).join(" ")} 1`;
  });
  return ["data_crystal", ...edges.map((edge, at) => `_cell_length_${"abc"[at]} ${edge.toFixed(6)}`),
    ...angles.map((angle, at) => `_cell_angle_${["alpha", "beta", "gamma"][at]} ${angle.toFixed(5)}`),
    "_symmetry_space_group_name_H-M 'P 1'", "_symmetry_Int_Tables_number 1", "loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'",
    "loop_", "_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy",
    ...atoms, ""].join("\n");
}

const NEAR = 1e-3;

/**
 * Atoms of `many` cells along each edge, those on a face, an edge or a corner on every side.
 * @param {Structure} structure
 * @param {number} many
 * @returns {string} in the xyz format, the first cell vector along x
 */
function xyz(structure, many) {
  const { edges, angles } = parameters(structure.lattice);
  const [ca, cb, cg] = angles.map((angle) => Math.cos((angle * Math.PI) / 180));
  const sg = Math.sin((angles[2] * Math.PI) / 180);
  const [a, b, c] = edges;
  const up = (ca - cb * cg) / sg;
  const height = Math.sqrt(Math.max(0, 1 - cb * cb - up * up));
  const lines = structure.numbers.flatMap((number, at) => {
    const inside = structure.frac.slice(3 * at, 3 * at + 3).map((part) => ((part % 1) + 1) % 1);
    const images = inside.map((part) => d3.range(-1, many + 1).map((/** @type {number} */ cell) => part + cell)
      .filter((/** @type {number} */ place) => place > -NEAR && place < many + NEAR));
    return d3.cross(d3.cross(images[0], images[1]), images[2], (/** @type {number[]} */ [u, v], /** @type {number} */ w) =>
      [SYMBOLS[number - 1], a * u + b * cg * v + c * cb * w, b * sg * v + c * up * w, c * height * w].join(" "));
  });
  return [lines.length, "", ...lines].join("\n");
}

/**
 * @param {Structure} structure
 * @param {{many: number, named: boolean, edges: boolean}} how
 */
function drawStructure(structure, how) {
  const { edges, angles } = parameters(structure.lattice);
  viewer.clear();
  const model = viewer.addModel(xyz(structure, how.many), "xyz", { assignBonds: false });
  joinNeighbours(model.selectedAtoms({}));
  model.setCrystData(edges[0], edges[1], edges[2], angles[0], angles[1], angles[2]);
  viewer.setStyle({}, { sphere: { scale: 0.28, colorscheme: "Jmol" }, stick: { radius: 0.1, colorscheme: "Jmol" } });
  if (how.edges) {
    const grey = getComputedStyle(document.documentElement).getPropertyValue("--grey").trim();
    const none = { hidden: true };
    viewer.addUnitCell(model, { box: { color: grey }, astyle: none, bstyle: none, cstyle: none, alabel: "a", blabel: "b", clabel: "c", alabelstyle: labelStyle(), blabelstyle: labelStyle(), clabelstyle: labelStyle() });
  }
  if (how.named) viewer.addPropertyLabels("elem", {}, { ...labelStyle(), showBackground: true, alignment: "center" });
  viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]);
  viewer.rotate(-20, "z");
  viewer.rotate(-76, "x");
  viewer.zoomTo();
  viewer.zoom(how.many > 1 ? 0.85 : 1.05);
  viewer.render();
}

const SHELL = 1.12;

/**
 * Sticks between nearest neighbours: atoms no farther than 12 % beyond the shortest distance of both.
 * @param {any[]} atoms
 */
function joinNeighbours(atoms) {
  const apart = (/** @type {any} */ one, /** @type {any} */ two) => Math.hypot(one.x - two.x, one.y - two.y, one.z - two.z);
  const shortest = atoms.map((one) => d3.min(atoms, (/** @type {any} */ two) => (one === two ? Infinity : apart(one, two))));
  atoms.forEach((one, at) => {
    one.index = at;
    one.bonds = [];
    one.bondOrder = [];
    atoms.forEach((two, other) => {
      if (at !== other && apart(one, two) <= SHELL * Math.min(shortest[at], shortest[other])) {
        one.bonds.push(other);
        one.bondOrder.push(1);
      }
    });
  });
}

function labelStyle() {
  const style = getComputedStyle(document.documentElement);
  return { fontColor: style.getPropertyValue("--text").trim(), backgroundColor: style.getPropertyValue("--page").trim(), backgroundOpacity: 0.75, showBackground: false, fontSize: 12, inFront: true };
}

/**
 * @param {Structure} structure
 * @param {string} id
 */
function saveCif(structure, id) {
  const url = URL.createObjectURL(new Blob([cif(structure)], { type: "chemical/x-cif" }));
  make("a", { href: url, download: `${id.replace(/[^\w.-]/g, "_")}.cif` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
