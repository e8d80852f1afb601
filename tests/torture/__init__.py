"""What breaks, broken on purpose: thousands of small cases, run by `python -m tests.torture` (see `case`)."""

# Where the cases of a family are.
FAMILIES: dict[str, str] = {
    "kills": "tests.torture.kills",
    "faults": "tests.torture.faults",
    "damages": "tests.torture.damages",
    "arguments": "tests.torture.arguments",
    "surroundings": "tests.torture.surroundings",
    "others": "tests.torture.others",
}
