"""A forecast from search and samples against policies small enough to be raised to any power."""

import heapq
import json
import math

import numpy as np
import pytest

from srlm import theory
from srlm.measure.forecast import forecast, forecast_of, forecast_run, known_at
from srlm.records.diagnosis import DiagnosisRecord
from srlm.records.forecast import Forecast, KnownResponses
from srlm.records.responses import Complete, ModeBracket, Outside, Response, Rollout
from srlm.records.rounds import RoundRecord

LENGTH, TOKENS, KEPT = 4, 3, 5
BETA, ROUNDS = 2.0, 3
Tokens = tuple[int, ...]


class Policy:
    """Responses of four tokens out of three, each right or wrong by the sum of its tokens."""

    def __init__(self, rng: np.random.Generator, spread: float) -> None:
        self.mass: dict[Tokens, float] = {(): 1.0}
        layer = {(): 1.0}
        for _ in range(LENGTH):
            layer = {
                (*prefix, token): mass * share
                for prefix, mass in layer.items()
                for token, share in enumerate(rng.dirichlet(np.full(TOKENS, 1 / spread)))
            }
            self.mass |= layer
        self.responses = layer

    def response(self, tokens: Tokens) -> Response:
        complete = Complete(tokens, math.log(self.responses[tokens]), True)
        return Response(complete, str(tokens), sum(tokens) % 2 == 0)

    def drawn(self, rng: np.random.Generator, count: int) -> Rollout:
        every = list(self.responses)
        chosen = rng.choice(len(every), size=count, p=np.array(list(self.responses.values())))
        return Rollout(0, tuple(self.response(every[at]) for at in chosen))

    def searched(self, budget: int) -> ModeBracket:
        """Best-first search with a budget; the likeliest `KEPT` that it saw, all else in open prefixes or dropped."""
        heap: list[tuple[float, Tokens]] = [(-1.0, ())]
        seen: list[Tokens] = []
        for _ in range(budget):
            if not heap:
                break
            _, prefix = heapq.heappop(heap)
            for token in range(TOKENS):
                longer = (*prefix, token)
                if len(longer) == LENGTH:
                    seen.append(longer)
                else:
                    heapq.heappush(heap, (-self.mass[longer], longer))
        greedy: Tokens = ()
        while len(greedy) < LENGTH:
            greedy = max(((*greedy, token) for token in range(TOKENS)), key=self.mass.__getitem__)
        seen = sorted({*seen, greedy}, key=lambda one: -self.mass[one])
        best, dropped = seen[:KEPT], seen[KEPT:]
        open_ = sorted((-mass for mass, _ in heap), reverse=True)
        top, rival = self.mass[best[0]], max(open_, default=0.0)
        proved = top >= rival
        return ModeBracket(
            best=tuple(map(self.response, best)),
            logprob_lower=math.log(top),
            logprob_upper=math.log(top if proved else rival),
            certified=proved,
            greedy=self.response(greedy),
            outside=Outside(
                tuple(map(math.log, open_)),
                math.fsum(self.mass[one] for one in dropped),
                math.log(self.mass[dropped[0]]) if dropped else -math.inf,
            ),
        )

    def sharpened(self, power: float) -> tuple[float, float]:
        """1/pi^(power)(mode), and the chance of a right response, by raising every probability to the power."""
        raised = {tokens: mass**power for tokens, mass in self.responses.items()}
        whole = math.fsum(raised.values())
        right = math.fsum(mass for tokens, mass in raised.items() if sum(tokens) % 2 == 0)
        return whole / max(raised.values()), right / whole


def measured(count: int, budget: int, draws: int) -> tuple[list[Policy], list[Rollout], list[ModeBracket]]:
    rng = np.random.default_rng(budget)
    policies = [Policy(rng, spread) for spread in rng.uniform(0.5, 3.0, count)]
    rollouts = [one.drawn(rng, draws) for one in policies]
    found = [one.searched(budget) for one in policies]
    return policies, rollouts, [one.joined(rollout.responses) for one, rollout in zip(found, rollouts, strict=True)]


@pytest.mark.parametrize(("budget", "certified"), [(1, (0.0, 0.3)), (6, (0.5, 0.97)), (40, (1.0, 1.0))])
def test_brackets_hold_the_exact_rounds_and_points_are_near(budget: int, certified: tuple[float, float]) -> None:
    policies, rollouts, modes = measured(240, budget, 16)
    assert certified[0] <= np.mean([one.certified for one in modes]) <= certified[1]
    known = [known_at(*pair) for pair in zip(rollouts, modes, strict=True)]
    for first in range(0, 240, 12):
        part = slice(first, first + 12)
        for one in forecast(known[part], BETA, ROUNDS):
            truth = np.array([policy.sharpened(one.power) for policy in policies[part]])
            assert one.power == pytest.approx(1.5**one.round)
            assert one.kappa.lower is not None
            assert one.kappa.upper is not None
            assert one.sample_accuracy is not None
            assert one.kappa.lower <= truth[:, 0].mean() * (1 + 1e-8) <= one.kappa.upper * (1 + 2e-8)
            fails = (truth[:, 0] >= 2).mean()
            assert one.failure_rate.lower <= fails <= one.failure_rate.upper
            assert one.sample_accuracy.lower - 1e-8 <= truth[:, 1].mean() <= one.sample_accuracy.upper + 1e-8
            assert one.kappa.lower <= one.kappa_point * (1 + 1e-12) <= one.kappa.upper * (1 + 2e-12)
            assert one.projection_kappa <= truth[:, 0].mean() * (1 + 1e-8) or budget == 1
    for one in forecast(known, BETA, ROUNDS):
        truth = np.array([policy.sharpened(one.power) for policy in policies]).mean(axis=0)
        # Samples that joined the best for want of a proof, counted as known, would leave the point a third too low.
        assert one.kappa_point == pytest.approx(truth[0], rel=0.02 if budget == 40 else 0.1)
        assert one.sample_accuracy_point == pytest.approx(truth[1], abs=0.02)
        if one.round == 0 and budget == 40:
            assert (one.kappa.lower, one.kappa.upper) == pytest.approx((truth[0], truth[0]))


def test_projections_aim_at_what_iterated_projections_reach() -> None:
    _, rollouts, modes = measured(50, 6, 8)
    known = [known_at(*pair) for pair in zip(rollouts, modes, strict=True)]
    groups = [
        np.array(list({one.tokens: one.logprob for one in [*mode.best, *rollout.responses]}.values()))
        for rollout, mode in zip(rollouts, modes, strict=True)
    ]
    current = groups
    for one in forecast(known, BETA, ROUNDS):
        kappa = np.mean([np.exp(group).sum() / np.exp(group).max() for group in current])
        assert one.projection_kappa == pytest.approx(kappa, rel=1e-6)
        current = [np.log(theory.projection_weights(group, BETA)) for group in current]


def test_bands_hold_brackets_and_follow_from_the_seed() -> None:
    known = [known_at(*pair) for pair in zip(*measured(40, 6, 8)[1:], strict=True)]
    found = forecast(known, BETA, ROUNDS, seed=3)
    assert found == forecast(known, BETA, ROUNDS, seed=3)
    assert found[1].intervals != forecast(known, BETA, ROUNDS, seed=4)[1].intervals
    assert found[0].intervals.keys() == {"sample_accuracy"}
    for one in found[1:]:
        assert one.intervals.keys() == {"kappa", "failure_rate", "sample_accuracy"}
        for name, band in one.intervals.items():
            bracket = getattr(one, name)
            assert band.lower <= bracket.lower <= bracket.upper <= band.upper
    # A looser failure rate counts more prompts.
    assert forecast(known, BETA, 1, mass_slack=0.9)[1].failure_rate.upper < found[1].failure_rate.upper


def test_what_floats_cannot_hold_is_told_by_its_logarithm() -> None:
    mode, far = (Response(Complete((at,), logprob, True)) for at, logprob in enumerate((-2000.0, -2001.0)))
    bracket = ModeBracket((mode,), -2000.0, -0.5, False, mode).joined([far])
    known = [known_at(Rollout(0, (far, far)), bracket)]
    found = forecast(known, BETA, 1)
    text = json.dumps([one.model_dump(mode="json") for one in found], allow_nan=False)
    assert json.loads(text)[1]["kappa"] == {"lower": pytest.approx(1.0), "upper": None}
    assert found[1].log_kappa.upper == pytest.approx(1.5 * 2000)
    assert found[0].log_kappa.upper == pytest.approx(2000)
    assert found[0].kappa_point is None or found[0].kappa_point < 10
    assert "kappa" not in found[1].intervals
    assert (found[1].sample_accuracy, found[1].sample_accuracy_point) == (None, None)


def test_a_diagnosis_is_forecast_at_any_beta_from_its_file(record: DiagnosisRecord) -> None:
    known = [known_at(*pair) for pair in zip(*measured(30, 6, 8)[1:], strict=True)]
    prompts = tuple(record.prompts[0].model_copy(update={"known": one}) for one in known)
    written = record.model_copy(update={"prompts": prompts}).model_dump_json()
    read = DiagnosisRecord.model_validate_json(written)
    assert [one.known for one in read.prompts] == known
    whole = forecast_of(read.prompts, read.settings, 0.0, BETA, ROUNDS)
    assert whole.rounds == forecast(known, BETA, ROUNDS)
    assert Forecast.model_validate_json(whole.model_dump_json()) == whole
    settings = read.settings.model_copy(update={"beta": 0.5, "rounds": 2, "mass_slack": 0.25, "seed": 5})
    widened = forecast_of(read.prompts, settings, 0.25)
    assert widened.rounds == forecast(known, 0.5, 2, mass_slack=0.25, seed=5)
    assert (len(whole.assumes), "an estimate" in widened.assumes[-1]) == (2, True)


def test_a_run_is_forecast_by_split_and_only_where_rounds_sharpen() -> None:
    _, rollouts, modes = measured(6, 6, 8)
    splits = ["train", "held_out", "train", "gate", "train", "train"]
    found = forecast_run(zip(splits, rollouts, modes, strict=True), BETA, ROUNDS, 7)
    known = [known_at(*pair) for pair in zip(rollouts, modes, strict=True)]
    assert found == {
        "forecast": forecast([known[at] for at in (0, 2, 4, 5)], BETA, ROUNDS, seed=7),
        "forecast_held_out": forecast(known[1:2], BETA, ROUNDS, seed=7),
    }
    assert forecast_run(zip(["held_out"] * 6, rollouts, modes, strict=True), BETA, ROUNDS, 7)["forecast"] is None
    assert set(forecast_run(zip(splits, rollouts, modes, strict=True), None, ROUNDS, 7).values()) == {None}
    record = RoundRecord(round=0, **found)
    assert RoundRecord.model_validate_json(json.dumps(record.to_document(), allow_nan=False)) == record


def test_widening_makes_nothing_of_what_was_never_dropped() -> None:
    every = {(0,): 0.6, (1,): 0.4}
    best = tuple(Response(Complete(tokens, math.log(mass), True)) for tokens, mass in every.items())
    whole = ModeBracket(best, math.log(0.6), math.log(0.6), True, best[0], 0.4, 2, Outside((), 0.0, -math.inf))
    found = forecast([known_at(Rollout(0, best), whole.widened(0.01))], 1.0, 1)[1]
    assert (found.kappa.lower, found.kappa.upper) == pytest.approx(((0.36 + 0.16) / 0.36,) * 2)


def test_where_every_response_is_right_the_accuracy_is_no_more_than_one() -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        mass, draws = np.log(rng.dirichlet(np.ones(6))), rng.integers(3, 6, 4)  # three known, four draws of the others
        known = KnownResponses(
            best=tuple(sorted(mass[:3], reverse=True)), certified=True, dropped_mass=0.0, dropped_logprob=None,
            open_prefixes=tuple(sorted(mass[3:], reverse=True)), samples=tuple(mass[draws]), times=(1,) * 4,
            sample_known=(False,) * 4, best_right=(True,) * 3, sample_right=(True,) * 4,
        )  # fmt: skip
        for one in forecast([known], 0.7, 3):
            assert one.sample_accuracy_point == pytest.approx(1.0, abs=1e-12)
            assert one.sample_accuracy_point <= 1
