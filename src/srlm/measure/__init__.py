"""A measured round as a value: from rollouts and brackets to records, signatures, verdicts and decisions.

Knows: values of `srlm.records` and the formulas of `srlm.theory`. Refuses to know: models, torch, files, who sampled.
The one door is `measure_round` in `round`.
"""
