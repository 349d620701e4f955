"use strict";
// Numbers as text, and elements made of text: nothing from data is ever parsed as HTML.

/**
 * A number with four decimals, or with two digits where four decimals would show nothing.
 * @param {number | null | undefined} value
 * @returns {string}
 */
function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 0.00095 || size === 0) return value.toFixed(4).replace(/^-(0\.0*)$/, "$1");
  return size < 1e-6 ? value.toExponential(1) : value.toPrecision(2);
}

/**
 * @param {number} value
 * @returns {string}
 */
function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}

/**
 * @param {number} value
 * @returns {string}
 */
function count(value) {
  return value.toLocaleString("en-US");
}

/**
 * Seconds in their natural unit.
 * @param {number} seconds
 * @returns {string}
 */
function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 3600 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/**
 * An element with attributes and children; texts stay texts.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners; null and false are left out
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * A plain table in a box that scrolls.
 * @param {string} label for screen readers
 * @param {(string | {text: string, number?: boolean})[]} header
 * @param {(string | Node | null)[][]} rows the first cell of a row is its header
 * @param {string} [caption]
 * @returns {HTMLElement}
 */
function plainTable(label, header, rows, caption) {
  const heads = header.map((each) => (typeof each === "string" ? { text: each } : each));
  const numeric = (/** @type {number} */ at) => (heads[at]?.number ? "number" : null);
  return make(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    make(
      "table",
      { class: "plain" },
      caption ? make("caption", {}, caption) : null,
      make("thead", {}, make("tr", {},
        ...heads.map((each, at) => make("th", { scope: "col", class: numeric(at) }, each.text)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) =>
        make(at ? "td" : "th", { scope: at ? null : "row", class: numeric(at) }, cell ?? ""))))),
    ),
  );
}

/**
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement}
 */
function find(selector, within = document) {
  return /** @type {HTMLElement} */ (within.querySelector(selector));
}

/**
 * The mark in the title of a column of errors.
 * @param {{seen: boolean}} experiment
 * @returns {string}
 */
function dagger(experiment) {
  return experiment.seen ? " †" : "";
}

/**
 * The mark beside every number that pretraining may have spoiled.
 * @param {boolean} seen
 * @returns {HTMLElement | null}
 */
function seenMark(seen) {
  return seen
    ? make("span", { class: "seen", title: "Presumably seen in pretraining: no measure of generalisation." }, "†",
      make("span", { class: "quiet-text" }, " presumably seen in pretraining"))
    : null;
}
