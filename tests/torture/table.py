"""The table of a torture: what was tried, what was clean, and a line for each case that was not."""

from collections.abc import Sequence

from tests.torture.running import Tried


def table(tried: Sequence[Tried], seconds: float, seed: int) -> str:
    """Markdown: one row for each family and thing attacked."""
    groups: dict[tuple[str, str], list[Tried]] = {}
    for one in tried:
        groups.setdefault((one.family, one.case.of), []).append(one)
    unclean = [one for one in tried if one.outcome.problem]
    lines = [
        "# What was broken on purpose, and how it ended",
        "",
        f"Written by `make torture` (`python -m tests.torture`, seed {seed}) in {seconds / 60:.0f} minutes: "
        f"{len(tried)} cases, {len(tried) - len(unclean)} clean; "
        + ", ".join(f"{sum(one.outcome.problem.startswith(kind) for one in tried)} {words}" for kind, words in _WORDS)
        + ".",
        "",
        "| family | attacked | tried | clean |",
        "|---|---|---|---|",
    ]
    for (family, of), some in groups.items():
        lines.append(f"| {family} | {of} | {len(some)} | {sum(not one.outcome.problem for one in some)} |")
    if unclean:
        lines += ["", "## Not clean", ""]
        lines += [f"- {one.family}, {one.case.of}, {one.case.name}: {_line(one.outcome.problem)}" for one in unclean]
    return "\n".join(lines) + "\n"


_WORDS = (
    ("traceback", "tracebacks"),
    ("hang", "hangs"),
    ("lost", "finished things lost"),
    ("script", "scripts run in a page"),
)


def _line(problem: str) -> str:
    return " ".join(problem.split())[:300].replace("|", "\\|")
