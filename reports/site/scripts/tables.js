"use strict";
// Tables by Tabulator, page by page: rows are numbers into columns, and only a page is ever made.

/**
 * @typedef {{field: string, title: string, number?: boolean, least?: number, value: (row: number) => any,
 *   text?: (value: any, row: number) => string | Node}} Field
 */

const PAGE = 25;
const NARROW = 560;

/**
 * A table of rows that stay where they are; sorting and paging work on their numbers.
 */
class RowTable {
  /**
   * @param {HTMLElement} host
   * @param {{label: string, fields: Field[], sort: string, open?: (row: number) => string, remembered?: boolean}} how
   *   sort: `field.desc` or `field.asc`
   */
  constructor(host, how) {
    this.how = how;
    /** @type {number[]} */
    this.rows = [];
    const { state } = address();
    const known = new Set(how.fields.map((field) => field.field));
    const wanted = (how.remembered && state.get("sort")) || how.sort;
    const [field, direction] = known.has(wanted.split(".")[0]) ? wanted.split(".") : how.sort.split(".");
    this.order = { field, direction };
    this.stamp = "";
    this.first = how.remembered ? Number(state.get("page")) || 1 : 1;
    const place = make("div", { "aria-label": how.label });
    this.pages = make("div", { class: "pages" });
    this.counter = make("span", { class: "counter" });
    host.replaceChildren(place, make("div", { class: "below" }, this.counter, this.pages));
    /** @type {Promise<void>} */
    this.ready = script("assets/tabulator/tabulator.min.js").then(() => this.build(place));
  }

  /** @param {HTMLElement} place */
  build(place) {
    const { open } = this.how;
    const sorted = this.how.fields.findIndex((field) => field.field === this.how.sort.split(".")[0]);
    const fields = [...this.how.fields];
    // A phone shows two or three columns: what the rows are sorted by is the second.
    if (place.clientWidth < NARROW && sorted > 0) fields.splice(1, 0, ...fields.splice(sorted, 1));
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      this.grid = new Tabulator(place, {
        layout: "fitColumns",
        columnDefaults: { minWidth: 92, headerWordWrap: true },
        placeholder: "Nothing is left: widen the filters.",
        pagination: true,
        paginationMode: "remote",
        paginationSize: PAGE,
        paginationInitialPage: this.first,
        // Below the grid, not in it: a grid has rows and nothing else.
        paginationElement: this.pages,
        sortMode: "remote",
        headerSortTristate: false,
        initialSort: [{ column: this.order.field, dir: this.order.direction }],
        ajaxURL: "rows",
        ajaxRequestFunc: (/** @type {any} */ _, /** @type {any} */ __, /** @type {any} */ asked) => this.answer(asked),
        columns: fields.map((field, at) => ({
          field: field.field,
          title: field.title,
          // Tabulator would take a title as HTML, and a unit in it is the user's text.
          titleFormatter: (/** @type {any} */ cell) => make("span", {}, cell.getValue()),
          hozAlign: field.number ? "right" : "left",
          headerHozAlign: field.number ? "right" : "left",
          headerSortStartingDir: field.number ? "desc" : "asc",
          minWidth: field.least ?? (at ? 24 + 8 * Math.max(9, ...field.title.split(" ").map((word) => word.length)) : 168),
          formatter: (/** @type {any} */ cell) => {
            const row = cell.getRow().getData().row;
            const value = cell.getValue();
            const shown = field.text ? field.text(value, row) : typeof value === "number" ? number(value) : String(value ?? "");
            return at === 0 && open ? make("a", { href: open(row) }, shown) : make("span", {}, shown);
          },
        })),
      });
      this.grid.on("tableBuilt", () => {
        place.querySelector(".tabulator-tableholder")?.removeAttribute("tabindex");
        resolve();
      });
    });
  }

  /**
   * One page, sorted.
   * @param {{page: number, size: number, sort: {field: string, dir: string}[]}} asked
   */
  answer(asked) {
    const by = asked.sort?.[0] ?? { field: this.order.field, dir: this.order.direction };
    this.sortBy(by.field, by.dir);
    this.counter.textContent = `${count(this.rows.length)} rows`;
    const pages = Math.max(1, Math.ceil(this.rows.length / PAGE));
    const page = Math.min(asked.page, pages);
    if (this.how.remembered && this.grid) {
      const order = `${by.field}.${by.dir}`;
      remember({ page: page > 1 ? String(page) : null, sort: order === this.how.sort ? null : order });
    }
    const data = this.rows.slice((page - 1) * PAGE, page * PAGE).map((row) => ({
      row,
      ...Object.fromEntries(this.how.fields.map((field) => [field.field, field.value(row)])),
    }));
    return Promise.resolve({ last_page: pages, last_row: this.rows.length, data });
  }

  /**
   * @param {string} name
   * @param {string} direction
   */
  sortBy(name, direction) {
    const field = this.how.fields.find((each) => each.field === name);
    const stamp = `${name}.${direction}`;
    if (!field || this.stamp === stamp) return;
    const sign = direction === "desc" ? -1 : 1;
    const keys = new Map(this.rows.map((row) => [row, field.value(row)]));
    this.rows.sort((a, b) => {
      const [left, right] = [keys.get(a), keys.get(b)];
      const gone = Number(isGone(left)) - Number(isGone(right));
      if (gone || isGone(left)) return gone || a - b;
      return left < right ? -sign : left > right ? sign : a - b;
    });
    this.stamp = stamp;
    this.order = { field: name, direction };
  }

  /**
   * Show these rows, from the first page on.
   * @param {number[]} rows
   * @param {boolean} [keep] the page that is shown
   */
  async show(rows, keep = false) {
    this.rows = rows;
    this.stamp = "";
    await this.ready;
    const page = keep ? Math.min(this.first, Math.max(1, Math.ceil(rows.length / PAGE))) : 1;
    await this.grid.setPage(page).catch(() => undefined);
  }
}

/**
 * @param {any} value
 * @returns {boolean}
 */
function isGone(value) {
  return value === null || value === undefined || Number.isNaN(value);
}
