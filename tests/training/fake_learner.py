"""A table of probabilities that runs rounds: learner, engine and certifier in one, without torch.

Response m to prompt x is the one token m; the policy is a table of log-probabilities, its update the exact round.
"""

import sys
from pathlib import Path

import numpy as np

from srlm.records.progress import Observer
from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.records.rounds import UpdateRecord
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.rewards.mixture import RewardContext, reward_mixture
from srlm.tasks.prompts import Prompt
from srlm.training.processes import Processes
from srlm.training.rounds import run_rounds
from srlm.training.settings import RunSettings
from srlm.training.update import Update, sampled_groups
from srlm.training.work import Encoded, Work


# --8<-- [start:fake]
class Table:
    name, dtype = "table", "float64"
    scores = True

    def __init__(self, policy, beta):
        self.policy, self.beta = policy, beta  # (prompts, responses) log-probabilities, KL strength

    def restore(self, version):
        if (version.checkpoint / "policy.npy").is_file():
            self.policy = np.load(version.checkpoint / "policy.npy")

    def at(self, version):
        self.restore(version)
        return self

    def draw(self, prompts, ask, progress=None):
        return [Rollout(one.number, tuple(self.responses(one.number, ask))) for one in prompts]

    def responses(self, at, ask):
        random = np.random.default_rng([ask.seed, ask.stream, at])
        for m in random.choice(self.policy.shape[1], ask.count, p=np.exp(self.policy[at])):
            yield Response(Complete((int(m),), float(self.policy[at, m]), True), text=f"answer {m}")

    def certify(self, version, prompts, known, progress=None):
        self.restore(version)
        return [self.bracket(self.policy[one.number]) for one in prompts]

    def bracket(self, row):
        best = [Response(Complete((int(m),), float(row[m]), True), text=f"answer {m}") for m in np.argsort(-row)]
        top, gap = best[0].logprob, best[0].logprob - best[1].logprob
        return ModeBracket(tuple(best), top, top, True, best[0], gap, 2, expansions=1)

    def fit(self, groups, beta, held_out, steps_before, progress):
        power = (1 + 1 / self.beta) * self.policy
        self.policy = power - np.logaddexp.reduce(power, axis=1, keepdims=True)
        return UpdateRecord(loss=0.0, passes=1, steps=1)

    def score(self, groups):
        return [[float(self.policy[prompt[0], tokens[0]]) for tokens in responses] for prompt, responses in groups]

    def snapshot(self, number):
        return lambda folder: np.save(folder / "policy.npy", self.policy)

    def export(self, folder):
        np.save(folder / "policy.npy", self.policy)

    def reward_context(self):
        return RewardContext()

    def steps_per_update(self, groups):
        return 1

    def log_round(self, steps, record):
        pass


def run(folder, policy, rounds, beta=1.0):
    prompts = [Prompt(f"question {x}", "held_out" if x % 4 == 3 else "train") for x in range(len(policy))]
    directory = RunDirectory.open(folder) if (folder / RUN_FILE).exists() else RunDirectory.create(folder, SETTINGS, {})
    table = Table(policy, beta)
    work = Work(
        learner=table, engine=table, certifier=table, reward=reward_mixture(), update=EXACT, prompts=prompts,
        encoded=[Encoded(x, (x,)) for x in range(len(policy))], settings=RunSettings(rounds=rounds), beta=beta,
        actions={}, processes=Processes(0, 1),
    )  # fmt: skip
    run_rounds(work, directory, Observer())
    return directory


# --8<-- [end:fake]
EXACT = Update("exact", lambda batch, beta: None, sampled_groups)
SETTINGS = {"model": "a table", "rewards": ["log_probability"], "beta": 1.0}


if __name__ == "__main__":
    run(Path(sys.argv[1]), np.load(sys.argv[2]), int(sys.argv[3]))
