// One renderer for every figure of a page: lines, bands, whiskers, bars, rules, drawn anew for the width there is.
// Knows: Chart of the payload. Refuses to know: what the numbers mean.
function steps(low, high, log, room) { // where an axis is labelled: 1, 2, 5, 10, ..., never more than there is room for
  if (!log) {
    const raw = (high - low) / Math.max(1, room), base = 10 ** Math.floor(Math.log10(raw || 1)), step = base * [1, 2, 2.5, 5,
        10].find((one) => one * base >= raw * 0.999);
    return range(Math.floor((high - low) / step) + 2).map((i) => Number(((Math.ceil(low / step - 1e-9) + i) * step).toPrecision(12))).filter((one) => one <= high + step * 1e-6);
  }
  const decades = Math.log10(high / low), from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
  const digits = decades < 0.9 ? [1, 1.2, 1.5, 2, 3, 5, 7] : decades * 3 <= room + 2.5 ? [1, 2, 5] : [1], stride = Math.max(1,
      Math.ceil((to - from) / room));
  const all = range(to - from + 1).filter((i) => i % stride === 0).flatMap((i) => digits.map((one) => Number((one * 10 ** (from + i)).toPrecision(6))));
  return all.filter((one) => one >= low * 0.999 && one <= high * 1.001);
}
function scaled([low, high], [from, to], log) {
  const f = log ? Math.log : (v) => v, a = f(low), b = f(high);
  return (v) => from + (clamp(log && v <= 0 ? a : f(v), Math.min(a, b), Math.max(a, b)) - a) / (b - a || 1) * (to - from);
}
// An empty plot: axes with labels, and X and Y for what is drawn into it. Ticks are numbers or [where, label].
function frame({ width, height, label, x, y, xticks, yticks, log = false, xlog = false, show = num, showX = num, left, right = 14, top = 12,
    bottom = 24, xtitle = "" }) {
  const named = (list, name) => list.map((one) => Array.isArray(one) ? one : [one, name(one)]), ys = named(yticks, show), xs = named(xticks,
      showX).sort((a, b) => a[0] - b[0]);
  left ??= 14 + 6.4 * most([2, ...ys.map(([, told]) => told.length)]);
  bottom += xtitle ? 18 : 0;
  const X = scaled(x, [left, width - right], xlog), Y = scaled(y, [height - bottom, top], log);
  const svg = s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const [v, told] of ys) svg.append(s("path", { d: `M${left} ${Y(v)}H${width - right}`, stroke: "var(--faint)" }),
      words(left - 7, Y(v) + 4, told, { "text-anchor": "end" }));
  let used = -Infinity;
  for (const [v, told] of xs) {
    const half = told.length * 3.2, at = clamp(X(v), half, width - half);
    if (at - half < used + 6) continue; // labels that would touch are left out
    svg.append(words(at, height - bottom + 17, told, { "text-anchor": "middle" })); used = at + half;
  }
  if (xtitle) svg.append(words((left + width - right) / 2, height - 3, xtitle, { "text-anchor": "middle" }));
  return { X, Y, left, right, top, bottom, width, height, svg: made(svg, {}, [s("path", { d: `M${left} ${height - bottom}H${width - right}`,
      stroke: "var(--soft)" })]) };
}
const band = (X, Y, list, fill) => line([...list.map(([x, , high]) => [X(x), Y(high)]), ...[...list].reverse().map(([x, low]) => [X(x),
    Y(low)])], { fill, "fill-opacity": fill.startsWith("url") ? 0.55 : 0.17 });
const DASHES = { dash: "6 3.5", dot: "1.5 3.5" };
function ends(axis, values, bars) { // the ends of an axis from its data, where the record does not fix them
  const known = values.filter((v) => isNumber(v) && (!axis.log || v > 0)), whole = known.length ? known : [axis.log ? 1 : 0, axis.log ? 10 :
      1];
  let low = axis.lowest ?? least(whole), high = axis.highest ?? most(whole);
  if (axis.percent && axis.lowest == null && low >= 0) low = 0;
  if (axis.percent && axis.highest == null && high <= 1) high = high > 0.25 ? 1 : Math.max(high * 1.2, 0.01);
  if (axis.log) return [axis.lowest ?? (low >= 1 && low < 1.5 ? 1 : low / 1.15), axis.highest ?? Math.max(high * 1.15, low * 1.5)];
  if (bars && axis.lowest == null) low = Math.min(0, low);
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const pad = 0.06 * (high - low);
  return [axis.lowest ?? (axis.percent || (low >= 0 && low < 0.35 * high) ? Math.min(low, axis.percent ? low : 0) : low - pad),
      axis.highest ?? (axis.percent && high === 1 ? 1 : high + pad)];
}
const traced = (one, i) => one.paths[i] ? { "data-path": one.paths[i], "data-value": one.points[i][1] } : {}; // where a point is kept
function drawChart(chart, width) {
  const bars = chart.lines.filter((one) => one.style === "bars"), shown = chart.y.percent ? pct : num, axis = { ...chart.y };
  if (bars.length && chart.horizontal) return drawLying(chart, bars, width, shown);
  const height = chart.wide ? 300 : 250, points = chart.lines.flatMap((one) => one.points);
  const tall = chart.stacked ?
      [...new Set(points.map(([x]) => x))].map((x) => sum(bars.map((one) => one.points.find((each) => each[0] === x)?.[1] ?? 0))) : [];
  const y = ends(axis, [...points.flatMap(([, ...rest]) => rest), ...tall,
      ...chart.rules.filter((one) => one.axis === "y").flatMap((one) => [one.at, one.until])], bars.length > 0);
  const xs = [...points.map(([x]) => x), ...chart.rules.filter((one) => one.axis === "x").map((one) => one.at)].filter(isNumber),
      whole = xs.every(Number.isInteger) && most(xs) - least(xs) <= 400;
  let x = [chart.x.lowest ?? least([...xs, Infinity]), chart.x.highest ?? most([...xs, -Infinity])];
  if (!xs.length) x = [0, 1];
  const room = Math.max(2, Math.floor(width / 60)), padX = bars.length ? 0.5 : whole && !chart.x.log && x[1] - x[0] <= 60 ? Math.max(0.15,
      0.02 * (x[1] - x[0])) : 0;
  const xticks = chart.x.ticks.length ? chart.x.ticks : whole && !chart.x.log ? steps(x[0], x[1], false, Math.min(room * 1.6, x[1] - x[0] ||
      1)).filter(Number.isInteger) : steps(...x, chart.x.log, room);
  x = chart.x.log ? [x[0] / 1.04, x[1] * 1.04] : [x[0] - padX, x[1] + padX || x[0] + 1];
  const above = chart.rules.some((one) => one.axis === "x" && one.label), titled = chart.y.title && !chart.title.includes(chart.y.title);
  const plot = frame({ width, height, label: `${chart.title}: ${chart.words}`, x, y, log: axis.log, xlog: chart.x.log, xticks,
      yticks: chart.y.ticks.length ? chart.y.ticks : steps(...y, axis.log, 5), show: shown,
    showX: chart.x.percent ? pct : num, top: 12 + (titled ? 18 : 0) + (above ? 16 : 0), xtitle: chart.x.title }), { X, Y, svg } = plot;
  if (titled) svg.append(words(0, 11, chart.y.title));
  const rules = chart.rules.filter((one) => one.until != null), labels = [];
  for (const one of rules) { // bands lie behind everything
    const [a, b] = [one.at, one.until].map(one.axis === "x" ? X : Y).sort((p, q) => p - q);
    svg.append(s("rect", one.axis === "x" ? { x: a, y: plot.top, width: b - a, height: height - plot.top - plot.bottom, fill: hatch("soft"),
        opacity: 0.4 } : { x: plot.left, y: a, width: width - plot.left - plot.right, height: b - a, fill: hatch("soft"), opacity: 0.4 }));
    labels.push([one, one.axis === "x" ? (a + b) / 2 : a]);
  }
  const dodged = chart.lines.filter((one) => !one.band && one.style !== "bars" && one.points.some((at) => at[2] != null || at[3] != null)),
      gap = Math.min(7, (X(x[0] + (x[1] - x[0]) / Math.max(1, xticks.length)) - X(x[0])) / 4);
  const standing = new Map(), marks = [];
  for (const one of [...chart.lines].sort((a, b) => b.band - a.band || (b.style === "bars") - (a.style === "bars"))) {
    const colour = paint(one.colour), shift = dodged.length > 1 && dodged.includes(one) ?
        (dodged.indexOf(one) - (dodged.length - 1) / 2) * gap : 0,
        told = (at) => `${one.name}${chart.x.title ? `, ${chart.x.title}` : ""} ${chart.x.ticks.find(([v]) => v === at[0])?.[1] ?? num(at[0])}: ${at[1] == null ? "" : shown(at[1])}${at[2] != null || at[3] != null ? ` (${span(at[2] ?? y[0], at[3] ?? Infinity, shown)})` : ""}`;
    if (one.style === "bars") {
      const wide = Math.min(48, (X(1) - X(0)) * 0.8), each = chart.stacked ? wide : wide / bars.length, k = bars.indexOf(one);
      for (const [i, at] of one.points.entries()) if (at[1] != null) {
        const from = chart.stacked ? standing.get(at[0]) ?? 0 : Math.max(0, y[0]), to = chart.stacked ? from + at[1] : at[1],
            left = X(at[0]) - wide / 2 + (chart.stacked ? 0 : k * each), [high, low] = [Y(Math.max(from, to)), Y(Math.min(from, to))];
        standing.set(at[0], to);
        svg.append(s("rect", { x: left + 0.5, y: high, width: each - 1, height: Math.max(0.5, low - high), fill: one.estimated ?
            hatch(one.colour) : colour, stroke: one.estimated ? colour : "none", "fill-opacity": one.estimated ? 1 : 0.85,
            ...traced(one, i) }, s("title", {}, told(at))));
        if (at[2] != null && at[3] != null) svg.append(whisker(left + each / 2, Y(at[2]), Y(at[3])));
      }
      continue;
    }
    if (one.band) {
      const list = one.points.filter((at) => at[2] != null || at[3] != null).map(([v, , low, high]) => [v, low ?? y[0], high ?? y[1]]);
      svg.append(band(X, Y, list, one.estimated ? hatch(one.colour) : colour));
      if (one.style === "none") continue;
    }
    let run = [];
    const joined = [run];
    for (const at of one.points) if (at[1] == null) joined.push(run = []); else run.push([X(at[0]) + shift, Y(at[1])]);
    if (one.style !== "none") for (const list of joined) svg.append(line(list, { stroke: colour, "stroke-width": one.colour === "theory" ||
        one.style !== "solid" ? 1.7 : 2, "stroke-dasharray": DASHES[one.style], "stroke-linejoin": "round" }));
    const sparse = one.points.length <= width / 14;
    for (const [i, at] of one.points.entries()) {
      if (!one.band && (at[2] != null || at[3] != null)) { const [low, high] = [Y(at[2] ?? y[0]), Y(at[3] ?? y[1])];
          if (Math.abs(low - high) > 4) marks.push(whisker(X(at[0]) + shift, low, high, colour)); }
      if (at[1] == null) continue;
      marks.push(s("g", traced(one, i), s("circle", { cx: X(at[0]) + shift, cy: Y(at[1]), r: 9, fill: "transparent" }),
          one.mark !== "none" && (sparse || one.style === "none") && mark(X(at[0]) + shift, Y(at[1]), one.mark, !one.estimated, colour,
          3.8), s("title", {}, told(at))));
    }
  }
  for (const one of chart.rules.filter((each) => each.until == null)) {
    const at = (one.axis === "x" ? X : Y)(one.at);
    svg.append(one.axis === "x" ? line([[at, plot.top - 6], [at, height - plot.bottom]], { stroke: "var(--ink)",
        "stroke-dasharray": "1.5 3" }) : line([[plot.left, at], [width - plot.right, at]], { stroke: "var(--ink)", "stroke-width": 1.1 }));
    labels.push([one, at]);
  }
  svg.append(...marks);
  let [lastX, lastY] = [-Infinity, Infinity];
  for (const [one, at] of labels.sort((a, b) => a[1] - b[1])) if (one.axis === "x") {
    const half = one.label.length * 3.1, place = clamp(Math.max(at, lastX + half + 6), half, width - half);
    svg.append(words(place, plot.top - 9, one.label, { class: "strong", "text-anchor": "middle" })); lastX = place + half;
  }
  for (const [one, at] of labels.filter(([each]) => each.axis === "y").sort((a,
      b) => b[1] - a[1])) { // from below upwards, each above the last
    lastY = Math.min(at - 5, lastY - 13);
    svg.append(words(plot.left + 4, lastY < plot.top ? at + 14 : lastY, one.label, { class: "ink halo" }));
  }
  return svg;
}
function drawLying(chart, bars, width, shown) { // one row a category, bars from the left
  const rows = chart.x.ticks.length ? chart.x.ticks : [...new Set(bars.flatMap((one) => one.points.map(([at]) => at)))].map((at) => [at,
      num(at)]), each = chart.stacked ? 1 : bars.length, step = 14 + 9 * each;
  const total = (at) => bars.map((one) => one.points.find(([v]) => v === at)?.[1] ?? 0), longest = most(rows.map(([at]) => chart.stacked ?
      sum(total(at)) : most(total(at))));
  const left = Math.min(width * 0.4, 12 + 6.4 * most(rows.map(([, name]) => name.length))), x = ends({ ...chart.y, lowest: chart.y.lowest ??
      0 }, [longest], true), X = scaled(x, [left, width - 54], false);
  const height = rows.length * step + 44, svg = s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${chart.title}: ${chart.words}` });
  for (const v of steps(...x, false, Math.max(2, (width - left) / 80))) svg.append(s("path", { d: `M${X(v)} 4V${height - 38}`,
      stroke: "var(--faint)" }), words(X(v), height - 22, shown(v), { "text-anchor": "middle" }));
  if (chart.y.title) svg.append(words((left + width - 54) / 2, height - 4, chart.y.title, { "text-anchor": "middle" }));
  rows.forEach(([at, name], row) => {
    let from = 0;
    svg.append(words(left - 8, 4 + row * step + step / 2 + 4, short(name, Math.floor(left / 6.2)), { "text-anchor": "end", class: "ink" }));
    bars.forEach((one, k) => {
      const index = one.points.findIndex(([v]) => v === at), value = one.points[index]?.[1], y = 4 + row * step + (chart.stacked ? 4.5 :
          (step - 9 * each) / 2 + k * 9), to = (chart.stacked ? from : 0) + (value ?? 0);
      if (value == null) return;
      svg.append(s("rect", { x: X(from), y, width: Math.max(0, X(to) - X(from)), height: chart.stacked ? step - 9 : 8, fill: one.estimated ?
          hatch(one.colour) : paint(one.colour), "fill-opacity": one.estimated ? 1 : 0.85, ...traced(one, index) }, s("title", {},
          `${one.name}, ${name}: ${shown(value)}`)));
      if (!chart.stacked) svg.append(words(X(to) + 5, y + 8, shown(value), {})); else from = to;
    });
    if (chart.stacked) svg.append(words(X(from) + 6, 4 + row * step + step / 2 + 4, shown(from), {}));
  });
  return svg;
}
function legendOf(chart) {
  const entry = (one) => [one.style === "bars" ? s("rect", { width: 24, height: 10, fill: one.estimated ? hatch(one.colour) :
      paint(one.colour), stroke: paint(one.colour) }) : s("g", {},
    one.band && s("rect", { width: 24, height: 11, fill: one.estimated ? hatch(one.colour) : paint(one.colour),
        "fill-opacity": one.estimated ? 0.6 : 0.2 }),
    one.style !== "none" && line([[0, 5.5], [24, 5.5]], { stroke: paint(one.colour), "stroke-width": 1.8,
        "stroke-dasharray": DASHES[one.style] }),
    !one.band && one.mark !== "none" && mark(12, 5.5, one.mark, !one.estimated, paint(one.colour), 3.8)), one.name];
  return chart.lines.length > 1 || chart.lines.some((one) => one.band || one.estimated) ? legend(...chart.lines.map(entry)) : null;
}
function drawFigures() {
  for (const place of document.querySelectorAll("figure[data-chart]")) {
    const chart = PAGE.charts.find((one) => one.key === place.dataset.chart), box = place.querySelector(".plot");
    if (chart && box) box.replaceChildren(...[drawChart(chart, Math.max(260, box.clientWidth)), legendOf(chart)].filter(Boolean));
  }
}
