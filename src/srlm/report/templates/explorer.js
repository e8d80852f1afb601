// The address is the state; the ledger as flows; the list of prompts with its filters.
// Knows: Run of the payload. Refuses to know: how one prompt is drawn.
const RUNS = PAGE.runs;
const FATES = { kept: [true, true], learned: [false, true], corrupted: [true, false], still_wrong: [false, false] }; // right before, and after
const spoken = (name) => name.replaceAll("_", " ");
const colourOf = (right) => right == null ? "soft" : right ? "right" : "wrong";
const first = (run) => run.rounds[0], final = (run) => run.rounds.at(-1), reach = (run) => Math.max(run.horizon, final(run));
const isBase = (run, t) => t === first(run) && run.kind !== "audit", named = (run, t) => isBase(run, t) ? "base" : `round ${t}`;
const certain = (run) => run.level === "answer" ? "certified" : run.proved;
const measuredAt = (run, t) => Math.max(0, run.rounds.findLastIndex((one) => one <= t)); // the latest round that was measured by then
const splitsOf = (run) => [...new Set(run.steps.map((one) => one.split))];

// What was measured of one prompt at one round, the same at both levels.
const known = (at) => sum(at.counts);
function chance(run, at, i) {
  if (i == null) return null;
  if (run.level === "answer") return (at.counts[i] ?? 0) / (known(at) || 1);
  return at.logprobs[i] == null ? null : Math.exp(at.logprobs[i]);
}
const textOf = (item) => item ? item.text === "" ? "(empty)" : item.text ?? "(text not kept)" : "nothing with an answer";
function lost(run, prompt, at) { // share of the samples that were cut, or had no answer
  const cut = sum(at.counts.filter((_, i) => prompt.items[i]?.cut)), unread = run.level === "answer" ? at.drawn - known(at) : 0;
  return at.drawn ? (cut + unread) / at.drawn : 0;
}
const moved = ({ rounds }, k) => k > 0 && rounds[k].lead != null && rounds[0].lead != null && rounds[k].lead !== rounds[0].lead;
const went = ({ rounds }, from, to, fate) => to > from && rounds[from].right === FATES[fate][0] && rounds[to].right === FATES[fate][1];
const FILTERS = { // what each means, and whether a prompt passes at the k-th measured round
  wrong: ["the favourite is wrong", (prompt, k) => prompt.rounds[k].right === false],
  flipped: ["the favourite is no longer that of the first round", moved],
  uncertified: ["the favourite is not certain", (prompt, k) => !prompt.rounds[k].certified],
  cut: ["the favourite, or a tenth of the samples, was cut or had no answer", (prompt, k, run) =>
    Boolean(prompt.items[prompt.rounds[k].lead]?.cut) || lost(run, prompt, prompt.rounds[k]) >= 0.1],
  learned: ["the favourite was wrong in the first round and is right", (prompt, k) => went(prompt, 0, k, "learned")],
  corrupted: ["the favourite was right in the first round and is wrong", (prompt, k) => went(prompt, 0, k, "corrupted")],
  held_out: ["never trained on", (prompt) => prompt.split === "held_out"],
};
const labelled = (run, name) => name === "uncertified" ? `not ${certain(run)}` : name === "flipped" ? "changed" : spoken(name);

// ---- state ----
let state = {}, keys = true;
const runNamed = (name) => RUNS.find((one) => one.name === name), current = () => runNamed(state.run) ?? RUNS[0];
const beside = () => runNamed(state.beside), now = () => measuredAt(current(), state.round);
const promptAt = () => current().prompts.find((one) => one.id === state.prompt) ?? current().prompts[0];
function parse() {
  const given = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""), text = (name) => given.get(name) ?? "";
  const whole = (name) => /^\d{1,9}$/.test(text(name)) ? Number(text(name)) : null, run = runNamed(text("run")) ?? RUNS[0];
  const round = clamp(whole("round") ?? (run.kind === "diagnosis" ? first(run) : final(run)), first(run), reach(run)), k = measuredAt(run, round);
  const find = (test) => run.prompts.find(test), notable = (fate) => find((one) => went(one, 0, k, fate));
  const opened = find((one) => one.id === whole("prompt")) ?? notable("corrupted") ?? notable("learned") ?? run.prompts[0];
  const beta = given.has("beta") ? Number(text("beta")) : NaN;
  state = {
    run: run.name, beside: text("beside") !== run.name && runNamed(text("beside")) ? text("beside") : "", prompt: opened?.id, round,
    q: text("q"), only: text("only").split(",").filter((one) => Object.hasOwn(FILTERS, one)),
    flow: Object.hasOwn(FATES, text("flow")) && round > first(run) ? text("flow") : "",
    split: splitsOf(run).includes(text("split")) ? text("split") : splitsOf(run)[0] ?? "", beta: beta >= 0.05 && beta <= 200 ? beta : null,
  };
}
function address(change = {}) {
  const next = { ...state, ...change }, out = new URLSearchParams(), put = (name) => out.set(name, next[name]);
  if (next.run !== RUNS[0].name) put("run");
  for (const name of ["beside", "prompt", "round", "flow", "only", "q", "beta"]) if (next[name] != null && String(next[name]) !== "") put(name);
  if (next.split && next.split !== splitsOf(runNamed(next.run))[0]) put("split");
  return `#${out}`;
}
let waiting = 0;
function go(change, redraw, push = false) { // the address follows a little later: browsers complain about many changes at once
  Object.assign(state, change);
  if (push && !waiting) history.pushState(null, "", address());
  clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = 0; history.replaceState(null, "", address()); }, 250);
  redraw?.();
}
const HAY = new Map();
function haystack(prompt) {
  if (!HAY.has(prompt)) HAY.set(prompt, [prompt.prompt, prompt.known, ...prompt.items.map((one) => one.text ?? "")].join("\n").toLowerCase());
  return HAY.get(prompt);
}
function matches() {
  const run = current(), k = now(), needle = state.q.trim().toLowerCase();
  const flows = (prompt) => !state.flow || (prompt.split === state.split && k > 0 && went(prompt, k - 1, k, state.flow));
  return run.prompts.filter((prompt) => flows(prompt) && state.only.every((one) => FILTERS[one][1](prompt, k, run))
    && (!needle || haystack(prompt).includes(needle)));
}

// ---- the ledger ----
const flowTo = (step, fate) => address({ flow: fate, round: step.round, only: [], q: "", prompt: "" });
function drawStreams(run, steps, where, width) { // right prompts above, wrong ones below; between rounds they stream
  const height = run.stop ? 306 : 290, top = 36, gap = 26, bar = 12, cell = (width - bar) / steps.length, last = steps.length;
  const unit = (290 - top - gap - 6) / Math.max(1, most(steps.map((one) => sum(Object.values(one.counts))))), n = (step, fate) => step.counts[fate] ?? 0;
  const before = (step) => [n(step, "kept") + n(step, "corrupted"), n(step, "learned") + n(step, "still_wrong")];
  const after = (step) => [n(step, "kept") + n(step, "learned"), n(step, "corrupted") + n(step, "still_wrong")];
  const stands = [before(steps[0]), ...steps.map(after)], wrongTop = (t) => top + stands[t][0] * unit + gap;
  const rounds = [run.rounds[Math.max(0, run.rounds.indexOf(steps[0].round) - 1)], ...steps.map((one) => one.round)];
  const svg = s("svg", { class: "chart", width, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Streams of ${where} prompts between rounds` });
  const labels = [];
  steps.forEach((step, t) => {
    const x0 = cell * t + bar, x1 = cell * (t + 1), mid = (x0 + x1) / 2, tall = (fate) => n(step, fate) * unit;
    const out = { kept: top, corrupted: top + tall("kept"), learned: wrongTop(t), still_wrong: wrongTop(t) + tall("learned") };
    const into = { kept: top, learned: top + tall("kept"), corrupted: wrongTop(t + 1), still_wrong: wrongTop(t + 1) + tall("corrupted") };
    for (const fate of ["kept", "still_wrong", "corrupted", "learned"]) if (n(step, fate)) {
      const a = out[fate], b = into[fate], thick = tall(fate), turned = fate === "corrupted" || fate === "learned";
      const told = `${plural(n(step, fate), "prompt")} ${spoken(fate)} in round ${step.round}`;
      const shape = `M${x0} ${a}C${mid} ${a} ${mid} ${b} ${x1} ${b}v${thick}C${mid} ${b + thick} ${mid} ${a + thick} ${x0} ${a + thick}Z`;
      svg.append(s("a", { href: flowTo(step, fate), "aria-label": `${told}: show them` },
        s("path", { class: "ribbon", d: shape, fill: paint(FATES[fate][1] ? "right" : "wrong"), "fill-opacity": turned ? 0.85 : 0.22 }), s("title", {}, told)));
      const u = { corrupted: 0.27, learned: 0.73 }[fate] ?? 0.5; // where on the curve its number stands: streams cross in the middle
      const x = x0 + (x1 - x0) * (1.5 * u * (1 - u) + u ** 3), y = a + (b - a) * (3 * u * u - 2 * u ** 3) + thick / 2;
      const text = turned && cell > 170 ? `${n(step, fate)} ${fate}` : n(step, fate);
      if (cell > (turned ? 34 : 58)) labels.push(words(x, y + 4, text, { class: "halo strong", "text-anchor": "middle", "pointer-events": "none" }));
    }
  });
  stands.forEach(([right, wrong], t) => {
    const x = cell * t, edge = t === 0 || t === last, plain = cell <= 72 && !edge, at = t === 0 ? 0 : t === last ? width : x + bar / 2;
    const say = (y, text, tone) => words(at, y, text, { "text-anchor": t === 0 ? "start" : t === last ? "end" : "middle", class: `${tone} halo` });
    svg.append(s("rect", { x, y: top, width: bar, height: right * unit, fill: paint("right") }),
      s("rect", { x, y: wrongTop(t), width: bar, height: wrong * unit, fill: paint("wrong") }));
    if (run.stop && rounds[t] === run.stop.round) svg.append(
      line([[x + bar / 2, 0], [x + bar / 2, height - 14]], { stroke: "var(--ink)", "stroke-dasharray": "1.5 3" }),
      words(clamp(x + bar / 2, 30, width - 30), height - 2, "stop here", { class: "strong", "text-anchor": "middle" }));
    if (edge || cell > (last < 7 ? 30 : 72)) svg.append(say(12, plain ? rounds[t] : named(run, rounds[t]), "ink"),
      say(28, plain ? right : `${right} right`, ""), say(wrongTop(t) - 7, plain ? wrong : `${wrong} wrong`, ""));
  });
  return made(svg, {}, [labels]);
}
function drawLedger() {
  const run = current(), section = $("ledger"), body = $("ledger-body"), steps = run.steps.filter((one) => one.split === state.split);
  if (!section) return;
  section.hidden = !steps.length;
  if (!steps.length) return;
  const where = state.split === "held_out" ? "held-out" : "trained", fates = Object.keys(FATES);
  const choose = (one) => h("button", { type: "button", "aria-pressed": String(one === state.split), onclick: () => {
    go({ split: one, flow: "" }, () => { drawLedger(); drawList(); });
    body.querySelector("[aria-pressed=true]").focus();
  } }, one === "held_out" ? "held out" : "trained");
  const count = (step, fate) => h("td", { class: "n" }, step.counts[fate]
    ? h("a", { href: flowTo(step, fate), "aria-label": `${step.counts[fate]} ${spoken(fate)} in round ${step.round}` }, step.counts[fate]) : "0");
  const stop = () => h("p", { class: "stop" }, h("b", {}, `Stop after ${isBase(run, run.stop.round) ? "the base model" : `round ${run.stop.round}`}`),
    `: ${spoken(run.stop.signature)}. ${run.stop.evidence} `, h("span", { class: "soft" }, `False alarms: ${run.stop.rate}.`));
  made(body, (body.replaceChildren(), {}), [
    RUNS.length > 1 && h("h3", {}, run.name),
    splitsOf(run).length > 1 && h("div", { class: "choice", role: "group", "aria-label": "Prompts of the ledger" }, splitsOf(run).map(choose)),
    drawStreams(run, steps, where, Math.max(280, body.clientWidth)),
    run.stop && stop(),
    h("table", { class: "counts", "data-csv": `ledger-${state.split}` }, h("caption", { class: "sr" }, `The ledger of ${where} prompts in numbers`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "into round"), fates.map((fate) => h("th", { scope: "col", class: "n" }, spoken(fate))))),
      h("tbody", {}, steps.map((step) => h("tr", {}, h("th", { scope: "row" }, step.round), fates.map((fate) => count(step, fate)))))),
  ]);
}

// ---- the list ----
const CHUNK = 60;
let found = [], rowsMade = 0;
function row(prompt) {
  const run = current(), k = now(), at = prompt.rounds[k], p = chance(run, at, at.lead), width = run.rounds.length > 14 ? 6 : 11;
  const told = prompt.rounds.map((one, t) => [named(run, run.rounds[t]), one.right != null && (one.right ? "right" : "wrong"),
    !one.certified && `not ${certain(run)}`].filter(Boolean).join(" "));
  const square = (one, t) => { // right stands high, wrong low; hatched where the favourite is not certain
    const tone = one.lead == null ? "soft" : colourOf(one.right), y = one.right == null ? 4 : one.right ? 1 : 7;
    return s("rect", { x: t * width + 1, y, width: width - 3, height: 7, fill: one.certified ? paint(tone) : hatch(tone), stroke: paint(tone) });
  };
  const favourite = at.lead == null && !at.drawn ? "not drawn here" : short(textOf(prompt.items[at.lead]), 70);
  return h("li", {}, h("a", { href: address({ prompt: prompt.id }), "data-prompt": prompt.id },
    h("span", { class: "id" }, prompt.id), h("span", { class: "asked" }, short(prompt.prompt, 140)),
    h("span", { class: "soft" }, favourite, p != null && ` · ${prob(p)}`),
    s("svg", { width: prompt.rounds.length * width, height: 18, role: "img", "aria-label": told.join("; ") }, prompt.rounds.map(square),
      s("path", { d: `M${k * width} 17h${width - 1}`, stroke: "var(--ink)", "stroke-width": 1.5 }))));
}
function more(until) { // rows are made as they come into view
  while (rowsMade < Math.min(until, found.length)) $("list").append(row(found[rowsMade++]));
}
function drawFilters(run, k) {
  const total = run.prompts.length, focused = document.activeElement?.dataset?.filter;
  const button = (name, title, label, onclick, pressed) => h("button", { type: "button", "data-filter": name, title, "aria-pressed": String(pressed), onclick },
      label);
  const shown = Object.entries(FILTERS).map(([name, [means, test]]) => {
    const count = run.prompts.filter((one) => test(one, k, run)).length, on = state.only.includes(name);
    const toggle = () => go({ only: on ? state.only.filter((one) => one !== name) : [...state.only, name] }, drawList);
    return (on || (count > 0 && count < total)) && button(name, means, `${labelled(run, name)} ${count}`, toggle, on);
  });
  const leave = () => { go({ flow: "" }, drawList); $("search").focus(); };
  if (state.flow) shown.push(button("flow", "show all prompts again", `${spoken(state.flow)} in round ${run.rounds[k]} ×`, leave, true));
  $("filters").replaceChildren(...shown.filter(Boolean));
  if (focused) $("filters").querySelector(`[data-filter="${CSS.escape(focused)}"]`)?.focus();
}
function drawList() {
  const run = current(), k = now(), when = isBase(run, run.rounds[k]) ? "the base model" : `round ${run.rounds[k]}`;
  found = matches();
  if ($("search").value !== state.q) $("search").value = state.q;
  drawFilters(run, k);
  $("shown").textContent = `${found.length} of ${plural(run.prompts.length, "prompt")} at ${when}`
    + (run.left_out ? `; ${run.left_out.toLocaleString("en")} more are in the records, those that moved most are here` : "")
    + (run.thinned ? `; ${run.thinned}` : "");
  $("list").replaceChildren();
  $("list").scrollTop = rowsMade = 0;
  more(CHUNK);
  reveal();
}
function reveal(focus = false) { // the opened prompt's row, within the list alone
  const box = $("list"), at = found.findIndex((one) => one.id === state.prompt);
  box.querySelector("[aria-current]")?.removeAttribute("aria-current");
  if (at < 0) return;
  more(at + 20);
  const link = box.children[at].firstChild, y = link.parentNode.offsetTop - box.offsetTop;
  link.setAttribute("aria-current", "true");
  if (y < box.scrollTop || y + link.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, y - box.clientHeight / 2);
  if (focus) link.focus({ preventScroll: true });
}
function open(id) {
  go({ prompt: id }, () => { reveal(true); drawView(); }, true);
  if (narrow()) $("view").scrollIntoView();
}
