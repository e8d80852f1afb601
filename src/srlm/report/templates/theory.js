// The closed forms that move with the reader: labels as in the theory, natural logarithms throughout.
const logSum = (list) => { const top = most(list); return top === -Infinity ? top :
    top + Math.log(sum(list.map((one) => Math.exp(one - top)))); };
const FACTORIALS = [0, 0];
function logFactorial(n) {
  while (FACTORIALS.length <= n) FACTORIALS.push(FACTORIALS.at(-1) + Math.log(FACTORIALS.length));
  return FACTORIALS[n];
}
const logBeta = (a, b) => logFactorial(a - 1) + logFactorial(b - 1) - logFactorial(a + b - 1);
const power = (beta, t) => (1 + 1 / beta) ** t;

// P8 (ii), (iii): an exact round to the power S from what is known; `lower` and `upper` are ends of log 1/p^(S)(y*),
// `low` and `high` those of every known response's own probability. Those `beneath` open prefixes are counted there; where
// they were drawn, T is estimated from how often (P8 v), and `point` is the forecast with it.
function exactRound({ logprobs: logs, open, dropped, certified, beneath, counts, drawn }, S) {
  const among = new Set(beneath), known = logs.filter((one, i) => one != null && !among.has(i)), best = most(known),
      inside = logSum(known.map((one) => S * (one - best)));
  const [mass, widest] = dropped ?? [0, -Infinity], largest = Math.max(most(open), mass > 0 ? widest : -Infinity) - best;
  const rest = Math.log(Math.max(1 - sum(known.map(Math.exp)), 1e-15)) - best; // a sum that rounds to 1 does not show that nothing is left
  const lost = mass > 0 ? (S - 1) * (widest - best) + Math.log(mass) - best : -Infinity;
  const outside = largest > -Infinity ? Math.min(logSum([...open.map((one) => S * (one - best)), lost]), (S - 1) * largest + rest) :
      -Infinity;
  const unproved = largest > -Infinity ? logSum([0, inside - S * largest]) : Infinity, upper = logSum([inside, outside]);
  const seen = beneath.filter((i) => counts[i]).map((i) => Math.log(counts[i] / drawn) + (S - 1) * (logs[i] - best) - best),
      middle = drawn ? logSum([inside, Math.min(outside, logSum(seen))]) : upper;
  const end = (total) => logs.map((one, i) => one == null ? null : Math.exp(S * (one - best) - total(S * (one - best), among.has(i))));
  return { S, lower: certified ? inside : Math.min(inside, unproved), upper, low: end(() => upper), high: end((own, hidden) => hidden ?
      logSum([inside, own]) : inside), point: end(() => middle) };
}

// P10: shares to the power S, renormalised; the plug-in, since shares of draws are what is known.
function sharpened(counts, S) {
  const top = Math.log(most(counts)), parts = counts.map((one) => one ? Math.exp(S * (Math.log(one) - top)) : 0), whole = sum(parts);
  return parts.map((one) => one / whole);
}

// P11 (i): log E of an answer drawn u more times after its first, its strongest rival v times since then.
// P(Beta(u+1, v+1) > 1/2) is a binomial tail for whole u and v.
function logEvidence(u, v) {
  const n = u + v + 1;
  return logBeta(u + 1, v + 1) + logSum(range(u + 1).map((k) => logFactorial(n) - logFactorial(k) - logFactorial(n - k)));
}
// P11 (ii): root of log B(c+1, n-c+1) - c log p - (n-c) log(1-p) = level, on one side of c/n.
function betaRoot(c, n, level, upper) {
  if (upper ? c === n : c === 0) return upper ? 1 : 0;
  let [near, far] = [c / n, upper ? 1 : 0];
  for (let i = 0; i < 60; i++) {
    const p = (near + far) / 2, value = logBeta(c + 1, n - c + 1) - (c && c * Math.log(p)) - (n > c && (n - c) * Math.log1p(-p));
    if (value > level) far = p; else near = p;
  }
  return (near + far) / 2;
}
// The growing certificate of one prompt. Answers named beforehand take the first numbers and count from draw 0; every
// other one counts after its first draw. `path` holds [n, L, U] at up to `points` numbers of draws.
function certificate(draws, alpha, named = [], points = 60) {
  const found = named.map((item, i) => ({ item, j: i + 1, first: 0, u: 0, count: 0, rivals: new Map(), log: [], at: null })), path = [];
  const byItem = new Map(found.map((one) => [one.item, one])), price = (one) => Math.log(one.j * (one.j + 1)), every = Math.max(1,
      draws.length / points);
  draws.forEach((item, i) => {
    const n = i + 1;
    for (const one of found) if (one.item === item) { one.u++; one.count++; } else one.rivals.set(item, (one.rivals.get(item) ?? 0) + 1);
    if (!byItem.has(item)) { found.push({ item, j: found.length + 1, first: n, u: 0, count: 1, rivals: new Map(), log: [], at: null });
        byItem.set(item, found.at(-1)); }
    for (const one of found) {
      const value = logEvidence(one.u, Math.max(0, most([...one.rivals.values()]))) - price(one);
      one.log.push([n, value]);
      if (one.at === null && value >= -Math.log(alpha)) one.at = n;
    }
    if (n === draws.length || Math.floor(n / every) > Math.floor(i / every)) path.push([n,
      most(found.map((one) => betaRoot(one.u, n - one.first, Math.log(2 / alpha) + price(one), false))),
          betaRoot(most(found.map((one) => one.count)), n, Math.log(2 / alpha), true)]);
  });
  const leader = found.find((one) => one.count === most(found.map((each) => each.count))) ?? null;
  return { found, path, leader, n: draws.length, lower: path.at(-1)?.[1] ?? 0, upper: path.at(-1)?.[2] ?? 1 };
}
