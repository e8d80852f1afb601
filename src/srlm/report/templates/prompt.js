// One prompt: what training did to it, what exact rounds would have done, the search or the growing certificate.
// Knows: one prompt of one run at one round. Refuses to know: the list it was picked from.
const SHOWN = 12, WHOLE = new Set(); // prompts of which all items are shown

// ---- what is drawn ----
// A number of the records, with where it is kept there, and what it is there.
function told(run, prompt, round, column, value, text) {
  if (value == null) return text;
  const file = `rounds/${String(round).padStart(2, "0")}/${/^(logprob|answer|lower|upper)\b/.test(column) ? "samples" : "modes"}.parquet`;
  const where = `${RUNS.length > 1 ? `${run.name}/` : ""}${run.kind === "diagnosis" ? "diagnosis.json" : file}#${prompt.id}/${column}`;
  return h("data", { value, "data-path": where, "data-value": value }, text);
}
// The order of items is the same in all figures and at every round: the first favourite, later ones, then by their largest chance.
const ORDERS = new Map();
function orderOf(run, prompt) {
  if (!ORDERS.has(prompt)) {
    const leads = new Set(prompt.rounds.map((at) => at.lead)), base = prompt.rounds[0].lead;
    const weight = prompt.items.map((_, i) => most(prompt.rounds.map((at) => chance(run, at, i) ?? -1)) + 2 * leads.has(i) + 2 * (i === base));
    ORDERS.set(prompt, range(prompt.items.length).sort((a, b) => weight[b] - weight[a]));
  }
  return ORDERS.get(prompt);
}
const letter = (place) => place < 26 ? String.fromCharCode(97 + place) : String(place + 1);
const strength = (run) => state.beta ?? run.beta ?? 1;
const bracket = (at) => [Math.exp(at.lower ?? -Infinity), Math.exp(at.upper ?? 0)];
function exact(run, prompt, beta, t) { // every item after t exact rounds from the first: at least, at most, and the forecast
  const base = prompt.rounds[0], S = power(beta, t);
  if (base.lead == null) return null;
  if (run.level === "response") return base.logprobs.some((one) => one != null) ? exactRound(base, S) : null;
  const shares = sharpened(prompt.items.map((_, i) => base.counts[i] ?? 0), S);
  return { low: shares, high: shares, point: shares };
}

// ---- in a sentence ----
function sentence(run, prompt, t) {
  const k = measuredAt(run, t), at = prompt.rounds[k], round = run.rounds[k], lead = prompt.items[at.lead], answers = run.level === "answer";
  const who = isBase(run, round) ? "The base model" : `The model at round ${round}`, [low, high] = bracket(at);
  if (!lead) return [at.drawn ? `${who} gave nothing with an answer in ${plural(at.drawn, "draw")}.` : `${who} was not given this prompt.`];
  const end = (name, p) => told(run, prompt, round, answers ? name : `mode_logprob_${name}`, at[name], prob(p));
  const sure = at.proved ? `${run.proved} by ${answers ? "the responses seen" : "search"}` : !answers ? "the search stopped before a proof"
    : at.certified ? `certified at ${pct(run.confidence ?? 0.95)}` : "not certified";
  const turned = prompt.rounds.findIndex((_, i) => i <= k && moved(prompt, i)), fate = k > 0 && Object.keys(FATES).find((one) => went(prompt, 0, k, one));
  return [`${who} prefers `, h("b", {}, `“${short(textOf(lead), 120)}”`), lead.right != null && ` (${lead.right ? "right" : "wrong"})`, `, ${sure}: `,
    prob(low) === prob(high) ? ["probability ", end("lower", low)] : ["probability between ", end("lower", low), " and ", end("upper", high)], ". ",
    turned > 0 ? `The favourite moved in round ${run.rounds[turned]}; exact rounds never move it. ` : k > 0 && "The favourite has not moved. ",
    at.share != null && `${pct(at.share)} of ${at.drawn ? plural(at.drawn, "sample") : "samples"} right. `,
    fate && h("b", {}, `${fate[0].toUpperCase()}${spoken(fate).slice(1)}.`),
        t > round && ` Round ${t} was not measured: violet is what exact rounds would do.`];
}

// ---- bars: measured above, exact rounds below ----
const percent = (p) => `${(100 * clamp(p, 0, 1)).toFixed(2)}%`;
const grid = () => [0, 0.5, 1].map((v) => s("line", { x1: percent(v), x2: percent(v), y1: -3, y2: 25, stroke: v === 0.5 ? "var(--soft)" : "var(--line)",
  "stroke-dasharray": v === 0.5 && "2 2" }));
const between = (y, low, high, stroke, tall) => s("g", { stroke, "stroke-width": 1.5 }, s("line", { x1: percent(low), x2: percent(high), y1: y, y2: y }),
  [low, high].map((v) => s("line", { x1: percent(v), x2: percent(v), y1: y - tall, y2: y + tall })));
const tick = (right) => right != null && h("span", { class: `tick ${colourOf(right)}`, role: "img", "aria-label": right ? "right" : "wrong" },
    right ? "✓ " : "✗ ");
const folded = (text, length) => text.length <= length ? text : h("details", { class: "long" }, h("summary", {}, short(text, length)), text);
const capped = (colour) => s("path", { d: "M1 5.5h22M1 2v7M23 2v7", stroke: colour, "stroke-width": 1.5 });
function foretold(run, prompt, { lower, upper, high }, t) { // P8 (iii): where exact rounds bring the mode, also where no search proved it
  const base = prompt.rounds[0], ends = lower == null ? [high[base.lead], high[base.lead]] : [Math.exp(-upper), Math.exp(-lower)];
  return h("p", { class: "soft", "data-mode": ends.join(":") }, `By round ${t}, exact rounds at this β bring `,
    lower == null ? "the first favourite’s share" : base.certified ? "the first favourite" : "the mode, which no search proved,", ` to ${lower == null ? "about " : ""}${span(...ends, prob)}.`);
}
function drawBars(run, prompt, t, again) {
  const k = measuredAt(run, t), there = run.rounds[k] === t, at = prompt.rounds[k], answers = run.level === "answer", order = orderOf(run, prompt);
  const forecast = exact(run, prompt, strength(run), t - first(run)), [lower, upper] = bracket(at), open = there && at.lead != null && upper - lower > 0.004;
  const measured = (i) => there ? chance(run, at, i) : null;
  const written = (i, p) => p == null ? h("span", { class: "soft" }, there ? "not scored" : "–")
    : answers ? [told(run, prompt, t, `answer:${i}`, at.counts[i] ?? 0, prob(p)), h("span", { class: "soft" }, ` ${at.counts[i] ?? 0}`)]
    : told(run, prompt, t, `logprob:${i}`, at.logprobs[i], prob(p));
  const bar = (i, place) => {
    const item = prompt.items[i], p = measured(i), low = forecast?.low[i], high = forecast?.high[i], tone = colourOf(item.right), lead = there && i === at.lead;
    const name = [short(textOf(item), 200), item.right != null && (item.right ? "right" : "wrong"),
        p == null ? "not scored at this round" : `measured ${prob(p)}`,
      low != null && `exact rounds ${span(low, high, prob)}`].filter(Boolean).join(", ");
    return h("li", { class: lead && "lead" }, h("span", { class: "letter" }, letter(place)),
      h("div", { class: "text" }, tick(item.right), folded(textOf(item), 160), item.cut && h("span", { class: "tag" }, "cut"),
          there && at.greedy === i && h("span", { class: "tag" }, "greedy")),
      s("svg", { role: "img", "aria-label": name }, s("title", {}, name), grid(),
        p != null && s("rect", { x: 0, y: 4, height: 9, width: percent(p), fill: answers ? hatch(tone) : paint(tone), stroke: answers && paint(tone) }),
        lead && open && between(8.5, lower, upper, "var(--ink)", 4), low != null && between(18, low, high, "var(--theory)", 3)),
      h("span", { class: "n" }, written(i, p), low != null && h("data", { class: "sr", value: low, "data-exact": `${i}:${low}:${high}` },
          `exact ${span(low, high, prob)}`)));
  };
  // The likeliest dozen with both favourites; left out are those of which neither is known, and those whose text nobody kept.
  const foreseen = (i) => forecast?.high[i] ?? 0, leads = new Set([at.lead, prompt.rounds[0].lead]);
  const weight = (i) => leads.has(i) ? 2 : measured(i) == null && foreseen(i) < 0.001 ? -1
    : (measured(i) ?? foreseen(i) - 1) - 2 * (prompt.items[i].text == null && foreseen(i) < 0.01);
  const chosen = WHOLE.has(prompt) ? order : order.filter((i) => weight(i) > -1).sort((a, b) => weight(b) - weight(a)).slice(0, SHOWN);
  const hidden = order.length - chosen.length;
  const unseen = 1 - sum(at.logprobs.map((one) => one == null ? 0 : Math.exp(one))), unread = at.drawn - known(at);
  const rest = (told, p, value) => h("li", { class: "soft" }, h("span"), h("span", { class: "text" }, told),
      p == null ? h("span") : s("svg", { role: "img", "aria-label": `${told}: ${value}` }, grid(),
    s("rect", { x: 0, y: 4, height: 9, width: percent(p), fill: hatch("soft"), stroke: "var(--soft)" })), h("span", { class: "n" }, value));
  return [
    h("ol", { class: "bars" }, order.map((i, place) => chosen.includes(i) && bar(i, place)),
      there && answers && unread > 0 && rest("without an answer, left out of the shares", null, `${unread} of ${at.drawn}`),
      there && !answers && unseen > 1e-6 && rest(`every other response${at.open.length ? `, the likeliest at most ${prob(Math.exp(at.open[0]))}` : ""}`, unseen,
          prob(unseen))),
    hidden > 0 && h("button", { type: "button", onclick: () => { WHOLE.add(prompt); again(); } }, `${hidden} more, less likely or not scored`),
    legend(there && [s("rect", { width: 24, height: 9, y: 1, fill: answers ? hatch("ink") : "var(--ink)", stroke: "var(--ink)" }),
        answers ? "share of draws with an answer" : "probability, exact"],
      open && [capped("var(--ink)"),
          !answers ? "the mode lies in this bracket" :
          `bracket of the likeliest, ${at.proved ? "proved" : `${pct(run.confidence ?? 0.95)} for all prompts at once`}`],
      forecast && [capped("var(--theory)"), answers ? "exact rounds from the first draws, at this β (P10)" :
          `exact rounds from the base, at this β: ${run.proved} bracket (P8)`]),
    forecast && t > first(run) && foretold(run, prompt, forecast, t),
    at.said && there && h("details", { class: "said" }, h("summary", {}, "A response with this answer"), h("p", {}, at.said)),
  ];
}

// ---- the tilt: exact rounds as lines, measured ones as dots ----
function drawTilt(run, prompt, t, width) {
  const beta = strength(run), T0 = first(run), T1 = Math.max(reach(run), T0 + 1), order = orderOf(run, prompt), answers = run.level === "answer";
  const lead = prompt.rounds[0].lead;
  const count = Math.min(240, (T1 - T0) * 12), fine = range(count + 1).map((i) => T0 + (T1 - T0) * i / count);
  const all = fine.map((x) => exact(run, prompt, beta, x - T0)), last = all.at(-1);
  if (!last) return null;
  const some = order.slice(0, 6);
  const say = (i) => `${short(textOf(prompt.items[i]), 60)} from ${prob(all[0].point[i])} to ${span(last.low[i], last.high[i], prob)}`;
  const { svg, X, Y, top, bottom } = frame({ width, height: 270, x: [T0, T1], y: [0, 1], xticks: range(T1 - T0 + 1).map((i) => T0 + i),
      yticks: [0, 0.25, 0.5, 0.75, 1], right: 30,
    top: run.stop ? 24 : 12, xtitle: "round",
        label: `Exact rounds at beta ${num(beta)}: ${some.filter((i) => last.low[i] != null).slice(0, 3).map(say).join("; ")}` });
  svg.append(line([[X(t), top], [X(t), bottom]], { stroke: "var(--line)", "stroke-width": 9 }));
  if (run.stop) svg.append(line([[X(run.stop.round), top], [X(run.stop.round), bottom]], { stroke: "var(--ink)", "stroke-dasharray": "1.5 3" }),
    words(clamp(X(run.stop.round), 34, width - 30), top - 8, "stop here", { class: "strong", "text-anchor": "middle" }));
  if (!answers) svg.append(band(X, Y, fine.map((x, k) => [x, all[k].low[lead], all[k].high[lead]]), "var(--theory)"));
  const labels = [], dots = [];
  for (const i of [...some].reverse()) {
    const tone = paint(colourOf(prompt.items[i].right)), seen = prompt.rounds.map((at) => chance(run, at, i));
    const large = most([...seen, last.point[i]].map((p) => p ?? 0)) > 0.06;
    if (last.point[i] != null) svg.append(line(fine.map((x, k) => [X(x), Y(all[k].point[i])]), { stroke: tone, "stroke-width": i === lead ? 2.4 : 1.2,
        opacity: large ? 1 : 0.45 }));
    prompt.rounds.forEach((at, k) => {
      if (seen[k] == null) return;
      const round = run.rounds[k], [low, high] = bracket(at), name = `${letter(order.indexOf(i))}, ${named(run, round)}: ${prob(seen[k])}`;
      if (i === at.lead && answers) dots.push(whisker(X(round), Y(low), Y(high), tone));
      if (large || seen[k] > 0.02) dots.push(s("g", {}, mark(X(round), Y(seen[k]), "dot", !answers, tone, round === t ? 4.6 : 3.2), s("title", {}, name)));
    });
    const end = (final(run) === T1 ? seen.at(-1) : null) ?? last.point[i];
    if (large && end != null) labels.push([Y(end), letter(order.indexOf(i))]);
  }
  let below = bottom + 9; // letters at the right end, from below upwards, none on another
  for (const [y, told] of labels.sort((a, b) => b[0] - a[0])) dots.push(words(X(T1) + 12, (below = Math.min(y, below - 12)) + 4, told, { class: "ink" }));
  svg.append(...dots);
  return svg;
}

// ---- the search: an outline of texts broken at words; every response also stands on one axis of log-probability ----
function outline(prompt, items, p, open) { // rows of a tree of the texts, chains of words drawn as one row; `open`: (text, p) of prefixes
  const root = { label: "", kids: [] }, rows = [];
  const grow = (text, leaf) => {
    let node = root;
    for (const word of text.match(/\s*\S+|\s+$/g) ?? [""]) {
      let kid = node.kids.find((one) => one.label === word && one.p == null);
      if (!kid) node.kids.push(kid = { label: word, kids: [] });
      node = kid;
    }
    node.kids.push({ kids: [], ...leaf });
  };
  for (const i of items) grow(textOf(prompt.items[i]), { label: prompt.items[i].cut ? "…" : "⏎", item: i, p: p(i) });
  for (const [text, at] of open) grow(text, { label: "…", p: at });
  (function squeeze(node) {
    while (node !== root && node.kids.length === 1) {
      const [{ label, ...kid }] = node.kids;
      Object.assign(node, kid, { label: node.label + label });
    }
    node.kids.forEach(squeeze);
    node.best = node.p ?? most(node.kids.map((kid) => kid.best));
    node.kids.sort((a, b) => b.best - a.best);
  })(root);
  (function walk(node, depth) {
    node.kids.forEach((kid) => { Object.assign(kid, { depth, row: rows.length }); rows.push(kid); walk(kid, depth + 1); });
  })(root, 0);
  return rows;
}
const around = (text, room) => text.length <= room ? text : `${text.slice(0, Math.ceil(room / 2) - 1)}…${text.slice(-Math.floor(room / 2))}`;
function drawSearch(run, prompt, t, width) {
  const at = prompt.rounds[measuredAt(run, t)], [lower] = bracket(at), open = at.open.map(Math.exp), [mass, widest] = at.dropped ?? [0, -Infinity];
  const scored = orderOf(run, prompt).filter((i) => at.logprobs[i] != null && prompt.items[i].text != null);
  const rows = outline(prompt, WHOLE.has(prompt) ? scored : scored.slice(0, SHOWN), (i) => Math.exp(at.logprobs[i]), at.open_texts.map((text, i) => [text, open[i]]));
  const others = open.slice(at.open_texts.length), more = rows.some((one) => one.p != null && one.item == null) ? "more open prefix" : "open prefix";
  const groups = [others.length && [plural(others.length, more, `${more}es`), others], mass > 1e-9 && [`all the rest, mass ${prob(mass)}`,
      [Math.exp(widest)]]].filter(Boolean);
  const step = 20, top = 30, strip = clamp(width * 0.34, 100, 240), value = 48, left = width - strip - value, indent = width < 420 ? 9 : 14;
  const height = top + (rows.length + groups.length) * step + 26;
  const floor = clamp(least([lower / 30, ...rows.map((one) => one.best), ...open.slice(0, 40)]), 1e-12, 0.01);
  const X = scaled([floor, 1], [left + 8, left + strip - 8], true), Y = (row) => top + (row + 0.5) * step;
  const largest = most([...open, ...groups.map(([, list]) => list[0])]), hides = (p) => p > lower * (1 + 1e-9);
  const svg = s("svg", { class: "chart", width, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Search: best complete response ${short(textOf(prompt.items[at.lead]), 80)} with ${prob(lower)}; largest open prefix ${largest > 0 ? prob(largest) : "none"}; ${at.certified ? `${run.proved} to be the mode` : "no proof"}` });
  const axis = (y) => s("path", { d: `M${left + 8} ${y}H${left + strip - 8}`, stroke: "var(--faint)" });
  const number = (y, p, strong) => words(width, y + 4, prob(p), { "text-anchor": "end", class: strong && "strong" });
  svg.append(s("rect", { x: X(lower), y: top - 6, width: Math.max(0, left + strip - X(lower)), height: height - top - 16, fill: "var(--raise)" }),
    line([[X(lower), top - 6], [X(lower), height - 22]], { stroke: "var(--ink)", "stroke-width": 1.2 }),
    words(clamp(X(lower), left + 30, width - value - 20), 18, at.certified ? "mode" : "best found", { "text-anchor": "middle", class: "strong" }));
  for (const v of steps(floor, 1, true, strip / 46)) svg.append(words(X(v), height - 6, v >= 0.001 ? num(v) : v.toExponential(0), { "text-anchor": "middle" }));
  for (const node of rows) {
    const x = 6 + node.depth * indent, y = Y(node.row), room = Math.max(4, Math.floor((left - x - 16) / 7.25));
    const label = node.label.replace(/^\s/, node.depth ? "·" : ""), leaf = node.p != null, whole = node.item != null;
    const tone = whole ? paint(colourOf(prompt.items[node.item].right)) : leaf && hides(node.p) ? "var(--ink)" : "var(--soft)", favourite = whole && node.item === at.lead;
    const sign = (at) => mark(at, y, whole ? "square" : "dot", whole || !leaf, tone, leaf ? 3.6 : 1.6);
    for (const kid of node.kids) svg.append(line([[x, y + 5], [x, Y(kid.row)], [x + indent - 5, Y(kid.row)]], { stroke: "var(--line)" }));
    svg.append(s("g", {}, sign(x),
        words(x + 10, y + 4, around(label, room), { class: "mono", "font-weight": favourite && 700 }),
      leaf && [axis(y), sign(X(node.p)), number(y, node.p, favourite || !whole && hides(node.p))],
          s("title", {}, whole ? `${textOf(prompt.items[node.item])} ${prob(node.p)}` : leaf ? `${label} left open, ${prob(node.p)}` : label)));
  }
  groups.forEach(([label, list], i) => { // of these only the probability is known
    const y = Y(rows.length + i), tone = (p) => hides(p) ? "var(--ink)" : "var(--soft)";
    svg.append(s("g", {}, mark(6, y, "dot", false, tone(list[0]), 3.6), words(16, y + 4, short(label, Math.floor((left - 20) / 6.4))), axis(y),
      list.slice(0, 200).map((p) => mark(X(p), y, "dot", false, tone(p), 3.4)), number(y, list[0], hides(list[0])),
          s("title", {}, `${label}, the likeliest ${prob(list[0])}`)));
  });
  return svg;
}

// ---- the growing certificate ----
function namedBefore(prompt, k) { // answers that no draw of this round chose: the majority of the round before, then greedy's
  return [...new Set([k ? prompt.rounds[k - 1].lead : null, prompt.rounds[k].greedy].filter((one) => one != null && one >= 0))];
}
function certify(run, prompt, t) {
  const k = measuredAt(run, t), draws = prompt.rounds[k].draws.filter((one) => one >= 0);
  const alpha = run.alpha ?? (1 - (run.confidence ?? 0.95)) / run.prompts.length;
  return draws.length ? { ...certificate(draws, alpha, namedBefore(prompt, k)), alpha,
      xticks: [...new Set(range(5).map((i) => Math.round(draws.length * i / 4)))] } : null;
}
function drawEvidence(run, prompt, { found, leader, n, alpha, xticks }, width) {
  const level = -Math.log(alpha), high = 1.06 * most([level + 2, ...found.flatMap((one) => one.log.map(([, v]) => v))]);
  const outcome = leader.at === null ? `no answer crossed the threshold ${num(level)} in ${n} draws` :
      `${short(textOf(prompt.items[leader.item]), 60)} crossed the threshold ${num(level)} at draw ${leader.at}`;
  const { svg, X, Y } = frame({ width, height: 250, x: [0, n], y: [-4, high], xticks, yticks: steps(0, high, false, 5), right: 24,
      xtitle: "draws with an answer", label: `Log evidence against draws: ${outcome}` });
  svg.append(line([[X(0), Y(level)], [X(n), Y(level)]], { stroke: "var(--ink)", "stroke-width": 1.2 }), words(X(0) + 5, Y(level) - 6, `threshold ${num(level)}`,
      { class: "ink halo" }));
  for (const one of [...found].sort((a, b) => (a === leader) - (b === leader)).filter((each) => each.log.length)) {
    const lead = one === leader, late = one.at > n * 0.6, place = ([x, v]) => [X(x), Y(v)];
    svg.append(line(one.log.map(place), { stroke: paint(colourOf(prompt.items[one.item]?.right)), "stroke-width": lead ? 2.2 : 1.1,
        opacity: lead ? 1 : 0.55 }));
    if (lead) svg.append(words(X(n) + 7, Y(one.log.at(-1)[1]) + 4, letter(orderOf(run, prompt).indexOf(one.item)), { class: "ink" }));
    if (one.at === null) continue;
    const [x, y] = place(one.log.find(([at]) => at === one.at));
    svg.append(mark(x, y, "dot", true, "var(--ink)"), words(x + (late ? -9 : 9), y + 15, `draw ${one.at}`,
        { class: "strong halo", "text-anchor": late ? "end" : "start" }));
  }
  return svg;
}
function drawClosing(run, { path, lower, upper, n, xticks }, width) {
  const { svg, X, Y } = frame({ width, height: 250, x: [0, n], y: [0, 1], xticks, yticks: [0, 0.25, 0.5, 0.75, 1], right: 24, top: 22,
      xtitle: "draws with an answer",
    label: `Bracket of the likeliest answer's probability, closing to ${span(lower, upper, prob)}` });
  const all = [[0, 0, 1], ...path], edge = (end) => line(all.map((one) => [X(one[0]), Y(one[end])]), { stroke: "var(--ink)", "stroke-width": 1.4 });
  svg.append(band(X, Y, all, hatch("ink")), edge(1), edge(2), line([[X(0), Y(run.failing)], [X(n), Y(run.failing)]],
      { stroke: "var(--soft)", "stroke-dasharray": "2 2" }),
    words(X(n), Y(upper) - 7, prob(upper), { "text-anchor": "end", class: "halo ink" }),
        words(X(n), Y(lower) + 16, prob(lower), { "text-anchor": "end", class: "halo ink" }));
  return svg;
}

// ---- all of it ----
const figure = (title, picture, caption) => picture && h("figure", {}, h("p", { class: "title" }, title), picture, caption && h("figcaption", {}, caption));
function figuresOf(run, prompt, t, width, again) {
  const answers = run.level === "answer", at = prompt.rounds[measuredAt(run, t)], half = (part) => width > 700 ? (width - 36) * part : width;
  const bars = figure(`${answers ? "Answers" : "Responses"}, ${named(run, t)}`, h("div", {}, drawBars(run, prompt, t, again)));
  const tilt = (w) => figure("Exact rounds and what was measured", drawTilt(run, prompt, t, w), answers
    ? "Lines: the first round’s shares to the power (1 + 1/β)^t, renormalised. Dots: measured, hollow because they are shares of draws."
    : `Lines: the first round’s probabilities to the power (1 + 1/β)^t, renormalised, what the search left unseen estimated from samples; band: ${run.proved}, for the favourite. Dots: measured.`);
  if (answers) {
    const proof = certify(run, prompt, t);
    const values = proof && { "data-evidence": proof.leader.log.at(-1)[1], "data-bracket": `${proof.lower}:${proof.upper}`, "data-alpha": proof.alpha };
    return [bars, proof && h("div", { class: "two even", ...values },
      figure("Evidence for each answer, log", drawEvidence(run, prompt, proof, half(0.5)),
          "Certified where a line passes the threshold, at this prompt’s share of the level; prompts that are certified together may need less (P11)."),
      figure("Bracket of the likeliest answer", drawClosing(run, proof, half(0.5)),
          `Holds at every number of draws at once, so one may stop at any.${at.proved ? " From draws alone: the responses seen prove more, which the bars above have." : ""}`)),
          h("div", { class: "two one" }, tilt(width))];
  }
  if (at.lead == null) return [bars, tilt(width)];
  const unseen = at.certified ?
      `No hollow mark lies right of the line, so nothing unseen is likelier${run.proved === "proved" ? "" : " within the measured error"}.` :
      "A hollow mark right of the line: something likelier may hide there.";
  const expanded = at.expansions != null && [" ", told(run, prompt, run.rounds[measuredAt(run, t)], "expansions", at.expansions,
      plural(at.expansions, "prefix", "prefixes")), " expanded."];
  return [bars, h("div", { class: "two" }, tilt(half(0.4)), figure("Search for the mode", drawSearch(run, prompt, t, half(0.6)),
    [`Texts broken at words; squares: complete responses; hollow: prefixes left open. ${unseen}`, expanded]))];
}
const slider = (label, output, attrs, ticks) => h("div", {}, h("label", { for: attrs.id }, label, output), h("input", { type: "range", ...attrs }),
    h("div", { class: "ticks", "aria-hidden": "true" }, ticks));
function drawView() {
  const run = current(), prompt = promptAt(), view = $("view"), other = beside();
  if (!prompt) return view.replaceChildren(h("p", {}, "No prompt is on this page."));
  const both = [[run, prompt], ...(other ? [[other, other.prompts.find((one) => one.prompt === prompt.prompt)]] : [])];
  const columns = both.map(([of, one]) => ({ of, one, said: h("p", { role: "status", class: "what" }), figures: h("div") }));
  const T0 = first(run), T1 = Math.max(...both.map(([of]) => reach(of))), rounds = range(T1 - T0 + 1).map((i) => T0 + i);
  const own = run.kind === "diagnosis" ? ", as forecast" : ", the run’s";
  const [LOW, HIGH] = [0.05, 200], scale = (beta) => 100 * Math.log(beta / LOW) / Math.log(HIGH / LOW), shownRound = h("output", { for: "round" });
  const shownBeta = h("output", { for: "beta" });
  const redraw = () => {
    shownRound.textContent = run.rounds.includes(state.round) ? named(run, state.round) : `round ${state.round}, not measured`;
    shownBeta.textContent = `${num(strength(run))}${state.beta === null && run.beta !== null ? own : ""}`;
    $("round").ariaValueText = shownRound.textContent;
    $("beta").ariaValueText = shownBeta.textContent;
    for (const { of, one, said, figures } of columns) {
      const t = clamp(state.round, first(of), reach(of));
      for (const part of [said, figures]) part.replaceChildren();
      made(said, {}, one ? sentence(of, one, t) : ["This run does not have the prompt."]);
      if (one) made(figures, {}, figuresOf(of, one, t, Math.max(280, figures.clientWidth), redraw));
    }
  };
  const turn = (event) => go({ round: Number(event.target.value), flow: "" }, () => { drawList(); redraw(); });
  const tilt = (event) => {
    const beta = Number((LOW * (HIGH / LOW) ** (event.target.value / 100)).toPrecision(3));
    const near = run.beta !== null && Math.abs(scale(beta) - scale(run.beta)) < 1;
    go({ beta: near ? null : beta }, redraw); // near the run's own the slider holds
  };
  const stride = Math.ceil(rounds.length / 13);
  const ticks = rounds.filter((t) => (t - T0) % stride === 0).map((t) => h("span", { class: run.rounds.includes(t) && "is" }, isBase(run, t) ? "base" : t));
  const option = (one) => h("option", { value: one.name, selected: one === other }, one.name);
  view.replaceChildren();
  made(view, {}, [
    h("p", { class: "over" }, `prompt ${prompt.id}`, prompt.split === "held_out" && " · held out", prompt.known && ` · accepted answer: ${prompt.known}`),
    h("h3", {}, short(prompt.prompt, 280)), prompt.prompt.length > 280 && h("details", {}, h("summary", {}, "The whole prompt"),
        h("p", { class: "whole" }, prompt.prompt)),
    RUNS.length > 1 && h("p", { class: "besides" }, h("label", { for: "beside" }, "Side by side with "),
        h("select", { id: "beside", onchange: (event) => go({ beside: event.target.value }, drawView, true) },
      h("option", { value: "" }, "no other run"), RUNS.filter((one) => one !== run).map(option))),
    h("div", { class: "controls" },
      slider("Round", shownRound, { id: "round", min: T0, max: T1, step: 1, value: state.round, disabled: T1 === T0, oninput: turn }, ticks),
      slider("β of the exact rounds", shownBeta, { id: "beta", min: 0, max: 100, step: 0.5, value: scale(strength(run)), oninput: tilt },
          [h("span", {}, `${LOW} sharp`), h("span", {}, `${HIGH} gentle`)])),
    h("div", { class: other && "columns" }, columns.map(({ of, said, figures }) => h("div", { class: "column" }, other && h("h4", {}, of.name), said,
        figures))),
  ]);
  redraw();
}
