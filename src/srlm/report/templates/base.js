// What the other files stand on: the payload, elements, numbers as people read them, files to take along, small shapes.
// Text is set as text and attributes by name; nothing here or elsewhere parses markup, evaluates or asks for anything.
const $ = (id) => document.getElementById(id);
const least = (list) => list.reduce((a, b) => Math.min(a, b), Infinity), most = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
const range = (n) => [...Array(Math.max(0, n)).keys()], sum = (list) => list.reduce((a, b) => a + b, 0);
const clamp = (x, low, high) => Math.min(high, Math.max(low, x)), isNumber = (x) => typeof x === "number" && Number.isFinite(x);

// The payload leaves out fields at their defaults.
const PAGE = JSON.parse($("page").textContent);
function filled(part, defaults) {
  for (const [name, value] of Object.entries(defaults)) part[name] ??= Array.isArray(value) ? [] : value;
  return part;
}
filled(PAGE, { runs: [], charts: [] });
for (const run of PAGE.runs) {
  filled(run, { beta: null, left_out: 0, thinned: "", steps: [], prompts: [], stop: null, proved: "proved", failing: 0.5 });
  for (const prompt of run.prompts) {
    filled(prompt, { items: [], known: "" });
    for (const item of prompt.items) filled(item, { text: null, right: null });
    for (const at of prompt.rounds) filled(at, { lead: null, lower: null, upper: null, right: null, share: null, greedy: null, drawn: 0,
      logprobs: [], open: [], open_texts: [], beneath: [], counts: [], draws: [] });
  }
}
for (const chart of PAGE.charts) {
  filled(chart, { lines: [], rules: [], x: {}, y: {} });
  for (const axis of [chart.x, chart.y]) filled(axis, { title: "", ticks: [] });
  for (const one of chart.lines) filled(one, { colour: "ink", style: "solid", mark: "dot", band: false, estimated: false, paths: [] });
}

// ---- elements ----
function made(node, attrs, kids) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...kids.flat(9).filter((kid) => kid != null && kid !== false && kid !== ""));
  return node;
}
const h = (tag, attrs, ...kids) => made(document.createElement(tag), attrs, kids);
const s = (tag, attrs, ...kids) => made(document.createElementNS("http://www.w3.org/2000/svg", tag), attrs, kids);

// ---- numbers and words ----
const trim = (text) => text.includes("e") || !text.includes(".") ? text : text.replace(/\.?0+$/, "");
function num(x) { // three figures
  if (!Number.isFinite(x)) return "∞";
  if (Math.abs(x) >= 1e5 || (x && Math.abs(x) < 1e-3)) return x.toExponential(0).replace("e+", "e");
  return Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : trim(x.toPrecision(3));
}
function prob(p) { // two figures, more where it is nearly 1
  if (p == null) return "not known";
  if (p > 0.995) return p > 0.99995 ? "1" : p.toFixed(4);
  return p >= 0.1 ? p.toFixed(2) : p >= 0.001 ? p.toPrecision(2) : p > 0 ? p.toExponential(0) : "0";
}
const pct = (x) => `${num(Math.abs(x) < 0.1 ? Math.round(1000 * x) / 10 : Math.round(100 * x))}%`;
const span = (low, high, show) => show(low) === show(high) ? show(low) : `${show(low)} to ${show(high)}`;
const plural = (n, word, more = `${word}s`) => `${n.toLocaleString("en")} ${n === 1 ? word : more}`;
const short = (text, length) => text.length > length ? `${text.slice(0, length - 1)}…` : text;

// ---- files ----
function cell(one) { // a text that a spreadsheet would compute is kept from it by a leading '
  const text = String(one ?? ""), safe = typeof one === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n");
const save = (name, type, make) => h("button", { type: "button", class: "save", onclick: () => {
  const url = URL.createObjectURL(new Blob([make()], { type })), link = h("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
} }, name);

// ---- shapes: filled is proved, hollow is sampled or open, hatched is an area of which the same holds ----
const COLOURS = ["ink", "theory", "right", "wrong", "soft", "blue", "orange", "green", "purple", "red"];
const paint = (name) => `var(--${COLOURS.includes(name) ? name : "ink"})`, hatch = (name) => `url(#hatch-${name})`;
const pattern = (name) => s("pattern", { id: `hatch-${name}`, width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
  s("rect", { width: 1.5, height: 4, fill: paint(name) }));
document.body.prepend(s("svg", { width: 0, height: 0, class: "sr", "aria-hidden": "true" }, s("defs", {}, COLOURS.map(pattern))));
const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const line = (points, attrs) => s("path", { d: path(points), fill: "none", ...attrs });
const words = (x, y, told, attrs) => s("text", { x, y, ...attrs }, told);
const MARKS = {
  dot: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`,
  diamond: (x, y, r) => `M${x - r} ${y}L${x} ${y - r}L${x + r} ${y}L${x} ${y + r}Z`,
  up: (x, y, r) => `M${x - r} ${y + r}h${2 * r}L${x} ${y - r}Z`,
  down: (x, y, r) => `M${x - r} ${y - r}h${2 * r}L${x} ${y + r}Z`,
  cross: (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`,
};
const mark = (x, y, kind, solid, colour, r = 4) => s("path", { d: MARKS[kind](x, y, r), stroke: colour, "stroke-width": 1.7,
  fill: kind === "cross" ? "none" : solid ? colour : "var(--paper)" });
const whisker = (x, low, high, stroke = "var(--ink)") =>
  s("path", { d: `M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6`, stroke, "stroke-width": 1.3, fill: "none" });
const swatch = (picture) => s("svg", { viewBox: "0 0 24 11", "aria-hidden": "true" }, picture);
const legend = (...entries) => h("ul", { class: "legend" }, entries.filter(Boolean).map(([picture, told]) => h("li", {}, swatch(picture), told)));
