// One prompt: what training did to it, what exact rounds would have done, the search or the growing certificate.
// Knows: one prompt of one run at one round. Refuses to know: the list it was picked from.
// Every number of the records carries data-path, where it is kept, and data-value, what it is there.
const SHOWN = 12, whole = new Set();
function told(run, prompt, t, column, value, shown) {
  const table = run.kind === "diagnosis" ? `diagnosis.json#${prompt.id}` :
      `rounds/${String(t).padStart(2, "0")}/${["logprob", "answer", "rows", "lower", "upper"].includes(column.split(":")[0]) ? "samples" : "modes"}.parquet#${prompt.id}`;
  return h("data", { value, "data-path": `${RUNS.length > 1 ? `${run.name}/` : ""}${table}/${column}`, "data-value": value }, shown);
}
// The order of items, the same in all figures and at every round: favourites of any round first, then by their largest chance.
const ORDERS = new WeakMap();
function orderOf(run, prompt) {
  if (!ORDERS.has(prompt)) {
    const leads = new Set(prompt.rounds.map((at) => at.lead)), all = prompt.rounds.map((at) => chances(run, at)),
        size = (i) => most(all.map((one) => one[i] ?? -1));
    const sized = prompt.items.map((_, i) => [i, size(i)]), list = sized.sort((a, b) => leads.has(b[0]) - leads.has(a[0]) ||
        b[1] - a[1]).map(([i]) => i), base = prompt.rounds[0].lead;
    ORDERS.set(prompt, base == null ? list : [base, ...list.filter((i) => i !== base)]);
  }
  return ORDERS.get(prompt);
}
const letter = (place) => place < 26 ? String.fromCharCode(97 + place) : String(place + 1);
function exact(run, prompt, beta, t) { // every item's probability after t exact rounds from the first round: [at least, at most]
  const base = prompt.rounds[0], S = power(beta, t);
  if (base.lead == null) return null;
  if (run.level === "answer") { const list = sharpened(range(prompt.items.length).map((i) => base.counts[i] ?? 0), S);
      return { low: list, high: list, point: list }; }
  return base.logprobs.some((one) => one != null) ? exactRound(base, S) : null;
}
const strength = (run) => state.beta ?? run.beta ?? 1, ends2 = (at) => [Math.exp(at.lower ?? -Infinity), Math.exp(at.upper ?? 0)];
const percent = (p) => `${(100 * clamp(p, 0, 1)).toFixed(2)}%`, grid = () => [0, 0.5, 1].map((v) => s("line", { x1: percent(v),
    x2: percent(v), y1: -3, y2: 25, stroke: v === 0.5 ? "var(--soft)" : "var(--line)", "stroke-dasharray": v === 0.5 ? "2 2" : null }));
const tick = (right) => right == null ? null : h("span", { class: `tick ${colourOf(right)}`, role: "img", "aria-label": right ? "right" :
    "wrong" }, right ? "✓ " : "✗ ");
const long = (text, n) => text.length <= n ? text : h("details", { class: "long" }, h("summary", {}, short(text, n)), text);
const between = (y, low, high, colour, tall) => s("g", { stroke: colour, "stroke-width": 1.5 },
    s("line", { x1: percent(low), x2: percent(high), y1: y, y2: y }), [low, high].map((v) => s("line", { x1: percent(v), x2: percent(v),
    y1: y - tall, y2: y + tall })));

function sentence(run, prompt, t) {
  const k = measuredAt(run, t), at = prompt.rounds[k], lead = prompt.items[at.lead], answers = run.level === "answer",
      [low, high] = ends2(at), was = run.rounds[k], show = (column, value, text) => told(run, prompt, was, column, value, text);
  const who = was === first(run) && run.kind !== "audit" ? "The base model" : `The model at round ${was}`;
  if (!lead && !at.drawn) return [`${who} was not given this prompt.`];
  if (!lead) return [`${who} gave nothing with an answer in ${plural(at.drawn, "draw")}.`];
  const lower = show(answers ? "lower" : "mode_logprob_lower", at.lower ?? "-Infinity", prob(low)), upper = show(answers ? "upper" :
      "mode_logprob_upper", at.upper ?? "", prob(high));
  const sure = at.proved || (!answers && at.certified) ? [answers ? "proved by the responses seen: " : `${run.proved} by search: `] :
      answers ? [at.certified ? `certified at ${pct(run.confidence ?? 0.95)}: ` : "not certified: "] :
      ["the search stopped before a proof: "];
  const fate = k === 0 || prompt.rounds[0].right == null || at.right == null ? "" :
      spoken(Object.keys(FATES).find((one) => FATES[one][0] === prompt.rounds[0].right && FATES[one][1] === at.right)),
      when = prompt.rounds.findIndex((one, i) => i <= k && moved(prompt, i));
  return [`${who} prefers `, h("b", {}, `“${short(textOf(lead), 120)}”`), lead.right == null ? "" : ` (${lead.right ? "right" : "wrong"})`,
      ", ", sure, prob(low) === prob(high) ? ["probability ", lower] : ["probability between ", lower, " and ", upper], ". ",
    when > 0 ? `The favourite moved in round ${run.rounds[when]}; exact rounds never move it. ` : k ? "The favourite has not moved. " : "",
        at.share == null ? "" : `${pct(at.share)} of ${at.drawn ? plural(at.drawn, "sample") : "samples"} right. `, fate && h("b", {},
        `${fate[0].toUpperCase()}${fate.slice(1)}.`),
    t > was ? ` Round ${t} was not measured: violet is what exact rounds would do.` : ""];
}
function drawBars(run, prompt, t, beta, again) {
  const k = measuredAt(run, t), there = run.rounds[k] === t, at = prompt.rounds[k], answers = run.level === "answer", order = orderOf(run,
      prompt), all = whole.has(prompt), tilt = exact(run, prompt, beta, t - first(run)), [lower, upper] = ends2(at);
  const bar = (i, place) => {
    const item = prompt.items[i], p = there ? chance(run, at, i) : null, leads = there && i === at.lead, count = at.counts[i] ?? 0,
        low = tilt?.low[i], high = tilt?.high[i];
    const name = `${short(textOf(item), 200)}${item.right == null ? "" : item.right ? ", right" : ", wrong"}, ${p == null ? "not scored at this round" : `measured ${prob(p)}`}${low == null ? "" : `, exact rounds ${span(low, high, prob)}`}`;
    return h("li", { class: leads ? "lead" : null }, h("span", { class: "letter" }, letter(place)), h("div", { class: "text" },
        tick(item.right), long(textOf(item), 160), item.cut && h("span", { class: "tag" }, "cut"), there && at.greedy === i && h("span",
        { class: "tag" }, "greedy")),
      s("svg", { role: "img", "aria-label": name }, s("title", {}, name), grid(), p != null && s("rect", { x: 0, y: 4, height: 9,
          width: percent(p), fill: answers ? hatch(colourOf(item.right)) : paint(colourOf(item.right)), stroke: answers ?
          paint(colourOf(item.right)) : "none" }),
        leads && upper - lower > 0.004 && between(8.5, lower, upper, "var(--ink)", 4), low != null && between(18, low, high,
            "var(--theory)", 3)),
      h("span", { class: "n" }, p == null ? h("span", { class: "soft" }, there ? "not scored" : "–") : answers ?
          [told(run, prompt, t, `answer:${i}`, count, prob(p)), h("span", { class: "soft" }, ` ${count}`)] : told(run, prompt, t,
          `logprob:${i}`, at.logprobs[i], prob(p)),
        low != null && h("data", { class: "sr", value: low, "data-exact": `${i}:${low}:${high}` }, `exact ${span(low, high, prob)}`)));
  };
  const seen = answers ? 0 : sum(at.logprobs.map((one) => one == null ? 0 : Math.exp(one))), hidden = Math.max(0, 1 - seen),
      lostDraws = at.drawn - known(at);
  const rest = there && (answers ? lostDraws > 0 && h("li", { class: "soft" }, h("span"), h("span", { class: "text" },
      "without an answer, left out of the shares"), h("span"), h("span", { class: "n" }, `${lostDraws} of ${at.drawn}`))
    : hidden > 1e-6 && h("li", { class: "soft" }, h("span"), h("span", { class: "text" }, "every other response", at.open.length ?
        `, the likeliest at most ${prob(Math.exp(at.open[0]))}` : ""), s("svg",
        { role: "img", "aria-label": `everything else ${prob(hidden)}` }, grid(), s("rect", { x: 0, y: 4, height: 9, width: percent(hidden),
        fill: hatch("soft"), stroke: "var(--soft)" })), h("span", { class: "n" }, prob(hidden))));
  const likely = (i) => (there ? chance(run, at, i) : tilt?.point[i]) ?? -1, weight = (i) => leads.has(i) ? 2 :
      prompt.items[i].text === null && likely(i) < 0.01 ? likely(i) - 2 : likely(i), leads = new Set([at.lead, prompt.rounds[0].lead]),
      likeliest = new Set([...order].sort((a, b) => weight(b) - weight(a)).slice(0, SHOWN));
  const list = order.map((i, place) => [i, place]).filter(([i]) => all || likeliest.has(i)), beyond = order.length - list.length;
      // those without a text come last
  return [h("ol", { class: "bars" }, list.map(([i, place]) => bar(i, place)), rest), beyond > 0 && h("button", { type: "button",
      onclick: () => { whole.add(prompt); again(); } }, `${beyond} more, less likely`),
    legend(there && [s("rect", { width: 24, height: 9, y: 1, fill: answers ? hatch("ink") : "var(--ink)", stroke: "var(--ink)" }), answers ?
        "share of draws with an answer" : "probability, exact"],
      there && at.lead != null && upper - lower > 0.004 && [s("path", { d: "M1 5.5h22M1 2v7M23 2v7", stroke: "var(--ink)",
          "stroke-width": 1.4 }), answers ?
          `bracket of the likeliest, ${at.proved ? "proved" : `${pct(run.confidence ?? 0.95)} for all prompts at once`}` :
          "the mode lies in this bracket"],
      tilt && [s("path", { d: "M1 5.5h22M1 2v7M23 2v7", stroke: "var(--theory)", "stroke-width": 1.6 }), answers ?
          "exact rounds from the first draws, at this β (P10)" : `exact rounds from the base, at this β: ${run.proved} bracket (P8)`]),
          at.said && there && h("details", { class: "said" }, h("summary", {}, "A response with this answer"), h("p", {}, at.said))];
}
function drawTilt(run, prompt, t, beta, width) {
  const T0 = first(run), T1 = reach(run), order = orderOf(run, prompt).slice(0, 6),
      fine = range(Math.min(240, (T1 - T0) * 12) + 1).map((i) => T0 + (T1 - T0) * i / Math.min(240, (T1 - T0) * 12 || 1)),
      all = fine.map((x) => exact(run, prompt, beta, x - T0));
  if (!all[0]) return null;
  const lead = prompt.rounds[0].lead, answers = run.level === "answer", rounds = range(T1 - T0 + 1).map((i) => T0 + i), last = all.at(-1),
      p = prompt.rounds.map((at) => chances(run, at));
  const { svg, X, Y, height, top, bottom } = frame({ width, height: 270, x: [T0, T1 === T0 ? T0 + 1 : T1], y: [0, 1], xticks: rounds,
      yticks: [0, 0.25, 0.5, 0.75, 1], right: 30, top: run.stop ? 24 : 12, xtitle: "round",
    label: `Exact rounds at beta ${num(beta)}: ${order.slice(0, 3).filter((i) => last.low[i] != null).map((i) => `${short(textOf(prompt.items[i]), 60)} from ${prob(all[0].low[i])} to ${span(last.low[i], last.high[i], prob)}`).join("; ")}` });
  svg.append(line([[X(t), top], [X(t), height - bottom]], { stroke: "var(--line)", "stroke-width": 9 }));
  if (run.stop) svg.append(line([[X(run.stop.round), top], [X(run.stop.round), height - bottom]], { stroke: "var(--ink)",
      "stroke-dasharray": "1.5 3" }), words(clamp(X(run.stop.round), 34, width - 30), top - 8, "stop here", { class: "strong",
      "text-anchor": "middle" }));
  if (!answers && all[0].low[lead] != null) svg.append(band(X, Y, fine.map((x, k) => [x, all[k].low[lead], all[k].high[lead]]),
      "var(--theory)"));
  const labels = [], dots = [];
  for (const i of [...order].reverse()) {
    const tone = paint(colourOf(prompt.items[i].right)), shown = most([...p.map((one) => one[i] ?? 0), last.point[i] ?? 0]) > 0.06;
    if (all[0].low[i] != null) svg.append(line(fine.map((x, k) => [X(x), Y(all[k].point[i])]), { stroke: tone, "stroke-width": i === lead ?
        2.4 : 1.2, opacity: shown ? 1 : 0.45 }));
    prompt.rounds.forEach((at, r) => {
      if (p[r][i] == null) return;
      if (i === at.lead && answers) { const [low, high] = ends2(at); dots.push(whisker(X(run.rounds[r]), Y(low), Y(high), tone)); }
      if (shown || p[r][i] > 0.02) dots.push(s("g", {}, mark(X(run.rounds[r]), Y(p[r][i]), "dot", !answers, tone, run.rounds[r] === t ?
          4.6 : 3.2), s("title", {}, `${letter(orderOf(run, prompt).indexOf(i))}, ${named(run, run.rounds[r])}: ${prob(p[r][i])}`)));
    });
    const end = final(run) === T1 ? p.at(-1)[i] ?? last.point[i] : last.point[i];
    if (shown && end != null) labels.push({ i, y: Y(end) });
  }
  svg.append(...dots);
  labels.sort((a, b) => b.y - a.y).forEach((one, k) => { one.y = Math.min(one.y, k ? labels[k - 1].y - 12 : height - bottom - 3);
      svg.append(words(X(T1 === T0 ? T0 + 1 : T1) + 12, one.y + 4, letter(orderOf(run, prompt).indexOf(one.i)), { class: "ink" })); });
  return svg;
}
function drawSearch(run, prompt, t,
    width) { // an outline of the texts, broken at words; every leaf also stands on one axis of log-probability
  const at = prompt.rounds[measuredAt(run, t)], scored = orderOf(run, prompt).filter((i) => at.logprobs[i] != null &&
      prompt.items[i].text != null), items = whole.has(prompt) ? scored : scored.slice(0, SHOWN);
  const root = { label: "", kids: [] }, chunks = (text) => text.match(/\s*\S+|\s+$/g) ?? [""];
  for (const i of items) {
    let node = root;
    for (const word of chunks(textOf(prompt.items[i]))) { let kid = node.kids.find((one) => one.label === word && one.item == null);
        if (!kid) node.kids.push(kid = { label: word, kids: [] }); node = kid; }
    node.kids.push({ label: prompt.items[i].cut ? "…" : "⏎", kids: [], item: i, p: Math.exp(at.logprobs[i]) });
  }
  const squeeze = (node) => { while (node !== root && node.kids.length === 1) { const [kid] = node.kids;
      Object.assign(node, { label: node.label + kid.label, kids: kid.kids, item: kid.item, p: kid.p }); } node.kids.forEach(squeeze);
      node.best = node.p ?? most(node.kids.map((kid) => kid.best)); node.kids.sort((a, b) => b.best - a.best); };
  const rows = [], walk = (node, depth) => { node.row = rows.push(node) - 1; node.depth = depth;
      node.kids.forEach((kid) => walk(kid, depth + 1)); };
  squeeze(root); root.kids.forEach((kid) => walk(kid, 0));
  const open = at.open.map(Math.exp), [mass, widest] = at.dropped ?? [0, -Infinity], [lower] = ends2(at), step = 20, top = 30,
      strip = clamp(width * 0.34, 100, 240), value = 48, left = width - strip - value, indent = width < 420 ? 9 : 14;
  const extra = [open.length && ["open", open, `${plural(open.length, "open prefix", "open prefixes")}`], mass > 1e-9 && ["dropped",
      [Math.exp(widest)], `all the rest, mass ${prob(mass)}`]].filter(Boolean), height = top + (rows.length + extra.length) * step + 26;
  const floor = clamp(least([lower / 30, ...rows.filter((one) => one.p).map((one) => one.p), ...open.slice(0, 40)]), 1e-12, 0.01),
      X = scaled([floor, 1], [left + 8, left + strip - 8], true), Y = (row) => top + row * step + step / 2, largest = Math.max(most(open),
      mass > 1e-9 ? Math.exp(widest) : -Infinity);
  const svg = s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Search: best complete response ${short(textOf(prompt.items[at.lead]), 80)} with ${prob(lower)}; largest open prefix ${largest > 0 ? prob(largest) : "none"}; ${at.certified ? `${run.proved} to be the mode` : "not proved"}` });
  svg.append(s("rect", { x: X(lower), y: top - 6, width: Math.max(0, left + strip - X(lower)), height: height - top - 16,
      fill: "var(--raise)" }), line([[X(lower), top - 6], [X(lower), height - 22]], { stroke: "var(--ink)", "stroke-width": 1.2 }),
      words(clamp(X(lower), left + 30, width - value - 20), 18, at.certified ? "mode" : "best found", { "text-anchor": "middle",
      class: "strong" }));
  for (const v of steps(floor, 1, true, strip / 46)) svg.append(words(X(v), height - 6, v >= 0.001 ? num(v) : v.toExponential(0),
      { "text-anchor": "middle" }));
  const axis = (y) => s("path", { d: `M${left + 8} ${y}H${left + strip - 8}`, stroke: "var(--faint)" });
  for (const node of rows) {
    const x = 6 + node.depth * indent, y = Y(node.row), room = Math.max(4, Math.floor((left - x - 16) / 7.25)),
        label = node.label.replace(/^\s/, node.depth ? "·" : ""), leaf = node.item != null, tone = leaf ?
        paint(colourOf(prompt.items[node.item].right)) : "var(--soft)";
    for (const kid of node.kids) svg.append(line([[x, y + 5], [x, Y(kid.row)], [x + indent - 5, Y(kid.row)]], { stroke: "var(--line)" }));
    const tail = label.length > room ? `${label.slice(0, Math.ceil(room / 2) - 1)}…${label.slice(-(Math.floor(room / 2)))}` : label;
    svg.append(s("g", {}, leaf ? mark(x, y, "square", true, tone, 3.6) : mark(x, y, "dot", true, tone, 1.6), words(x + 10, y + 4,
        leaf ? tail : short(label, room), { class: "mono", "font-weight": leaf && node.item === at.lead ? 700 : null }),
      leaf && axis(y), leaf && mark(X(node.p), y, "square", true, tone, 3.6), leaf && words(width, y + 4, prob(node.p),
          { "text-anchor": "end", class: node.item === at.lead ? "strong" : null }), s("title", {},
          leaf ? `${textOf(prompt.items[node.item])} ${prob(node.p)}` : label)));
  }
  extra.forEach(([kind, list, label], i) => { const y = Y(rows.length + i), over = list.filter((one) => one > lower * (1 + 1e-9)).length;
    svg.append(s("g", {}, mark(6, y, "dot", false, over ? "var(--ink)" : "var(--soft)", 3.6), words(16, y + 4,
        short(label, Math.floor((left - 20) / 6.4))), axis(y), list.slice(0, 200).map((one) => mark(X(one), y, "dot", false,
        one > lower * (1 + 1e-9) ? "var(--ink)" : "var(--soft)", 3.4)), words(width, y + 4, prob(list[0]), { "text-anchor": "end",
        class: over ? "strong" : null }), s("title", {}, `${label}, the likeliest ${prob(list[0])}`)));
  });
  return svg;
}
function namedBefore(run, prompt, k) { // answers named before the first draw: the majority of the round before, then greedy's
  return [...new Set([k ? prompt.rounds[k - 1].lead : null, prompt.rounds[k].greedy].filter((one) => one != null && one >= 0))];
}
function drawCertificate(run, prompt, t, width) {
  const k = measuredAt(run, t), at = prompt.rounds[k], draws = at.draws.filter((one) => one >= 0), alpha = run.alpha ??
      (1 - (run.confidence ?? 0.95)) / run.prompts.length;
  if (!draws.length) return null;
  const one = certificate(draws, alpha, namedBefore(run, prompt, k)), level = -Math.log(alpha), n = draws.length, order = orderOf(run,
      prompt), xticks = [...new Set(range(5).map((i) => Math.round(n * i / 4)))], lead = one.leader;
  const top = Math.max(level + 2, most(one.found.flatMap((each) => each.log.map(([, v]) => v)))) * 1.06,
      evidence = frame({ width, height: 250, x: [0, n], y: [-4, top], xticks, yticks: steps(0, top, false, 5), right: 24,
      xtitle: "draws with an answer",
    label: `Log evidence against draws: ${lead.at !== null ? `${short(textOf(prompt.items[lead.item]), 60)} crossed the threshold ${num(level)} at draw ${lead.at}` : `no answer crossed the threshold ${num(level)} in ${n} draws`}` }),
        { X, Y, svg } = evidence;
  svg.append(line([[X(0), Y(level)], [X(n), Y(level)]], { stroke: "var(--ink)", "stroke-width": 1.2 }), words(X(0) + 5, Y(level) - 6,
      `threshold ${num(level)}`, { class: "ink halo" }));
  for (const each of [...one.found].sort((a, b) => (a === lead) - (b === lead))) if (each.log.length) {
    const tone = paint(colourOf(prompt.items[each.item]?.right)), end = each.log.at(-1);
    svg.append(line(each.log.map(([x, v]) => [X(x), Y(v)]), { stroke: tone, "stroke-width": each === lead ? 2.2 : 1.1,
        opacity: each === lead ? 1 : 0.55 }));
    if (each === lead) svg.append(words(X(n) + 7, Y(end[1]) + 4, letter(order.indexOf(each.item)), { class: "ink" }));
    if (each.at !== null) { const v = each.log.find(([x]) => x === each.at)[1], late = each.at > n * 0.6;
        svg.append(mark(X(each.at), Y(v), "dot", true, "var(--ink)"), words(X(each.at) + (late ? -9 : 9), Y(v) + 15, `draw ${each.at}`,
        { class: "strong halo", "text-anchor": late ? "end" : "start" })); }
  }
  const closing = frame({ width, height: 250, x: [0, n], y: [0, 1], xticks, yticks: [0, 0.25, 0.5, 0.75, 1], right: 24, top: 22,
      xtitle: "draws with an answer",
      label: `Bracket of the likeliest answer's probability, closing to ${span(one.lower, one.upper, prob)}` });
  closing.svg.append(band(closing.X, closing.Y, [[0, 0, 1], ...one.path], hatch("ink")),
      ...[1, 2].map((i) => line([[0, 0, 1], ...one.path].map((each) => [closing.X(each[0]), closing.Y(each[i])]), { stroke: "var(--ink)",
      "stroke-width": 1.4 })), line([[closing.X(0), closing.Y(run.failing)], [closing.X(n), closing.Y(run.failing)]],
      { stroke: "var(--soft)", "stroke-dasharray": "2 2" }),
    words(closing.X(n), closing.Y(one.upper) - 7, prob(one.upper), { "text-anchor": "end", class: "halo ink" }), words(closing.X(n),
        closing.Y(one.lower) + 16, prob(one.lower), { "text-anchor": "end", class: "halo ink" }));
  return { evidence: svg, closing: closing.svg, one, alpha };
}
const figure = (title, picture, caption) => picture && h("figure", {}, h("p", { class: "title" }, title), picture, caption &&
    h("figcaption", {}, caption));
function column(run, prompt, width, again) {
  const t = clamp(state.round, first(run), reach(run)), beta = strength(run), at = prompt.rounds[measuredAt(run, t)],
      answers = run.level === "answer", half = (part) => width > 700 ? (width - 36) * part : width;
  const bars = figure(answers ? `Answers, ${named(run, t)}` : `Responses, ${named(run, t)}`, h("div", {}, drawBars(run, prompt, t, beta,
      again))), caption = `Lines: the first round’s ${answers ? "shares" : "probabilities"} to the power (1 + 1/β)^t, renormalised${answers ? "" : ", what the search left unseen estimated from samples; band: proved, for the favourite".replace("proved", run.proved)}. Dots: measured. ${answers ? "Hollow: shares of draws." : ""}`;
  const tilt = (w) => { const svg = drawTilt(run, prompt, t, beta, w); return svg && figure("Exact rounds and what was measured", svg,
      caption); };
  if (answers) {
    const proof = drawCertificate(run, prompt, t, half(0.5));
    return [bars, proof && h("div", { class: "two even", "data-evidence": proof.one.leader.log.at(-1)?.[1],
        "data-bracket": `${proof.one.lower}:${proof.one.upper}`, "data-alpha": proof.alpha },
      figure("Evidence for each answer, log", proof.evidence,
          `Certified where a line passes the threshold, at this prompt’s share of the level; prompts that are certified together may need less (P11).`),
      figure("Bracket of the likeliest answer", proof.closing, "Holds at every number of draws at once, so one may stop at any.")), h("div",
          { class: "two one" }, tilt(width))];
  }
  if (at.lead == null || !at.logprobs.length) return [bars, tilt(width)];
  const over = at.upper != null && at.lower != null && !at.certified;
  return [bars, h("div", { class: "two" }, tilt(half(0.4)),
      figure(`Search for the mode${at.expansions == null ? "" : `, ${plural(at.expansions, "prefix", "prefixes")} expanded`}`,
      drawSearch(run, prompt, t, half(0.6)),
    ["Texts broken at words; squares: complete responses; hollow: prefixes left open, of which only the probability is kept. ",
        over ? "A hollow mark right of the line: something likelier may hide there." :
        `No hollow mark lies right of the line, so nothing unseen is likelier${run.proved === "proved" ? "" : " (within the measured error)"}.`,
        at.expansions == null ? "" : h("span", { class: "sr" }, told(run, prompt, run.rounds[measuredAt(run, t)], "expansions",
        at.expansions, `${at.expansions} expansions`))]))];
}
function drawView() {
  const run = current(), prompt = promptAt(), view = $("view");
  if (!prompt) { view.replaceChildren(h("p", {}, "No prompt is on this page.")); return; }
  const other = beside(), twin = other?.prompts.find((one) => one.prompt === prompt.prompt), both = other ? [[run, prompt], [other, twin]] :
      [[run, prompt]];
  const holders = both.map(([of]) => h("div", { class: "column" }, both.length > 1 && h("h4", {}, of.name),
      h("p", { role: "status", class: "what" }), h("div", { class: "figures-of" }))), shownRound = h("output", { for: "round" }),
      shownBeta = h("output", { for: "beta" });
  const T0 = first(run), T1 = Math.max(...both.map(([of]) => reach(of))), scale = (b) => Math.log(b / 0.05) / Math.log(4000) * 100,
      start = strength(run), own = scale(run.beta ?? 1), stops = range(T1 - T0 + 1).map((i) => T0 + i), dense = stops.length > 13;
  const redraw = () => {
    const t = state.round, is = run.rounds.includes(t);
    shownRound.textContent = is ? named(run, t) : `round ${t}, not measured`;
        shownBeta.textContent = `${num(strength(run))}${state.beta === null && run.beta !== null ? run.kind === "diagnosis" ? ", as forecast" : ", the run’s" : ""}`;
    $("round").ariaValueText = shownRound.textContent; $("beta").ariaValueText = shownBeta.textContent;
    both.forEach(([of, one], i) => { const [, said, figures] = holders[i].children.length === 3 ? holders[i].children : [null,
        ...holders[i].children];
      said.replaceChildren(...(one ? sentence(of, one, clamp(t, first(of), reach(of))).flat(3) : ["This run does not have the prompt."]));
      figures.replaceChildren(...(one ? column(of, one, Math.max(280, figures.clientWidth), redraw).flat(3).filter(Boolean) : [])); });
  };
  const slider = (label, output, attrs, ticks) => h("div", {}, h("label", { for: attrs.id }, label, output),
      h("input", { type: "range", ...attrs }), h("div", { class: "ticks", "aria-hidden": "true" }, ticks));
  const group = prompt.split === "held_out" ? " · held out" : "", whole_text = prompt.prompt.length > 280;
  view.replaceChildren(h("p", { class: "over" }, `prompt ${prompt.id}${group}${prompt.known ? ` · accepted answer: ${prompt.known}` : ""}`),
      h("h3", {}, short(prompt.prompt, 280)), whole_text ? h("details", {}, h("summary", {}, "The whole prompt"), h("p", { class: "whole" },
      prompt.prompt)) : "",
    RUNS.length > 1 ? h("p", { class: "besides" }, h("label", { for: "beside" }, "Side by side with "),
        h("select", { id: "beside", onchange: (event) => go({ beside: event.target.value }, drawView, true) }, h("option", { value: "" },
        "no other run"), RUNS.filter((one) => one !== run).map((one) => h("option", { value: one.name, selected: one === other },
        one.name)))) : "",
    h("div", { class: "controls" }, slider("Round", shownRound, { id: "round", min: T0, max: Math.max(T1, T0), step: 1, value: state.round,
        disabled: T1 === T0, oninput: (event) => go({ round: Number(event.target.value), flow: "" }, () => { drawList(); redraw(); }) },
        stops.filter((t) => !dense || t % Math.ceil(stops.length / 12) === 0).map((t) => h("span", { class: run.rounds.includes(t) ? "is" :
        "" }, t === T0 && run.kind !== "audit" ? "base" : t))),
      slider("β of the exact rounds", shownBeta, { id: "beta", min: 0, max: 100, step: 0.5, value: scale(start),
          oninput: (event) => { const raw = Number((0.05 * 4000 ** (event.target.value / 100)).toPrecision(3));
          go({ beta: run.beta !== null && Math.abs(scale(raw) - own) < 1 ? null : raw }, redraw); } }, [h("span", {}, "0.05 sharp"),
          h("span", {}, "200 gentle")])),
    h("div", { class: both.length > 1 ? "columns" : "" }, holders));
  redraw();
}
