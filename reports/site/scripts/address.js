"use strict";
// Every state of the page is in its address: #/experiment/e4/group/…?sort=…&fold=…

/**
 * @typedef {{parts: string[], state: URLSearchParams}} Address
 */

/**
 * Where the page is.
 * @returns {Address}
 */
function address() {
  const [path, query] = splitOnce(location.hash.replace(/^#\/?/, ""), "?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, state: new URLSearchParams(query) };
}

/**
 * @param {string} text
 * @param {string} mark
 * @returns {[string, string]}
 */
function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * @param {string} part
 * @returns {string}
 */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The address of a page.
 * @param {string[]} parts
 * @param {URLSearchParams} [state]
 * @returns {string}
 */
function link(parts, state) {
  const path = parts.map((part) => encodeURIComponent(part).replaceAll("%3D", "=")).join("/");
  const query = state?.toString();
  return `#/${path}${query ? `?${query}` : ""}`;
}

/**
 * Remember a state of this page in its address, without a new entry of the history.
 * @param {Record<string, string | null>} changes null takes a key away
 */
function remember(changes) {
  const { parts, state } = address();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") state.delete(key);
    else state.set(key, value);
  }
  history.replaceState(null, "", link(parts, state));
}

/**
 * Two numbers of the address, `low..high`; an end that is left out is open.
 * @param {URLSearchParams} state
 * @param {string} key
 * @returns {[number, number] | null}
 */
function rangeOf(state, key) {
  const ends = (state.get(key) ?? "").split("..");
  if (ends.length !== 2 || ends.every((end) => !end)) return null;
  const [low, high] = [ends[0] ? Number(ends[0]) : -Infinity, ends[1] ? Number(ends[1]) : Infinity];
  return Number.isNaN(low) || Number.isNaN(high) ? null : [low, high];
}

/**
 * @param {[number, number] | null} range
 * @returns {string | null}
 */
function rangeText(range) {
  return range ? range.map((end) => (Number.isFinite(end) ? Number(end.toPrecision(6)) : "")).join("..") : null;
}

/**
 * Corners of an outline in the address, `x*y_x*y_…`: none of these marks needs an escape.
 * @param {URLSearchParams} state
 * @param {string} key
 * @returns {[number, number][] | null}
 */
function outlineOf(state, key) {
  const corners = (state.get(key) ?? "").split("_").map((corner) => corner.split("*").map(Number));
  const whole = corners.length > 2 && corners.every((corner) => corner.length === 2 && corner.every(Number.isFinite));
  return whole ? /** @type {[number, number][]} */ (corners) : null;
}

/**
 * @param {[number, number][] | null} outline
 * @returns {string | null}
 */
function outlineText(outline) {
  return outline ? outline.map((corner) => corner.join("*")).join("_") : null;
}
