"""The command line, one file a command.

Knows: arguments, exit codes, and how dependencies are told to report on nobody. Refuses to know: logic of its own.
"""

import os

# Before anything is imported that would read them; what the user has set stays (SECURITY.md). The last: a hub that
# cannot be reached is told once, in our sentence, and not at every try.
_TOLD = {
    "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_VERBOSITY": "error",
}  # fmt: skip
for _name, _value in _TOLD.items():
    os.environ.setdefault(_name, _value)
