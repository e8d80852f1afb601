// One renderer for every figure of a page: lines, bands, whiskers, bars, rules, drawn anew for the width there is.
// Knows: Chart of the payload. Refuses to know: what the numbers mean.

// ---- axes ----
const rounded = (x) => Number(x.toPrecision(12));
function steps(low, high, log, room) { // where an axis is labelled: 1, 2, 5, 10, ..., about as often as there is room for
  if (!log) {
    const raw = (high - low) / Math.max(1, room) || 1, base = 10 ** Math.floor(Math.log10(raw));
    const step = base * [1, 2, 2.5, 5, 10].find((one) => one * base >= raw * 0.999), from = Math.ceil(low / step - 1e-9);
    return range(Math.floor((high - low) / step) + 2).map((i) => rounded((from + i) * step)).filter((one) => one <= high + step * 1e-6);
  }
  const decades = Math.log10(high / low), from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
  const digits = decades < 0.9 ? [1, 1.2, 1.5, 2, 3, 5, 7] : decades * 3 <= room + 2.5 ? [1, 2, 5] : [1];
  const powers = range(to - from + 1).filter((i) => i % Math.max(1, Math.ceil((to - from) / room)) === 0).map((i) => from + i);
  return powers.flatMap((one) => digits.map((digit) => rounded(digit * 10 ** one))).filter((one) => one >= low * 0.999 && one <= high * 1.001);
}
function scaled([low, high], [from, to], log) {
  const f = log ? Math.log : (v) => v, a = f(low), b = f(high);
  return (v) => from + (clamp(log && v <= 0 ? a : f(v), Math.min(a, b), Math.max(a, b)) - a) / (b - a || 1) * (to - from);
}
function ends(axis, values, bars) { // the ends of an axis from its data, where the record does not fix them
  const usable = values.filter((v) => isNumber(v) && (!axis.log || v > 0)), all = usable.length ? usable : axis.log ? [1, 10] : [0, 1];
  let low = axis.lowest ?? least(all), high = axis.highest ?? most(all);
  if (axis.log) return [axis.lowest ?? (low >= 1 && low < 1.5 ? 1 : low / 1.15), axis.highest ?? Math.max(high * 1.15, low * 1.5)];
  if (low >= 0 && (axis.percent || bars || low < 0.35 * high)) low = axis.lowest ?? 0;
  if (axis.percent && high <= 1 && high > 0.25) high = axis.highest ?? 1;
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const pad = 0.06 * (high - low);
  return [axis.lowest ?? (low === 0 ? 0 : low - pad), axis.highest ?? (axis.percent && high === 1 ? 1 : high + pad)];
}
// An empty plot: axes with labels, and X and Y for what is drawn into it. Ticks are numbers or [where, label].
function frame({ width, height, label, x, y, xticks, yticks, log = false, xlog = false, show = num, showX = num, left, right = 14, top = 12,
  bottom = 24, xtitle = "", category = 0 }) {
  const named = (list, name) => list.map((one) => Array.isArray(one) ? one : [one, name(one)]).sort((a, b) => a[0] - b[0]);
  const ys = named(yticks, show), svg = s("svg", { class: "chart", width, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  left ??= 14 + 6.4 * most([2, ...ys.map(([, told]) => told.length)]);
  bottom += xtitle ? 18 : 0;
  const X = scaled(x, [left, width - right], xlog), Y = scaled(y, [height - bottom, top], log);
  for (const [v, told] of ys) svg.append(s("path", { d: `M${left} ${Y(v)}H${width - right}`, stroke: "var(--faint)" }),
    words(left - 7, Y(v) + 4, told, { "text-anchor": "end" }));
  let used = -Infinity;
  for (const [v, whole] of named(xticks, showX)) { // names of categories are cut, numbers that would touch are left out
    const told = category ? short(whole, Math.max(3, Math.floor((X(category) - X(0)) / 6.6))) : whole, half = told.length * 3.2;
    const at = clamp(X(v), half, width - half);
    if (!category && at - half < used + 6) continue;
    svg.append(words(at, height - bottom + 17, told, { "text-anchor": "middle" }));
    used = at + half;
  }
  if (xtitle) svg.append(words((left + width - right) / 2, height - 3, xtitle, { "text-anchor": "middle" }));
  svg.append(s("path", { d: `M${left} ${height - bottom}H${width - right}`, stroke: "var(--soft)" }));
  return { svg, X, Y, left, right: width - right, top, bottom: height - bottom };
}
function band(X, Y, list, fill) { // an area between [x, low, high]
  const above = list.map(([x, , high]) => [X(x), Y(high)]), below = list.map(([x, low]) => [X(x), Y(low)]);
  return line([...above, ...below.reverse()], { fill, "fill-opacity": fill.startsWith("url") ? 0.55 : 0.17 });
}

// ---- parts of a chart ----
const DASHES = { dash: "6 3.5", dot: "1.5 3.5" }, barred = (at) => at[2] != null || at[3] != null;
const fillOf = (one) => one.estimated ? hatch(one.colour) : paint(one.colour);
const traced = (one, i) => one.paths[i] && { "data-path": one.paths[i], "data-value": one.points[i][1] }; // where a point is kept
function tellPoint(chart, one, [x, y, low, high], show) {
  const where = `${chart.x.title} ${chart.x.ticks.find(([v]) => v === x)?.[1] ?? num(x)}`.trim(), bars = barred([x, y, low, high]);
  return `${one.name}, ${where}: ${y == null ? "" : show(y)}${bars ? ` (${span(low ?? -Infinity, high ?? Infinity, show)})` : ""}`;
}
function axesOf(chart, width) {
  const bars = chart.lines.filter((one) => one.style === "bars"), points = chart.lines.flatMap((one) => one.points);
  const ruled = (axis) => chart.rules.filter((one) => one.axis === axis);
  const stacks = chart.stacked ? [...new Set(points.map(([at]) => at))].map((at) => sum(bars.map((one) => one.points.find(([v]) => v === at)?.[1] ?? 0))) : [];
  const y = ends(chart.y, [...points.flatMap(([, ...rest]) => rest), ...stacks, ...ruled("y").flatMap((one) => [one.at, one.until])], bars.length > 0);
  const xs = [...points.map(([at]) => at), ...ruled("x").map((one) => one.at)], known = xs.length ? xs : [0, 1];
  const [low, high] = [chart.x.lowest ?? least(known), chart.x.highest ?? most(known)], counts = !chart.x.log && known.every(Number.isInteger);
  const room = Math.max(2, Math.floor(width / 60)), wide = high - low;
  const ticks = counts ? steps(low, high, false, Math.min(room * 1.6, wide || 1)).filter(Number.isInteger) : steps(low, high, chart.x.log, room);
  const pad = bars.length ? 0.5 : counts && wide <= 60 ? Math.max(0.15, 0.02 * wide) : wide ? 0 : 0.5;
  return { bars, y, x: chart.x.log ? [low / 1.04, high * 1.04] : [low - pad, high + pad], xticks: chart.x.ticks.length ? chart.x.ticks : ticks };
}
function drawColumns(chart, bars, { svg, X, Y }, base, show) {
  const wide = Math.min(48, (X(1) - X(0)) * 0.8), each = chart.stacked ? wide : wide / bars.length, stands = new Map();
  bars.forEach((one, k) => one.points.forEach((at, i) => {
    if (at[1] == null) return;
    const from = chart.stacked ? stands.get(at[0]) ?? 0 : base, to = chart.stacked ? from + at[1] : at[1], high = Y(Math.max(from, to));
    const x = X(at[0]) - wide / 2 + (chart.stacked ? 0 : k * each);
    stands.set(at[0], to);
    svg.append(s("rect", { x: x + 0.5, y: high, width: each - 1, height: Math.max(0.5, Y(Math.min(from, to)) - high), fill: fillOf(one),
      stroke: one.estimated && paint(one.colour), "fill-opacity": one.estimated ? 1 : 0.85, ...traced(one, i) }, s("title", {},
          tellPoint(chart, one, at, show))));
    if (at[2] != null && at[3] != null) svg.append(whisker(x + each / 2, Y(at[2]), Y(at[3])));
  }));
}
function drawJoined(chart, one, { svg, X, Y }, [low, high], shift, show, width) { // a line, its band; returns its marks, which lie above all lines
  const colour = paint(one.colour), place = (at) => [X(at[0]) + shift, Y(at[1])], marks = [];
  if (one.band) svg.append(band(X, Y, one.points.filter(barred).map(([x, , from, to]) => [x, from ?? low, to ?? high]), fillOf(one)));
  const parts = [[]]; // a point without a value leaves a gap
  for (const at of one.points) if (at[1] == null) parts.push([]); else parts.at(-1).push(place(at));
  const look = { stroke: colour, "stroke-width": one.style === "solid" ? 2 : 1.7, "stroke-dasharray": DASHES[one.style], "stroke-linejoin": "round" };
  if (one.style !== "none") svg.append(...parts.map((part) => line(part, look)));
  const marked = one.mark !== "none" && (one.style === "none" || one.points.length <= width / 14);
  one.points.forEach((at, i) => {
    const [from, to] = [Y(at[2] ?? low), Y(at[3] ?? high)];
    if (!one.band && barred(at) && Math.abs(from - to) > 4) marks.push(whisker(X(at[0]) + shift, from, to, colour));
    if (at[1] == null) return;
    const [x, y] = place(at), target = s("circle", { cx: x, cy: y, r: 9, fill: "transparent" });
    marks.push(s("g", traced(one, i), target, marked && mark(x, y, one.mark, !one.estimated, colour, 3.8), s("title", {}, tellPoint(chart, one, at, show))));
  });
  return marks;
}
function drawRules(rules, { svg, X, Y, left, right, top, bottom }) { // lines across, and their labels where they do not collide
  const placed = rules.map((one) => [one, (one.axis === "x" ? X : Y)(one.at)]), labels = { x: -Infinity, y: Infinity };
  for (const [one, at] of placed) if (one.until == null) svg.append(one.axis === "x"
    ? line([[at, top - 6], [at, bottom]], { stroke: "var(--ink)", "stroke-dasharray": "1.5 3" }) : line([[left, at], [right, at]],
        { stroke: "var(--ink)", "stroke-width": 1.1 }));
  for (const [one, at] of placed.filter(([of]) => of.axis === "x").sort((a, b) => a[1] - b[1])) {
    const half = one.label.length * 3.1, x = clamp(Math.max(at, labels.x + half + 6), half, right + 14 - half);
    svg.append(words(x, top - 9, one.label, { class: "strong", "text-anchor": "middle" }));
    labels.x = x + half;
  }
  for (const [one, at] of placed.filter(([of]) => of.axis === "y").sort((a, b) => b[1] - a[1])) { // from below upwards
    labels.y = Math.min((one.until == null ? at : Math.min(at, Y(one.until))) - 5, labels.y - 13);
    svg.append(words(left + 4, labels.y < top ? at + 14 : labels.y, one.label, { class: "ink halo" }));
  }
}
function drawChart(chart, width) {
  const show = chart.y.percent ? pct : num, { bars, x, y, xticks } = axesOf(chart, width), height = chart.wide ? 300 : 250;
  if (bars.length && chart.horizontal) return drawLying(chart, bars, width, show);
  const above = chart.rules.some((one) => one.axis === "x"), titled = chart.y.title && !chart.title.includes(chart.y.title);
  const plot = frame({ width, height, label: `${chart.title}: ${chart.words}`, x, y, xticks, yticks: chart.y.ticks.length ? chart.y.ticks : steps(...y,
      chart.y.log, 5),
    log: chart.y.log, xlog: chart.x.log, show, showX: chart.x.percent ? pct : num, top: 12 + (titled ? 18 : 0) + (above ? 16 : 0), xtitle: chart.x.title,
    category: bars.length && chart.x.ticks.length ? 1 : 0 }), { svg, X, Y } = plot;
  if (titled) svg.append(words(0, 11, chart.y.title));
  for (const one of chart.rules) if (one.until != null) { // bands lie behind everything
    const [a, b] = [one.at, one.until].map(one.axis === "x" ? X : Y).sort((p, q) => p - q);
    const box = one.axis === "x" ? { x: a, y: plot.top, width: b - a, height: plot.bottom - plot.top } : { x: plot.left, y: a, width: plot.right - plot.left,
        height: b - a };
    svg.append(s("rect", { ...box, fill: hatch("soft"), opacity: 0.4 }));
  }
  if (bars.length) drawColumns(chart, bars, plot, Math.max(0, y[0]), show);
  const joined = chart.lines.filter((one) => one.style !== "bars").sort((a, b) => b.band - a.band);
  const dodging = joined.filter((one) => !one.band && one.points.some(barred));
  const gap = Math.min(7, (plot.right - plot.left) / Math.max(1, xticks.length) / 4); // whiskers of several lines stand beside one another
  const marks = joined.map((one) => {
    const shift = dodging.length > 1 && dodging.includes(one) ? (dodging.indexOf(one) - (dodging.length - 1) / 2) * gap : 0;
    return drawJoined(chart, one, plot, y, shift, show, width);
  });
  drawRules(chart.rules, plot);
  svg.append(...marks.flat());
  return svg;
}
function drawLying(chart, bars, width, show) { // one row a category, bars from the left
  const ats = [...new Set(bars.flatMap((one) => one.points.map(([at]) => at)))], rows = chart.x.ticks.length ? chart.x.ticks : ats.map((at) => [at, num(at)]);
  const each = chart.stacked ? 1 : bars.length, step = 14 + 9 * each, height = rows.length * step + 44, right = width - 54;
  const values = (at) => bars.map((one) => one.points.find(([v]) => v === at)?.[1] ?? 0);
  const longest = most(rows.map(([at]) => (chart.stacked ? sum : most)(values(at))));
  const left = Math.min(width * 0.4, 12 + 6.4 * most(rows.map(([, name]) => name.length))), x = ends({ ...chart.y, log: false }, [0, longest], true);
  const X = scaled(x, [left, right]);
  const svg = s("svg", { class: "chart", width, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${chart.title}: ${chart.words}` });
  for (const v of steps(...x, false, Math.max(2, (width - left) / 80))) svg.append(s("path", { d: `M${X(v)} 4V${height - 38}`, stroke: "var(--faint)" }),
    words(X(v), height - 22, show(v), { "text-anchor": "middle" }));
  if (chart.y.title) svg.append(words((left + right) / 2, height - 4, chart.y.title, { "text-anchor": "middle" }));
  rows.forEach(([at, name], row) => {
    const middle = 4 + (row + 0.5) * step;
    let from = 0;
    svg.append(words(left - 8, middle + 4, short(name, Math.floor(left / 6.2)), { "text-anchor": "end", class: "ink" }));
    bars.forEach((one, k) => {
      const i = one.points.findIndex(([v]) => v === at), value = one.points[i]?.[1];
      const y = middle - (chart.stacked ? 7 : 4.5 * each) + (chart.stacked ? 0 : k * 9);
      if (value == null) return;
      svg.append(s("rect", { x: X(from), y, width: Math.max(0, X(from + value) - X(from)), height: chart.stacked ? 14 : 8, fill: fillOf(one),
        "fill-opacity": one.estimated ? 1 : 0.85, ...traced(one, i) }, s("title", {}, `${one.name}, ${name}: ${show(value)}`)));
      if (chart.stacked) from += value; else svg.append(words(X(value) + 5, y + 8, show(value)));
    });
    if (chart.stacked) svg.append(words(X(from) + 6, middle + 4, show(from)));
  });
  return svg;
}
function legendOf(chart) {
  const colour = (one) => paint(one.colour);
  const box = (one, opacity) => s("rect", { width: 24, height: 11, fill: fillOf(one), "fill-opacity": opacity, stroke: one.style === "bars" && colour(one) });
  const entry = (one) => [one.style === "bars" ? box(one, 1) : s("g", {}, one.band && box(one, one.estimated ? 0.6 : 0.2),
    one.style !== "none" && line([[0, 5.5], [24, 5.5]], { stroke: colour(one), "stroke-width": 1.8, "stroke-dasharray": DASHES[one.style] }),
    !one.band && one.mark !== "none" && mark(12, 5.5, one.mark, !one.estimated, colour(one), 3.8)), one.name];
  return (chart.lines.length > 1 || chart.lines.some((one) => one.band || one.estimated)) && legend(...chart.lines.map(entry));
}
function drawFigures() {
  for (const place of document.querySelectorAll("figure[data-chart]")) {
    const chart = PAGE.charts.find((one) => one.key === place.dataset.chart), box = place.querySelector(".plot");
    if (chart) box.replaceChildren(...[drawChart(chart, Math.max(260, box.clientWidth)), legendOf(chart)].filter(Boolean));
  }
}
