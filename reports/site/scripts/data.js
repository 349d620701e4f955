"use strict";
// Pieces of data: each a classic script below data/ that hands over one value.

/**
 * @typedef {{kind: string, n: number, quantum?: number, levels?: string[], bytes: string}} Packed
 * @typedef {{values: Float64Array, levels: string[] | null, texts: string[] | null}} Column
 * @typedef {Record<string, Column>} Table
 */

/** @type {Map<string, {promise: Promise<any>, resolve: (value: any) => void}>} */
const arrivals = new Map();
/** @type {Map<string, Promise<Table>>} */
const tables = new Map();

const foldwise = {
  /**
   * Called by every script below data/.
   * @param {string} name
   * @param {any} value
   */
  receive(name, value) {
    arrivals.get(name)?.resolve(value);
  },
};

/**
 * The value of data/{name}.js, loaded once.
 * @param {string} name
 * @returns {Promise<any>}
 */
function piece(name) {
  const known = arrivals.get(name);
  if (known) return known.promise;
  /** @type {(value: any) => void} */
  let resolve = () => {};
  /** @type {(reason: Error) => void} */
  let reject = () => {};
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  arrivals.set(name, { promise, resolve });
  script(`data/${name}.js`).catch(() => reject(new Error(`data/${name}.js is missing`)));
  return promise;
}

/** @type {Map<string, Promise<void>>} */
const scripts = new Map();

/**
 * Load a classic script once.
 * @param {string} source
 * @returns {Promise<void>}
 */
function script(source) {
  let loading = scripts.get(source);
  if (!loading) {
    loading = new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = source;
      element.onload = () => resolve();
      element.onerror = () => reject(new Error(`${source} is missing`));
      document.head.append(element);
    });
    scripts.set(source, loading);
  }
  return loading;
}

/**
 * The columns of data/{name}.js, unpacked once.
 * @param {string} name
 * @returns {Promise<Table>}
 */
function table(name) {
  let unpacking = tables.get(name);
  if (!unpacking) {
    unpacking = piece(name).then(async ({ columns }) => {
      const names = Object.keys(columns);
      const unpacked = await Promise.all(names.map((key) => unpack(columns[key])));
      return Object.fromEntries(names.map((key, at) => [key, unpacked[at]]));
    });
    tables.set(name, unpacking);
  }
  return unpacking;
}

const MISSING = -2147483648;

/**
 * @param {Packed} packed
 * @returns {Promise<Column>}
 */
async function unpack(packed) {
  const squeezed = Uint8Array.from(atob(packed.bytes), (letter) => letter.charCodeAt(0));
  const stream = new Blob([squeezed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (packed.kind === "text") {
    const texts = JSON.parse(new TextDecoder().decode(bytes));
    return { values: new Float64Array(0), levels: null, texts };
  }
  const n = packed.n;
  const quantum = packed.quantum ?? 1;
  // Dividing by a whole number rounds once, multiplying by 1e-5 twice.
  const inverse = quantum < 1 ? Math.round(1 / quantum) : 0;
  const values = new Float64Array(n);
  for (let row = 0; row < n; row += 1) {
    const whole =
      bytes[row] | (bytes[n + row] << 8) | (bytes[2 * n + row] << 16) | (bytes[3 * n + row] << 24);
    values[row] = whole === MISSING ? NaN : inverse ? whole / inverse : whole * quantum;
  }
  return { values, levels: packed.levels ?? null, texts: null };
}

/**
 * A level of a coded column.
 * @param {Column} column
 * @param {number} row
 * @returns {string}
 */
function level(column, row) {
  return column.levels ? column.levels[column.values[row]] : "";
}
