// The address is the state; the ledger as flows; the list of prompts with its filters.
// Knows: Run of the payload. Refuses to know: how one prompt is drawn.
const RUNS = PAGE.runs, FATES = { kept: [true, true], learned: [false, true], corrupted: [true, false], still_wrong: [false, false] };
const spoken = (name) => name.replaceAll("_", " "), colourOf = (right) => right == null ? "soft" : right ? "right" : "wrong",
    named = (run, t) => t === run.rounds[0] && run.kind !== "audit" ? "base" : `round ${t}`;
const certain = (run) => run.level === "answer" ? "certified" : run.proved, first = (run) => run.rounds[0],
    final = (run) => run.rounds.at(-1), reach = (run) => Math.max(run.horizon, final(run));
const measuredAt = (run, t) => Math.max(0, run.rounds.findLastIndex((one) => one <= t)); // the latest round that was measured by then
const known = (at) => sum(at.counts), parsed = (at) => known(at) || 1;
const chances = (run, at) => run.level === "answer" ? range(at.counts.length).map((i) => at.counts[i] / parsed(at)) :
    at.logprobs.map((one) => one == null ? null : Math.exp(one));
const chance = (run, at, i) => i == null ? null : run.level === "answer" ? (at.counts[i] ?? 0) / parsed(at) : at.logprobs[i] == null ?
    null : Math.exp(at.logprobs[i]);
const textOf = (item) => item ? item.text === "" ? "(empty)" : item.text ?? "(text not kept)" : "nothing with an answer";
const lost = (run, prompt, at) => at.drawn ? (sum(at.counts.filter((_, i) => prompt.items[i]?.cut)) + (run.level === "answer" ?
    at.drawn - known(at) : 0)) / at.drawn : 0;
const moved = (prompt, k) => k > 0 && prompt.rounds[k].lead != null && prompt.rounds[0].lead != null &&
    prompt.rounds[k].lead !== prompt.rounds[0].lead;
const went = (fate) => (prompt, k) => k > 0 && prompt.rounds[0].right === FATES[fate][0] && prompt.rounds[k].right === FATES[fate][1];
const FILTERS = {
  wrong: ["the favourite is wrong", (prompt, k) => prompt.rounds[k].right === false],
  flipped: ["the favourite is no longer that of the first round", moved],
  uncertified: ["the favourite is not certain", (prompt, k) => !prompt.rounds[k].certified],
  cut: ["the favourite, or a tenth of the samples, was cut or had no answer",
      (prompt, k, run) => Boolean(prompt.items[prompt.rounds[k].lead]?.cut) || lost(run, prompt, prompt.rounds[k]) >= 0.1],
  learned: ["the favourite was wrong in the first round and is right", went("learned")],
  corrupted: ["the favourite was right in the first round and is wrong", went("corrupted")],
  held_out: ["never trained on", (prompt) => prompt.split === "held_out"],
};
const labelled = (run, name) => name === "uncertified" ? `not ${certain(run)}` : name === "flipped" ? "changed" : spoken(name);

// ---- state ----
let state = {}, keys = true, timer = 0, CHUNK = 60, made_rows = 0;
const runNamed = (name) => RUNS.find((one) => one.name === name), current = () => runNamed(state.run) ?? RUNS[0],
    beside = () => runNamed(state.beside);
const promptAt = () => current().prompts.find((one) => one.id === state.prompt) ?? current().prompts[0], now = () => measuredAt(current(),
    state.round);
function parse() {
  const found = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""), run = runNamed(found.get("run")) ?? RUNS[0],
      whole = (name) => found.get(name)?.match(/^\d{1,9}$/) ? Number(found.get(name)) : null;
  const round = clamp(whole("round") ?? (run.kind === "diagnosis" ? first(run) : final(run)), first(run), reach(run)),
      splits = [...new Set(run.steps.map((one) => one.split))];
  const worse = run.prompts.find((one) => went("corrupted")(one, measuredAt(run, round))) ?? run.prompts.find((one) => went("learned")(one,
      measuredAt(run, round)));
  const beta = Number(found.get("beta"));
  state = { run: run.name, beside: found.get("beside") !== run.name && runNamed(found.get("beside")) ? found.get("beside") : "",
      prompt: (run.prompts.find((one) => one.id === whole("prompt")) ?? worse ?? run.prompts[0])?.id, round,
    q: found.get("q") ?? "", only: (found.get("only") ?? "").split(",").filter((one) => FILTERS[one]), flow: Object.hasOwn(FATES,
        found.get("flow") ?? "") && round > first(run) ? found.get("flow") : "",
    split: splits.includes(found.get("split")) ? found.get("split") : splits[0] ?? "", beta: found.has("beta") && beta >= 0.05 &&
        beta <= 200 ? beta : null };
}
function address(change = {}) {
  const next = { ...state, ...change }, out = new URLSearchParams();
  if (next.run !== RUNS[0].name) out.set("run", next.run);
  for (const name of ["beside", "prompt", "round", "flow", "only", "q", "beta"]) if (next[name] != null &&
      String(next[name]) !== "") out.set(name, next[name]);
  if (next.split && next.split !== runNamed(next.run).steps[0]?.split) out.set("split", next.split);
  return `#${out}`;
}
let written = "", waiting = 0;
function go(change, redraw, push = false) { // the address follows a little later: browsers complain about many changes at once
  Object.assign(state, change);
  if (push && !waiting) history.pushState(null, "", address()); 
  clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = 0; history.replaceState(null, "", address()); }, 250);
  redraw?.();
}
const hay = new Map(), haystack = (prompt) => { if (!hay.has(prompt)) hay.set(prompt, [prompt.prompt, prompt.known,
    ...prompt.items.map((one) => one.text ?? "")].join("\n").toLowerCase()); return hay.get(prompt); };
const inFlow = (prompt, k) => !state.flow || (k > 0 && prompt.split === state.split &&
    prompt.rounds[k - 1].right === FATES[state.flow][0] && prompt.rounds[k].right === FATES[state.flow][1]);
function matches() {
  const run = current(), k = now(), needle = state.q.trim().toLowerCase();
  return run.prompts.filter((prompt) => inFlow(prompt, k) && state.only.every((one) => FILTERS[one][1](prompt, k, run)) &&
      (!needle || haystack(prompt).includes(needle)));
}

// ---- the ledger ----
function drawLedger() {
  const run = current(), all = run.steps.filter((one) => one.split === state.split),
      splits = [...new Set(run.steps.map((one) => one.split))];
  const section = $("ledger"), body = $("ledger-body");
  if (!section) return;
  section.hidden = !all.length;
  if (!all.length) return;
  const width = Math.max(280, body.clientWidth), T = all.length + 1, whole = most(all.map((one) => sum(Object.values(one.counts)))),
      height = run.stop ? 306 : 290, top = 36, gap = 26, bar = 12, unit = (290 - top - gap - 6) / Math.max(1, whole),
      cell = (width - bar) / (T - 1);
  const count = (one, fate) => one.counts[fate] ?? 0, rights = [count(all[0], "kept") + count(all[0], "corrupted"),
      ...all.map((one) => count(one, "kept") + count(one, "learned"))];
  const wrongs = [count(all[0], "learned") + count(all[0], "still_wrong"), ...all.map((one) => count(one, "corrupted") + count(one,
      "still_wrong"))], wrongTop = (t) => top + rights[t] * unit + gap, rounds = [run.rounds[Math.max(0,
      run.rounds.indexOf(all[0].round) - 1)], ...all.map((one) => one.round)];
  const where = state.split === "held_out" ? "held-out" : "trained", svg = s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`,
      role: "group", "aria-label": `Streams of ${where} prompts between rounds` }), labels = [];
  all.forEach((one, t) => {
    const x0 = cell * t + bar, x1 = cell * (t + 1), mid = (x0 + x1) / 2, n = (fate) => count(one, fate);
    const out = { kept: top, corrupted: top + n("kept") * unit, learned: wrongTop(t), still_wrong: wrongTop(t) + n("learned") * unit };
    const into = { kept: top, learned: top + n("kept") * unit, corrupted: wrongTop(t + 1),
        still_wrong: wrongTop(t + 1) + n("corrupted") * unit };
    for (const fate of ["kept", "still_wrong", "corrupted", "learned"]) if (n(fate)) {
      const [a, b] = [out[fate], into[fate]], thick = n(fate) * unit, turned = fate === "corrupted" || fate === "learned",
          u = { corrupted: 0.27, learned: 0.73 }[fate] ?? 0.5, told = `${plural(n(fate), "prompt")} ${spoken(fate)} in round ${one.round}`;
      const x = x0 + (x1 - x0) * (1.5 * u * (1 - u) + u ** 3), y = a + (b - a) * (3 * u * u - 2 * u ** 3) + thick / 2;
      svg.append(s("a", { href: address({ flow: fate, round: one.round, only: [], q: "" }), "aria-label": `${told}: show them` },
        s("path", { class: "ribbon",
            d: `M${x0} ${a}C${mid} ${a} ${mid} ${b} ${x1} ${b}v${thick}C${mid} ${b + thick} ${mid} ${a + thick} ${x0} ${a + thick}Z`,
            fill: paint(FATES[fate][1] ? "right" : "wrong"), "fill-opacity": turned ? 0.85 : 0.22 }), s("title", {}, told)));
      if (turned ? cell > 34 : cell > 58) labels.push(words(x, y + 4, turned && cell > 170 ? `${n(fate)} ${fate}` : n(fate),
          { class: "halo strong", "text-anchor": "middle", "pointer-events": "none" }));
    }
  });
  range(T).forEach((t) => {
    const x = cell * t, anchor = t === 0 ? "start" : t === T - 1 ? "end" : "middle", tx = t === 0 ? 0 : t === T - 1 ? width : x + bar / 2,
        roomy = cell > 72 || t === 0 || t === T - 1 || (cell > 30 && T < 8), plain = cell <= 72 && t && t < T - 1;
    svg.append(s("rect", { x, y: top, width: bar, height: rights[t] * unit, fill: paint("right") }),
        s("rect", { x, y: wrongTop(t), width: bar, height: wrongs[t] * unit, fill: paint("wrong") }));
    if (run.stop && rounds[t] === run.stop.round) svg.append(line([[x + bar / 2, 0], [x + bar / 2, height - 14]], { stroke: "var(--ink)",
        "stroke-dasharray": "1.5 3" }), words(clamp(x + bar / 2, 30, width - 30), height - 2, "stop here", { class: "strong",
        "text-anchor": "middle" }));
    if (roomy) svg.append(words(tx, 12, plain ? rounds[t] : named(run, rounds[t]), { "text-anchor": anchor, class: "ink halo" }),
        words(tx, 28, plain ? rights[t] : `${rights[t]} right`, { "text-anchor": anchor, class: "halo" }), words(tx, wrongTop(t) - 7,
        plain ? wrongs[t] : `${wrongs[t]} wrong`, { "text-anchor": anchor, class: "halo" }));
  });
  const link = (one, fate) => h("td", { class: "n" }, count(one, fate) ? h("a", { href: address({ flow: fate, round: one.round, only: [],
      q: "" }), "aria-label": `${count(one, fate)} ${spoken(fate)} in round ${one.round}` }, count(one, fate)) : "0");
  body.replaceChildren(...[RUNS.length > 1 && h("h3", {}, run.name), splits.length > 1 && h("div", { class: "choice", role: "group",
      "aria-label": "Prompts of the ledger" }, splits.map((one) => h("button", { type: "button",
      "aria-pressed": String(one === state.split), onclick: () => { go({ split: one, flow: "" }, () => { drawLedger(); drawList(); });
      body.querySelector("[aria-pressed=true]").focus(); } }, one === "held_out" ? "held out" : "trained"))),
    made(svg, {}, [labels]), run.stop && h("p", { class: "stop" },
        h("b", {}, `Stop after ${run.stop.round === first(run) ? "the base model" : `round ${run.stop.round}`}`),
        `: ${spoken(run.stop.signature)}. ${run.stop.evidence} `, h("span", { class: "soft" }, `False alarms: ${run.stop.rate}.`)),
    h("table", { class: "counts", "data-csv": `ledger-${state.split}` }, h("caption", { class: "sr" },
        `The ledger of ${where} prompts in numbers`), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "into round"),
        Object.keys(FATES).map((fate) => h("th", { scope: "col", class: "n" }, spoken(fate))))),
      h("tbody", {}, all.map((one) => h("tr", {}, h("th", { scope: "row" }, one.round), Object.keys(FATES).map((fate) => link(one,
          fate))))))].filter(Boolean));
}

// ---- the list ----
let found = [];
function row(prompt) {
  const run = current(), k = now(), at = prompt.rounds[k], width = run.rounds.length > 14 ? 6 : 11, p = chance(run, at, at.lead);
  const tone = (one) => one.lead == null ? "soft" : colourOf(one.right),
      said = prompt.rounds.map((one,
      t) => `${named(run, run.rounds[t])} ${one.right == null ? "" : one.right ? "right" : "wrong"}${one.certified ? "" : `, not ${certain(run)}`}`).join("; ");
  const strip = s("svg", { width: prompt.rounds.length * width, height: 18, role: "img", "aria-label": said },
      prompt.rounds.map((one, t) => s("rect", { x: t * width + 1, y: one.right === false ? 7 : one.right ? 1 : 4, width: width - 3,
      height: 7, fill: one.certified ? paint(tone(one)) : hatch(tone(one)), stroke: paint(tone(one)) })), s("path",
      { d: `M${k * width} 17h${width - 1}`, stroke: "var(--ink)", "stroke-width": 1.5 }));
  return h("li", {}, h("a", { href: address({ prompt: prompt.id }), "aria-current": prompt.id === state.prompt ? "true" : null,
      "data-prompt": prompt.id }, h("span", { class: "id" }, prompt.id), h("span", { class: "asked" }, short(prompt.prompt, 140)), h("span",
      { class: "soft" }, `${at.lead == null && !at.drawn ? "not drawn here" : short(textOf(prompt.items[at.lead]), 70)}${p == null ? "" : ` · ${prob(p)}`}`),
      strip));
}
function more(until) { // rows are made as they come into view
  const list = $("list");
  while (made_rows < Math.min(until, found.length)) list.append(row(found[made_rows++]));
}
function drawList() {
  const run = current(), k = now(), total = run.prompts.length;
  found = matches();
  if ($("search").value !== state.q) $("search").value = state.q;
  const counted = Object.entries(FILTERS).map(([name, [means, test]]) => [name, means, run.prompts.filter((one) => test(one, k,
      run)).length]).filter(([name, , n]) => state.only.includes(name) || (n && n < total));
  const focused = document.activeElement?.dataset?.filter;
  $("filters").replaceChildren(...counted.map(([name, means, n]) => h("button", { type: "button", title: means, "data-filter": name,
      "aria-pressed": String(state.only.includes(name)),
    onclick: () => go({ only: state.only.includes(name) ? state.only.filter((one) => one !== name) : [...state.only, name] }, drawList) },
        `${labelled(run, name)} ${n}`)),
    ...(state.flow ? [h("button", { type: "button", "data-filter": "flow", "aria-pressed": "true", onclick: () => { go({ flow: "" },
        drawList); $("search").focus(); } }, `${spoken(state.flow)} in round ${run.rounds[k]} ×`)] : []));
  if (focused) $("filters").querySelector(`[data-filter="${CSS.escape(focused)}"]`)?.focus();
  $("shown").textContent = `${found.length} of ${plural(total, "prompt")} at ${run.rounds[k] === first(run) && run.kind !== "audit" ? "the base model" : `round ${run.rounds[k]}`}${run.left_out ? `; ${run.left_out.toLocaleString("en")} more are in the records, those that moved most are here` : ""}`;
  $("list").replaceChildren(); made_rows = 0; $("list").scrollTop = 0;
  more(Math.max(CHUNK, found.findIndex((one) => one.id === state.prompt) + 20));
  reveal();
}
function reveal(focus = false) { // the opened prompt's row, within the list alone
  const box = $("list"), old = box.querySelector("[aria-current]"), at = found.findIndex((one) => one.id === state.prompt);
  old?.removeAttribute("aria-current");
  if (at < 0) return;
  more(at + 20);
  const link = box.children[at].firstChild, y = link.parentNode.offsetTop - box.offsetTop;
  link.setAttribute("aria-current", "true");
  if (y < box.scrollTop || y + link.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, y - box.clientHeight / 2);
  if (focus) link.focus({ preventScroll: true });
}
function open(id, focus = true) {
  go({ prompt: id }, () => { reveal(focus); drawView(); }, true);
  if (matchMedia("(max-width: 52rem)").matches) $("view").scrollIntoView();
}
