// The page comes alive: theme, keys, printing, files to take along. Reads the address, draws, listens.
const narrowed = () => matchMedia("(max-width: 52rem)").matches, dark = () => (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const explorer = RUNS.length > 0 && Boolean($("list"));
const theme = h("button", { type: "button", onclick: () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; label();
    } }), label = () => { theme.textContent = dark() ? "light" : "dark"; theme.setAttribute("aria-label", `${theme.textContent} theme`); };
label(); matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label); $("tools").append(theme);

function drawRuns() {
  const run = current();
  $("runs").hidden = RUNS.length < 2;
  if (RUNS.length > 1) $("runs").replaceChildren(...RUNS.map((one) => h("a", { href: one === RUNS[0] ? "#run=" :
      `#run=${encodeURIComponent(one.name)}`, "aria-current": one === run ? "page" : null }, short(one.name, 32))));
  $("key").replaceChildren(...(explorer ? [[true, run.level === "answer" ? `certified at ${pct(run.confidence ?? 0.95)}` : run.proved],
      [false, run.level === "answer" ? "sampled" : "sampled or open"]].map(([is, told]) => h("span", {},
      s("svg", { class: "mark", viewBox: "0 0 10 10", "aria-hidden": "true" }, s("rect", { width: 10, height: 10, fill: is ? "var(--ink)" :
      hatch("ink"), stroke: "var(--ink)" })), told)) : []));
}
function draw() {
  drawFigures();
  if (!explorer) return;
  drawRuns(); drawLedger(); drawList(); drawView();
}
function arrive(event) { // an address was typed, followed, or gone back to
  const before = state, anchor = location.hash && !location.hash.includes("=");
  if (anchor && event) return;
  clearTimeout(waiting); waiting = 0;
  parse();
  const list = matches();
  if ((state.flow || state.only.length) && list.length && !list.some((one) => one.id === state.prompt)) state.prompt = list[0].id;
  draw();
  if (!event) { if (location.hash.includes("prompt=")) requestAnimationFrame(() => $("view").scrollIntoView()); }
  else if (state.flow && state.flow !== before.flow) { $("prompts").scrollIntoView();
      $("list").querySelector("a")?.focus({ preventScroll: true }); }
}
function taken() { // what can be taken along: every table as CSV, the prompts of every run, all data
  for (const table of document.querySelectorAll("table[data-csv]:not([data-csv^=ledger])")) table.after(h("p", { class: "downloads" },
      save(`${table.dataset.csv}.csv`, "text/csv",
      () => csv([...table.rows].map((row) => [...row.cells].map((one) => one.textContent.replace(/\s+/g, " ").trim()))))));
  const box = $("downloads"), rows = (run) => [["prompt", "split", "known", "round", "favourite", "log_probability_lower",
      "log_probability_upper", run.level === "answer" ? "certified" : run.proved, "right", "share_right"],
    ...run.prompts.flatMap((one) => one.rounds.map((at, k) => [one.prompt, one.split, one.known, run.rounds[k], one.items[at.lead]?.text ??
        "", at.lower, at.upper, at.certified, at.right, at.share]))];
  if (!box) return;
  box.append(save("page.json", "application/json", () => JSON.stringify(PAGE)), ...RUNS.flatMap((run) => [save(`${run.name}-prompts.csv`,
      "text/csv", () => csv(rows(run))),
    run.steps.length && save(`${run.name}-ledger.csv`, "text/csv", () => csv([["round", "split", ...Object.keys(FATES)],
        ...run.steps.map((one) => [one.round, one.split, ...Object.keys(FATES).map((fate) => one.counts[fate] ?? 0)])]))]).filter(Boolean),
    ...(PAGE.charts.length ? [save("figures.csv", "text/csv", () => csv([["figure", "line", "x", "y", "lower", "upper"],
        ...PAGE.charts.flatMap((chart) => chart.lines.flatMap((one) => one.points.map((at) => [chart.key, one.name, ...at])))]))] : []));
}
if (explorer) {
  for (const one of document.querySelectorAll("[data-explorer]")) one.hidden = false;
  $("search").addEventListener("input", (event) => go({ q: event.target.value }, drawList));
  $("list").addEventListener("scroll",
      ({ target }) => { if (target.scrollTop + target.clientHeight > target.scrollHeight - 600) more(made_rows + CHUNK); },
      { passive: true });
  $("list").addEventListener("click", (event) => { const link = event.target.closest("a[data-prompt]");
      if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); open(Number(link.dataset.prompt)); } });
  const toggle = h("button", { type: "button", "aria-pressed": "true", onclick: () => { keys = !keys; toggle.setAttribute("aria-pressed",
      String(keys)); toggle.textContent = keys ? "keys on" : "keys off"; } }, "keys on");
  $("keys").append(toggle);
  addEventListener("hashchange", arrive);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys) return;
    if (event.target.matches("input[type=search], select, textarea")) { if (event.key === "Escape") event.target.blur(); return; }
    const at = found.findIndex((one) => one.id === state.prompt), step = { j: 1, k: -1 }[event.key], turn = { h: -1, l: 1 }[event.key];
    if (step && found.length) open(found[at < 0 ? 0 : clamp(at + step, 0, found.length - 1)].id);
    if (turn) { go({ round: clamp(state.round + turn, first(current()), reach(current())), flow: "" }); drawList(); drawView(); }
    if (event.key === "/") { event.preventDefault(); $("search").focus(); }
  });
  addEventListener("click", (event) => { // anchors of the text scroll, and leave the state in the address
    const link = event.target.closest?.("a[href^='#']"), target = link && !link.getAttribute("href").includes("=") &&
        $(link.getAttribute("href").slice(1));
    if (target) { event.preventDefault(); target.scrollIntoView(); target.setAttribute("tabindex", "-1");
        target.focus({ preventScroll: true }); }
  });
}
let seen = innerWidth;
addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => { if (innerWidth !== seen) { seen = innerWidth; draw();
    } }, 120); });
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true;
    if (explorer) more(found.length); });
if (explorer) arrive(); else draw();
taken();
