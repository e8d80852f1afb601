"""The command line, one file a command.

Knows: arguments, exit codes, and how dependencies are told to report on nobody. Refuses to know: logic of its own.
"""

import os

# Before anything is imported that would read them; what the user has set stays (SECURITY.md).
for _name, _value in {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}.items():
    os.environ.setdefault(_name, _value)
