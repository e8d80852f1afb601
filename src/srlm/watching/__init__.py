"""Watching a run that somebody else's trainer makes: groups of answers go in step by step, measurements, alarms with a
known rate of false ones, and the rounds of a run directory come out.

Knows: answers, rewards, lengths. Refuses to know: models and torch; only `trl` knows a trainer.
"""

from srlm.watching.alarms import Alarm
from srlm.watching.groups import Group
from srlm.watching.steps import Watcher, WatchSettings

__all__ = ["Alarm", "Group", "WatchSettings", "Watcher"]
