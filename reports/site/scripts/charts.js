"use strict";
// Charts by Observable Plot: one accent colour, frames that select, SVG to take away.

const COLOUR = { better: "var(--accent)", worse: "var(--worse)", even: "var(--grey)" };
const MEANING = [
  ["better", "lower error, interval without zero"],
  ["worse", "higher error, interval without zero"],
  ["even", "interval with zero: no difference shown"],
];
const LETTER = 6.6;
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
 * A frame that selects, by d3's brush over a plot. A range that reaches the end of its axis is open.
 * @param {any} plot
 * @param {SVGSVGElement} svg
 * @param {{both: boolean, frame: Frame, done: (frame: Frame) => void}} how
 */
function selectable(plot, svg, how) {
  const [x, y] = [plot.scale("x"), plot.scale("y")];
  const [left, right] = d3.extent(x.range);
  const [top, bottom] = d3.extent(y.range);
  const brush = (how.both ? d3.brush() : d3.brushX()).extent([[left, top], [right, bottom]]);
  const layer = d3.select(svg).append("g").attr("data-frame", "").call(brush);
  if (how.frame.x || how.frame.y) {
    const [across, down] = [inDomain(x, how.frame.x).map(x.apply), inDomain(y, how.frame.y).map(y.apply)];
    layer.call(brush.move, how.both ? [[across[0], down[1]], [across[1], down[0]]] : across);
  }
  brush.on("end", (/** @type {any} */ event) => {
    if (!event.sourceEvent) return;
    if (!event.selection) {
      // A click where no frame was drawn is about a dot, not about frames.
      if (how.frame.x || how.frame.y) how.done({});
      return;
    }
    if (how.both) {
      const [[x0, y0], [x1, y1]] = event.selection;
      how.done({ x: [x.invert(x0), x.invert(x1)], y: [y.invert(y1), y.invert(y0)] });
      return;
    }
    const [low, high] = event.selection;
    how.done({ x: [low < left + EDGE ? -Infinity : x.invert(low), high > right - EDGE ? Infinity : x.invert(high)] });
  });
}

const EDGE = 4;
const STEP = 4;
const CORNERS = 80;

/**
 * A closed line over a plot.
 * @param {any} plot
 * @param {SVGSVGElement} svg
 * @param {[number, number][] | null} outline corners, in the units of the axes
 * @returns {(points: number[][]) => void} draws other corners, in pixels
 */
function closedLine(plot, svg, outline) {
  const scales = [plot.scale("x"), plot.scale("y")];
  const shape = d3.select(svg).append("g").attr("data-frame", "").append("path").attr("pointer-events", "none")
    .attr("fill", "var(--accent)").attr("fill-opacity", 0.12).attr("stroke", "var(--accent)").attr("stroke-width", 1.5);
  const draw = (/** @type {number[][]} */ points) => shape.attr("d", d3.line().curve(d3.curveLinearClosed)(points));
  // A group's axes may end before a line that was drawn over all crystals.
  if (outline) draw(outline.map((corner) => corner.map((value, at) => scales[at].apply(Math.max(scales[at].domain[0], Math.min(scales[at].domain[1], value))))));
  return draw;
}

/**
 * Corners of a frame, as far as the axes reach.
 * @param {any} plot
 * @param {Frame} frame
 * @returns {[number, number][]}
 */
function corners(plot, frame) {
  const [[x0, x1], [y0, y1]] = [inDomain(plot.scale("x"), frame.x), inDomain(plot.scale("y"), frame.y)];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/**
 * @param {any} scale
 * @param {[number, number] | undefined} range
 * @returns {[number, number]} the whole domain without a range
 */
function inDomain(scale, range) {
  const [low, high] = scale.domain;
  return /** @type {[number, number]} */ ((range ?? scale.domain).map((/** @type {number} */ end) => Math.max(low, Math.min(high, end))));
}

/**
 * A free line that selects what is within, by d3's drag over a plot.
 * @param {any} plot
 * @param {SVGSVGElement} svg
 * @param {{outline: [number, number][] | null, done: (outline: [number, number][] | null) => void}} how
 */
function lasso(plot, svg, how) {
  const scales = [plot.scale("x"), plot.scale("y")];
  const [across, down] = scales.map((scale) => d3.extent(scale.range));
  const draw = closedLine(plot, svg, how.outline);
  // As many decimals as a thousandth of the axis needs: what the address says is what was drawn.
  const rounded = scales.map((scale) => {
    const digits = Math.max(0, 3 - Math.floor(Math.log10(scale.domain[1] - scale.domain[0])));
    return (/** @type {number} */ pixel) => Number(scale.invert(pixel).toFixed(digits));
  });
  /** @type {[number, number][]} */
  let points = [];
  const held = (/** @type {any} */ event) => /** @type {[number, number]} */ ([
    Math.max(across[0], Math.min(across[1], event.x)), Math.max(down[0], Math.min(down[1], event.y))]);
  d3.select(svg).append("rect").attr("data-frame", "").attr("class", "overlay").attr("x", across[0]).attr("y", down[0])
    .attr("width", across[1] - across[0]).attr("height", down[1] - down[0])
    .attr("fill", "none").attr("pointer-events", "all").style("cursor", "crosshair").style("touch-action", "none")
    .call(d3.drag().container(svg).subject((/** @type {any} */ event) => ({ x: event.x, y: event.y }))
      .on("start", (/** @type {any} */ event) => { points = [held(event)]; })
      .on("drag", (/** @type {any} */ event) => {
        const next = held(event);
        const last = points[points.length - 1];
        if (Math.hypot(next[0] - last[0], next[1] - last[1]) < STEP) return;
        points.push(next);
        draw(points);
      })
      .on("end", () => {
        if (points.length < 3) {
          // A click where no line was drawn is about a dot, not about lines.
          if (how.outline) how.done(null);
          return;
        }
        const every = Math.ceil(points.length / CORNERS);
        how.done(points.filter((_, at) => at % every === 0).map(([x, y]) => [rounded[0](x), rounded[1](y)]));
      }));
}

/**
 * Whether a point lies within an outline.
 * @param {[number, number][]} outline
 * @returns {(x: number, y: number) => boolean}
 */
function within(outline) {
  const [[x0, x1], [y0, y1]] = [0, 1].map((at) => d3.extent(outline, (/** @type {number[]} */ corner) => corner[at]));
  return (x, y) => x >= x0 && x <= x1 && y >= y0 && y <= y1 && d3.polygonContains(outline, [x, y]);
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
 * A label that fits: without what stands in its brackets, or else cut.
 * @param {string} name
 * @param {number} letters
 * @returns {string}
 */
function shortened(name, letters) {
  const short = name.length > letters ? name.replace(/ \([^)]*\)$/, "") : name;
  return short.length > letters ? `${short.slice(0, letters - 1)}…` : short;
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
        y: { label: null, domain: names, tickFormat: (/** @type {string} */ name) => shortened(name, letters), tickSize: 0 },
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
