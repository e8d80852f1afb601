"""Exact policies: tables, linear softmax, token trees, and the instances that the theory talks about."""

from srlm.policies.autoregressive import AutoregressivePolicy
from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.policies.tabular import TabularPolicy

__all__ = ["AutoregressivePolicy", "LinearSoftmaxPolicy", "TabularPolicy"]
