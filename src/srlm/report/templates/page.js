// The page comes alive: theme, keys, printing, files to take along. Reads the address, draws, listens.
const narrow = () => matchMedia("(max-width: 52rem)").matches, explorer = RUNS.length > 0 && Boolean($("list"));
const likesDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (likesDark.matches ? "dark" : "light")) === "dark";
const theme = h("button", { type: "button", onclick: () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
} });
function nameTheme() {
  theme.textContent = isDark() ? "light" : "dark";
  theme.setAttribute("aria-label", `${theme.textContent} theme`);
}
nameTheme();
likesDark.addEventListener("change", nameTheme);
$("tools").append(theme);

function drawBar() { // which run, and what solid and hatched mean in it
  const run = current(), answers = run.level === "answer", level = pct(run.confidence ?? 0.95);
  const link = (one) => h("a", { href: `#run=${one === RUNS[0] ? "" : encodeURIComponent(one.name)}`, "aria-current": one === run && "page" },
      short(one.name, 32));
  const meaning = (fill, told) => h("span", {}, s("svg", { class: "mark", viewBox: "0 0 10 10", "aria-hidden": "true" },
    s("rect", { width: 10, height: 10, fill, stroke: "var(--ink)" })), told);
  $("runs").hidden = RUNS.length < 2;
  $("runs").replaceChildren(...RUNS.map(link));
  $("key").replaceChildren(meaning("var(--ink)", answers ? `certified at ${level}` : run.proved),
      meaning(hatch("ink"), answers ? "sampled" : "sampled or open"));
}
function draw(figures = true) {
  if (figures) drawFigures();
  if (explorer) for (const part of [drawBar, drawLedger, drawList, drawView]) part();
}
function arrive(event) { // an address was typed, followed, or gone back to
  const before = state;
  if (event && location.hash && !location.hash.includes("=")) return; // a section of the page
  clearTimeout(waiting);
  waiting = 0;
  parse();
  const list = matches();
  if ((state.flow || state.only.length) && list.length && !list.some((one) => one.id === state.prompt)) state.prompt = list[0].id;
  draw(!event);
  if (!event && location.hash.includes("prompt=")) requestAnimationFrame(() => $("view").scrollIntoView());
  if (event && state.flow && state.flow !== before.flow) {
    $("prompts").scrollIntoView();
    $("list").querySelector("a")?.focus({ preventScroll: true });
  }
}

// ---- files to take along: every table, the prompts and the ledger of every run, the points of figures, all data ----
const tableRows = (table) => [...table.rows].map((row) => [...row.cells].map((one) => one.textContent.replace(/\s+/g, " ").trim()));
const promptRows = (run) => [["prompt", "split", "known", "round", "favourite", "log_probability_lower", "log_probability_upper",
  certain(run), "right", "share_right"], ...run.prompts.flatMap((one) => one.rounds.map((at, k) => [one.prompt, one.split, one.known,
  run.rounds[k], one.items[at.lead]?.text, at.lower, at.upper, at.certified, at.right, at.share]))];
const ledgerRows = (run) => [["round", "split", ...Object.keys(FATES)],
  ...run.steps.map((one) => [one.round, one.split, ...Object.keys(FATES).map((fate) => one.counts[fate] ?? 0)])];
const figureRows = () => [["figure", "line", "x", "y", "lower", "upper"],
  ...PAGE.charts.flatMap((chart) => chart.lines.flatMap((one) => one.points.map((at) => [chart.key, one.name, ...at])))];
function offerFiles() {
  const sheet = (name, rows) => save(`${name}.csv`, "text/csv", () => csv(rows()));
  for (const table of document.querySelectorAll("table[data-csv]:not(#ledger-body *)")) {
    table.after(h("p", { class: "downloads" }, sheet(table.dataset.csv, () => tableRows(table))));
  }
  $("downloads")?.append(save("page.json", "application/json", () => $("page").textContent),
    ...RUNS.map((run) => sheet(`${run.name}-prompts`, () => promptRows(run))),
    ...RUNS.filter((run) => run.steps.length).map((run) => sheet(`${run.name}-ledger`, () => ledgerRows(run))),
    ...(PAGE.charts.length ? [sheet("figures", figureRows)] : []));
}

// ---- listening ----
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys) return;
  if (event.target.matches("input[type=search], select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const at = found.findIndex((one) => one.id === state.prompt), step = { j: 1, k: -1 }[event.key], turn = { h: -1, l: 1 }[event.key];
  if (step && found.length) open(found[at < 0 ? 0 : clamp(at + step, 0, found.length - 1)].id);
  if (turn) go({ round: clamp(state.round + turn, first(current()), reach(current())), flow: "" }, () => { drawList(); drawView(); });
  if (event.key === "/") {
    event.preventDefault();
    $("search").focus();
  }
}
function follow(event) { // prompts open here; sections scroll, and leave the state in the address
  const link = event.target.closest?.("a[href^='#']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const target = !link.getAttribute("href").includes("=") && $(link.getAttribute("href").slice(1));
  if (link.dataset.prompt || target) event.preventDefault();
  if (link.dataset.prompt) open(Number(link.dataset.prompt));
  if (target) {
    target.scrollIntoView();
    target.setAttribute("tabindex", "-1");
    target.focus({ preventScroll: true });
  }
}
if (explorer) {
  for (const one of document.querySelectorAll("[data-explorer]")) one.hidden = false;
  const toggle = h("button", { type: "button", "aria-pressed": "true", onclick: () => {
    keys = !keys;
    toggle.setAttribute("aria-pressed", String(keys));
  } }, "single keys");
  $("keys").append(" ", toggle);
  $("search").addEventListener("input", (event) => go({ q: event.target.value }, drawList));
  $("list").addEventListener("scroll", ({ target }) => {
    if (target.scrollTop + target.clientHeight > target.scrollHeight - 600) more(rowsMade + CHUNK);
  }, { passive: true });
  addEventListener("hashchange", arrive);
  addEventListener("keydown", press);
  addEventListener("click", follow);
}
let seen = innerWidth, resizing = 0;
addEventListener("resize", () => { // phones report a new height on every scroll
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    if (innerWidth !== seen) draw();
    seen = innerWidth;
  }, 120);
});
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  if (explorer) more(found.length);
});
if (explorer) arrive(); else draw();
offerFiles();
