// Draws the charts that the server describes in `data-plot`. Everything they say stands beside them in words as well.

const LIBRARY = "/-/vendor/uPlot.iife.min.js";
const HEIGHTS = { lines: 190, bars: 220 };
const DASHES = [[], [9, 5], [2, 4], [12, 4, 2, 4], [5, 3], [16, 6]];
const COLOURS = 6;
const EDGE = 0.03; // of the width
const MINUTE_S = 60;
const DAY_S = 86_400;
const WEEK = 7;

/** Charts by the element that they stand in, with what they show. */
const drawn = new Map();
let loading;

/** Draw every chart in a place that is new or shows something else by now. */
export async function paint(place) {
  for (const canvas of place.querySelectorAll("[data-swatch]")) swatch(canvas);
  const frames = [...place.querySelectorAll("[data-plot]")];
  for (const frame of drawn.keys()) if (!frame.isConnected) forget(frame);
  if (!frames.length) return;
  const uPlot = await library().catch(() => null); // Tidegate is gone: the words are there, the next time draws
  if (!uPlot) return;
  for (const frame of frames) if (frame.isConnected && drawn.get(frame)?.plot !== frame.dataset.plot) chart(uPlot, frame);
}

/** Loaded when somebody looks at charts: most visits never do. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: LIBRARY, onload: () => resolve(window.uPlot) });
    script.onerror = reject;
    document.head.append(script);
  });
  loading.catch(() => (loading = undefined));
  return loading;
}

function chart(uPlot, frame) {
  forget(frame);
  const plot = JSON.parse(frame.dataset.plot);
  const { data, series } = plot.kind === "lines" ? lines(uPlot, plot) : bars(uPlot, plot);
  const size = { width: frame.clientWidth, height: HEIGHTS[plot.kind] };
  const shown = new uPlot({ ...size, ...frameOf(plot), series: [{}, ...series], hooks: hooks(frame, plot) }, data, frame);
  const observer = new ResizeObserver(() => {
    if (frame.clientWidth && frame.clientWidth !== shown.width) shown.setSize({ ...size, width: frame.clientWidth });
  });
  observer.observe(frame);
  drawn.set(frame, { plot: frame.dataset.plot, shown, observer });
}

function forget(frame) {
  const known = drawn.get(frame);
  if (!known) return;
  known.observer.disconnect();
  known.shown.destroy();
  drawn.delete(frame);
}

// Another colour scheme: what is on a canvas does not follow it by itself.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  const places = new Set([...drawn.keys()].map((frame) => frame.closest(".drawn")));
  for (const frame of [...drawn.keys()]) forget(frame);
  for (const place of places) paint(place);
});

// --- what a chart is made of ------------------------------------------------------------------------

function lines(uPlot, { lines: all }) {
  const path = uPlot.paths.stepped({ align: 1 });
  const columns = all.map(({ points }) => [points.map(([at]) => at), points.map(([, share]) => share && Math.min(1, share))]);
  const series = all.map(({ style }) => ({
    stroke: colour(style),
    dash: DASHES[style % DASHES.length],
    width: 2,
    paths: path,
    points: { show: false },
  }));
  return { data: uPlot.join(columns), series };
}

function bars(uPlot, { starts, span_s, stacks }) {
  const path = uPlot.paths.bars({ size: [0.8, 60] });
  const tops = [];
  for (const stack of stacks) tops.push(stack.map((height, place) => height + (tops.at(-1)?.[place] ?? 0)));
  // The tallest first: each covers what belongs to those below it.
  // What is nothing leaves no line.
  const columns = tops.map((top, style) => top.map((height, place) => (stacks[style][place] ? height : null)));
  const series = tops.map((_, style) => ({
    stroke: colour(style),
    fill: pattern(style),
    width: 1,
    paths: path,
    points: { show: false },
  }));
  return { data: [starts.map((at) => at + span_s / 2), ...columns.toReversed()], series: series.toReversed() };
}

function frameOf(plot) {
  const quiet = { stroke: () => css("--soft"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: () => css("--line"), width: 1 };
  const days = (plot.at - plot.since_at) / DAY_S;
  return {
    scales: {
      x: { time: true, range: () => [plot.since_at, plot.kind === "lines" ? plot.at : plot.starts.at(-1) + plot.span_s] },
      y: { range: plot.kind === "lines" ? () => [0, 1.02] : (_, __, most) => [0, (most || 1) * 1.05] },
    },
    axes: [
      {
        ...quiet,
        grid: { show: false },
        space: 72,
        size: 28,
        values: (shown, ats) => ats.map((at) => (isInside(shown, at) ? label(at, days) : "")),
      },
      {
        ...quiet,
        grid,
        size: 52,
        splits: plot.kind === "lines" ? () => [0, 0.25, 0.5, 0.75, 1] : undefined,
        values: (_, heights) => heights.map(plot.kind === "lines" ? percent : count),
      },
    ],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [10, 12, 0, 0],
  };
}

/** Whether there is room for a label: at the edges it would be cut off or meet those of the other axis. */
function isInside({ scales: { x } }, at) {
  const share = (at - x.min) / (x.max - x.min);
  return share > EDGE && share < 1 - EDGE;
}

function hooks(frame, plot) {
  return {
    drawAxes: [(shown) => (plot.marks ?? []).forEach((at) => mark(shown, at))],
    setCursor: [(shown) => point(frame, plot, shown.cursor.left >= 0 ? shown.posToVal(shown.cursor.left, "x") : null)],
  };
}

/** A failover: a thin line with an arrowhead at its top. */
function mark({ ctx, bbox, valToPos }, at) {
  const x = Math.round(valToPos(at, "x", true));
  const head = 5 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css("--soft");
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x - head, bbox.top - head);
  ctx.lineTo(x + head, bbox.top - head);
  ctx.lineTo(x, bbox.top + head / 2);
  ctx.fill();
  ctx.restore();
}

/** Say in the legend what the values are where the mouse points; elsewhere what the server said. */
function point(frame, plot, at) {
  const figure = frame.closest("figure");
  const values = figure.querySelectorAll(".legend .value");
  const when = figure.querySelector(".when");
  const oneDay = plot.at - plot.since_at <= DAY_S;
  when.textContent = at === null ? "" : oneDay ? time(at) : `${day(at)} ${time(at)}`;
  values.forEach((value, place) => {
    value.dataset.now ??= value.textContent;
    if (at === null) {
      value.textContent = value.dataset.now;
      delete value.dataset.now;
    } else value.textContent = plot.kind === "lines" ? shareAt(plot.lines[place].points, at) : heightAt(plot, place, at);
  });
}

function shareAt(points, at) {
  const share = points.findLast(([from]) => from <= at)?.[1] ?? null;
  return share === null ? "–" : percent(share);
}

function heightAt({ starts, stacks, span_s }, place, at) {
  const bar = starts.findLastIndex((from) => from <= at);
  return bar >= 0 && at < starts[bar] + span_s ? count(stacks[place][bar]) : "–";
}

// --- colours, dashes and patterns ------------------------------------------------------------------

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colour(style) {
  return css(`--series-${style % COLOURS}`);
}

/** A line or a bar of the chart, in little. */
function swatch(canvas) {
  const [kind, style] = canvas.dataset.swatch.split(" ");
  const { width, height } = canvas;
  const ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, width, height);
  if (kind === "bar") {
    ctx.fillStyle = pattern(Number(style), 2);
    ctx.fillRect(0, 0, width, height);
    ctx.strokeStyle = colour(style);
    ctx.lineWidth = 4;
    ctx.strokeRect(0, 0, width, height);
    return;
  }
  ctx.strokeStyle = colour(style);
  ctx.lineWidth = 5;
  ctx.setLineDash(DASHES[style % DASHES.length].map((length) => 2 * length));
  ctx.beginPath();
  ctx.moveTo(0, height / 2);
  ctx.lineTo(width, height / 2);
  ctx.stroke();
}

/** What fills a bar: every style has its own strokes, so that it is known without its colour. */
function pattern(style, scale = devicePixelRatio) {
  const side = 8;
  const tile = Object.assign(document.createElement("canvas"), { width: side * scale, height: side * scale });
  const ctx = tile.getContext("2d");
  ctx.scale(scale, scale);
  ctx.fillStyle = css("--card");
  ctx.fillRect(0, 0, side, side);
  ctx.fillStyle = ctx.strokeStyle = colour(style);
  STROKES[style % STROKES.length](ctx, side);
  return ctx.createPattern(tile, "repeat");
}

const STROKES = [
  (ctx, side) => ctx.fillRect(0, 0, side, side),
  (ctx, side) => diagonals(ctx, side, 1),
  (ctx) => [1, 5].forEach((at) => ctx.fillRect(at, at, 2.5, 2.5)),
  (ctx, side) => [0, 4].forEach((y) => ctx.fillRect(0, y, side, 1.6)),
  (ctx, side) => diagonals(ctx, side, -1),
  (ctx, side) => [0, 4].forEach((x) => ctx.fillRect(x, 0, 1.6, side)),
];

function diagonals(ctx, side, way) {
  ctx.lineWidth = 2;
  ctx.beginPath();
  for (const from of [-side, 0, side]) {
    ctx.moveTo(from, way > 0 ? side : 0);
    ctx.lineTo(from + side, way > 0 ? 0 : side);
  }
  ctx.stroke();
}

// --- words -----------------------------------------------------------------------------------------

const percent = (share) => `${Math.round(100 * share)} %`;

function count(tokens) {
  if (tokens < 1_000) return String(Math.round(tokens));
  if (tokens < 999_500) return `${Math.round(tokens / 1_000)} k`;
  return `${(tokens / 1_000_000).toFixed(1).replace(".0", "")} M`;
}

/** A point in time on the axis of so many days. */
function label(at, days) {
  if (days <= 1) return time(at);
  return days > WEEK ? day(at).replace(/^\w+,? /, "") : day(at);
}

function time(at) {
  const there = new Date(1000 * Math.round(at / MINUTE_S) * MINUTE_S);
  return [there.getHours(), there.getMinutes()].map((number) => String(number).padStart(2, "0")).join(":");
}

function day(at) {
  return new Date(1000 * at).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" });
}
