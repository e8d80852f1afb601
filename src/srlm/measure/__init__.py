"""A measured round as a value: from rollouts and brackets to records, signatures, verdicts and decisions.

Knows: values of `srlm.records` and the formulas of `srlm.theory`. Refuses to know: models, torch, files, who sampled.
The one door is `measure_round` in `round`.

Arguments of one name mean one thing: rollouts, modes and majorities have one entry a prompt, graded or answered; beta
is the KL strength > 0; mass_slack is delta of the failure rate, in (0, 1); history holds the records of rounds 0, 1,
...; a seed or generator is for resampling prompts.
"""
