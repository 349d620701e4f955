"use strict";
// Charts by Observable Plot: one accent colour, frames that select, SVG to take away.

const COLOUR = { better: "var(--accent)", worse: "var(--worse)", even: "var(--grey)" };
const MEANING = [
  ["better", "lower error, interval without zero"],
  ["worse", "higher error, interval without zero"],
  ["even", "interval with zero: no difference shown"],
];
const LETTER = 7.2;
const DOTS = 5000;
const WORST_DOTS = 600;

/** @typedef {{x?: [number, number], y?: [number, number]}} Frame */

/** @type {Map<Element, () => void>} */
const drawn = new Map();
const resized = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const figure = /** @type {HTMLElement} */ (entry.target);
    const width = Math.round(entry.contentRect.width);
    if (width && figure.dataset.width !== String(width)) {
      figure.dataset.width = String(width);
      drawn.get(figure)?.();
    }
  }
});

/**
 * Draw a figure now and whenever its width changes.
 * @param {HTMLElement} figure
 * @param {(width: number) => any} options of Plot.plot
 * @param {{title?: string, under?: (string | Node)[], after?: (plot: any, svg: SVGSVGElement) => void}} [more]
 */
function chart(figure, options, more = {}) {
  const host = find("[data-plot]", figure);
  const caption = find("figcaption", figure);
  const under = find("[data-under]", figure);
  if (more.title !== undefined) caption.textContent = more.title;
  const render = () => {
    const width = Math.max(280, Math.min(host.clientWidth || 640, 1100));
    const plot = Plot.plot({ width, style: { background: "transparent", overflow: "visible" }, ...options(width) });
    const svg = plot.tagName === "svg" ? plot : plot.querySelector("svg:last-of-type");
    described(host, svg, caption.textContent ?? "");
    host.replaceChildren(plot);
    more.after?.(plot, svg);
  };
  const save = make("button", { type: "button", class: "save", onclick: () => saveSvg(figure) }, "SVG");
  save.setAttribute("aria-label", `Download as SVG: ${caption.textContent}`);
  under.replaceChildren(...(more.under ?? []), " ", save);
  drawn.set(figure, render);
  figure.dataset.width = String(Math.round(figure.clientWidth));
  render();
  resized.observe(figure);
}

/**
 * One picture for a screen reader, with its title; what it shows stands in a table beside it.
 * @param {HTMLElement} host
 * @param {Element} svg
 * @param {string} title
 */
function described(host, svg, title) {
  svg.setAttribute("aria-hidden", "true");
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", title);
}

/**
 * @param {HTMLElement} figure
 */
function saveSvg(figure) {
  const source = /** @type {SVGSVGElement} */ (figure.querySelector("svg"));
  const copy = /** @type {SVGSVGElement} */ (source.cloneNode(true));
  copy.querySelectorAll("[data-frame], [aria-label=tip]").forEach((frame) => frame.remove());
  const style = getComputedStyle(document.documentElement);
  copy.style.background = "var(--page)";
  copy.style.font = "12px sans-serif";
  let text = new XMLSerializer().serializeToString(copy);
  // A file of its own knows no variables of the page.
  for (const name of ["--accent", "--worse", "--grey", "--text", "--soft", "--faint", "--page"]) {
    text = text.replaceAll(`var(${name})`, style.getPropertyValue(name).trim());
  }
  text = text.replaceAll("currentColor", style.getPropertyValue("--text").trim());
  const name = `${figure.dataset.experiment || "study"}_${figure.dataset.chart}.svg`;
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/**
 * A frame that selects, by d3's brush over a plot.
 * @param {any} plot
 * @param {SVGSVGElement} svg
 * @param {{both: boolean, frame: Frame, done: (frame: Frame) => void}} how
 */
function selectable(plot, svg, how) {
  const x = plot.scale("x");
  const y = plot.scale("y");
  const [left, right] = d3.extent(x.range);
  const [top, bottom] = d3.extent(y.range);
  const brush = (how.both ? d3.brush() : d3.brushX()).extent([[left, top], [right, bottom]]);
  const layer = d3.select(svg).append("g").attr("data-frame", "").call(brush);
  if (how.frame.x) {
    const across = how.frame.x.map(x.apply);
    const down = how.frame.y ? how.frame.y.map(y.apply) : null;
    const corners = down && how.both
      ? [[across[0], Math.min(...down)], [across[1], Math.max(...down)]]
      : across;
    if (!how.both || down) layer.call(brush.move, corners);
  }
  brush.on("end", (/** @type {any} */ event) => {
    if (!event.sourceEvent) return;
    if (!event.selection) {
      // A click where no frame was drawn is about a dot, not about frames.
      if (how.frame.x) how.done({});
      return;
    }
    if (!how.both) return how.done({ x: event.selection.map(x.invert) });
    const [[x0, y0], [x1, y1]] = event.selection;
    how.done({ x: [x.invert(x0), x.invert(x1)], y: [y.invert(y1), y.invert(y0)] });
  });
}

/**
 * A click on the plot opens what the pointer is at.
 * @param {any} plot
 * @param {SVGSVGElement} svg
 * @param {(datum: any) => void} open
 */
function opens(plot, svg, open) {
  let moved = false;
  svg.addEventListener("pointerdown", () => { moved = false; }, true);
  svg.addEventListener("pointermove", (event) => { moved ||= event.buttons > 0; }, true);
  svg.addEventListener("click", () => {
    if (!moved && plot.value) open(plot.value);
  });
}

/**
 * Differences with their intervals, one line each.
 * @param {HTMLElement} figure
 * @param {{label: string, value: number, low: number, high: number, verdict: string, open?: string}[]} lines
 * @param {{axis: string, title?: string, zero?: number, legend?: boolean, note?: string}} how
 */
function forest(figure, lines, how) {
  const names = lines.map((line) => line.label);
  const longest = Math.max(8, ...names.map((name) => name.length));
  chart(
    figure,
    (width) => {
      const room = Math.min(longest * LETTER + 16, width * 0.46);
      const letters = Math.round((room - 16) / LETTER);
      return {
        height: 56 + 24 * lines.length,
        marginBottom: 46,
        marginLeft: room,
        marginRight: 24,
        marginTop: 6,
        x: { label: how.axis, labelOffset: 38, labelAnchor: "center", labelArrow: "none", grid: true, ticks: width < 500 ? 4 : 7, nice: true },
        y: { label: null, domain: names, tickFormat: (/** @type {string} */ name) => (name.length > letters ? `${name.slice(0, letters - 1)}…` : name), tickSize: 0 },
        marks: [
          Plot.ruleX([how.zero ?? 0], { stroke: "var(--text)", strokeOpacity: 0.6 }),
          Plot.ruleY(lines, { y: "label", x1: "low", x2: "high", stroke: (/** @type {any} */ line) => COLOUR[/** @type {keyof COLOUR} */ (line.verdict)], strokeWidth: 1.8 }),
          Plot.dot(lines, { y: "label", x: "value", fill: (/** @type {any} */ line) => COLOUR[/** @type {keyof COLOUR} */ (line.verdict)], r: 4 }),
          Plot.tip(lines, Plot.pointerY({ y: "label", x: "value", title: (/** @type {any} */ line) => `${line.label}\n${signed(line.value)} [${signed(line.low)}, ${signed(line.high)}]` })),
        ],
      };
    },
    {
      title: how.title,
      under: [
        ...(how.legend === false ? [] : MEANING.filter(([verdict]) => lines.some((line) => line.verdict === verdict))
          .map(([verdict, words]) => make("span", { class: `key ${verdict}` }, words))),
        how.note ?? "Whiskers: 95 % intervals."],
      after: (plot, svg) => opens(plot, svg, (line) => { if (line.open) location.hash = line.open; }),
    },
  );
}
