"""How a command ends that is told to stop, or that nobody listens to: one sentence, the shell's exit codes."""

import os
import signal
import sys
from collections.abc import Callable

import pytest
from tests.torture.case import Ended, forked

from srlm.cli import _app, main

RUN = ["run", "--out", "it's here", "--rounds", "2"]


def told_to_stop(number: int, *, among: Callable[[], None] | None = None) -> Callable[[list[str]], int]:
    """A command line's work that is told to stop in its middle."""

    def call(_: list[str]) -> int:
        try:
            os.kill(os.getpid(), number)
        finally:
            if among is not None:
                among()
        return 0

    return call


def ended(call: Callable[[list[str]], int], arguments: list[str]) -> Ended:
    def work() -> None:
        _app.call = call
        main.main(arguments)

    return forked(work)


def test_a_run_says_how_to_go_on_with_it() -> None:
    for number, name, code in ((signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)):
        one = ended(told_to_stop(number), RUN)
        assert one.code == code
        said = f"stopped by {name}; what was finished is kept; go on with: srlm run --out 'it'\"'\"'s here' --rounds 2"
        assert one.err == f"srlm: {said} --resume\n"
    again = ended(told_to_stop(signal.SIGINT), [*RUN, "--resume"])
    assert again.err.count("--resume") == 1


def test_other_commands_are_given_again() -> None:
    one = ended(told_to_stop(signal.SIGTERM), ["diagnose"])
    assert (one.code, one.out) == (143, "")
    assert one.err.endswith("give the same command again\n")


def test_what_a_library_makes_of_the_signal_is_no_traceback() -> None:
    def turns_it_into() -> None:
        raise RuntimeError("Failed to import something because of the following error")

    one = ended(told_to_stop(signal.SIGTERM, among=turns_it_into), RUN)
    assert one.code == 143
    assert one.err.count("\n") == 1
    assert "Failed" not in one.err


def test_told_twice_it_ends_at_once() -> None:
    def again() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")

    assert ended(told_to_stop(signal.SIGINT, among=again), RUN).code == 143


def test_what_swallows_the_signal_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_PATIENCE", 1)

    def swallows(_: list[str]) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            while True:
                signal.pause()
        return 0

    assert ended(swallows, RUN).code == 143


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _app.call = told_to_stop(signal.SIGINT)
        main.main(RUN)

    assert forked(work).code == 0


def test_nobody_reads_any_more() -> None:
    def prints(_: list[str]) -> int:
        print("x" * 100_000)
        return 0

    def closes() -> None:
        reads, writes = os.pipe()
        os.close(reads)
        os.dup2(writes, 1)

    def work() -> None:
        _app.call = prints
        main.main(["plan"])

    one = forked(work, inside=closes)
    assert (one.code, one.err) == (1, "")


def test_a_full_device_is_a_sentence() -> None:
    def prints(_: list[str]) -> int:
        print("x")
        return 0

    def work() -> None:
        _app.call = prints
        main.main(["plan"])

    one = forked(work, inside=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1))
    assert (one.code, one.err) == (1, "srlm: No space left on device: output; nothing already written is damaged\n")


def test_streams_that_are_closed_are_no_failure() -> None:
    def work() -> None:
        sys.stdout = sys.stderr = None  # pyright: ignore[reportAttributeAccessIssue]
        main.main(["--version"])

    assert forked(work).code == 0


def test_a_mistake_is_told_in_a_few_characters_that_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("a" * 100_000, "\x1b[31m\udc80", "\u2028 " * 10_000, "word " * 50_000):
        assert main.run(["plan", "--kappa0", value]) == 2
        told = capsys.readouterr().err
        assert len(told) < 3000
        assert told.count("\n") == 1
        assert told.rstrip("\n").isprintable()
