"""A look from the workers of a local Ray cluster: the same diagnosis, whoever was killed on the way."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import Cluster, DiagnosisSettings
from srlm.errors import InputError

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A local cluster of two workers, started once."""
    ray = pytest.importorskip("ray")
    import srlm

    tests = str(Path(__file__).resolve().parent)
    paths = os.pathsep.join([str(Path(srlm.__file__).resolve().parent.parent), tests])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=40,
        runtime_env={"env_vars": {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}},
    )
    yield ray
    ray.shutdown()


def told(record: Any, prefixes: bool = True) -> dict[str, Any]:
    """A diagnosis without its seconds and what says how it was made.

    Without `prefixes` also without what is left open beside the responses, and what follows from it alone: which of two
    prefixes is opened last hangs by a rounding.
    """
    document = {name: value for name, value in record.as_dict().items() if name not in ("seconds", "settings")}
    if not prefixes:
        document.pop("forecast")
        document["prompts"] = [{name: one[name] for name in one if name != "known"} for one in document["prompts"]]
    return document


@pytest.mark.parametrize("level", ["response", "answer"])
def test_two_workers_give_the_diagnosis_of_one_process_and_a_second_time_nothing_is_done(
    ray: Any, level: str, tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"max_new_tokens": 2, "samples": 8}
    options |= (
        {"spectra": False} if level == "response" else {"level": level, "answers": "words", "until_certain": True}
    )
    settings = DiagnosisSettings(**options)
    alone = diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu")
    where, steps = Cluster(ray="local", ray_workers=2), []

    class Counting:
        def stage(self, number: int, name: str, total: int) -> None: ...

        def advance(self, done: int, total: int) -> None:
            steps.append((done, total))

    def look() -> Any:
        return diagnose(
            str(tiny_model_folder), prompts_file, settings=settings, device="cpu", cluster=where, parts=tmp_path,
            observer=Counting(),  # pyright: ignore[reportArgumentType]
        )  # fmt: skip

    together = look()
    assert differences(told(together), told(alone)) == []
    assert steps[-1] == (6, 6)
    assert len(list(tmp_path.glob("part-*.parquet"))) > 1
    steps.clear()
    assert told(look()) == told(together)
    assert steps == []  # every part was there
    next(tmp_path.glob("part-*.parquet")).unlink()
    assert differences(told(look()), told(together)) == []
    assert steps[-1] == (6, 6)
    assert len(steps) <= 2


def test_what_a_killed_worker_had_to_do_is_done_by_others(
    ray: Any, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    rows = [{"prompt": f"w{n % 28} w{n // 28}", "answer": "w1"} for n in range(96)]
    settings = DiagnosisSettings(max_new_tokens=3, samples=4, spectra=False)
    alone = diagnose(str(tiny_model_folder), rows, settings=settings, device="cpu")
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            if list(tmp_path.glob("part-*.parquet")):  # both are at work
                found = [
                    one.pid
                    for one in psutil.Process().children(recursive=True)
                    if "MapWorker" in " ".join(one.cmdline())
                ]
                if found:
                    os.kill(found[0], signal.SIGKILL)
                    killed.append(found[0])
            time.sleep(0.01)

    monkeypatch.setattr("srlm.diagnosis.cluster._MOST", 8)
    killer = threading.Thread(target=kill)
    killer.start()
    where = Cluster(ray="local", ray_workers=2)
    together = diagnose(str(tiny_model_folder), rows, settings=settings, device="cpu", cluster=where, parts=tmp_path)
    killer.join()
    assert killed
    assert differences(told(together, prefixes=False), told(alone, prefixes=False)) == []


def test_what_a_worker_refuses_is_one_sentence(ray: Any, tiny_model_folder: Path) -> None:
    rows = [{"prompt": " ".join(["w1"] * 200)}]
    where = Cluster(ray="local", ray_workers=1)
    with pytest.raises(InputError, match="exceeds the context of 128"):
        diagnose(str(tiny_model_folder), rows, device="cpu", cluster=where)
    with pytest.raises(InputError, match="--ray needs a model that every worker can load by its name"):
        diagnose(object(), rows, cluster=where)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two documents differ by more than rounding, which depends on what a batch holds."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [text for key in one for text in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [
            text for at, pair in enumerate(zip(one, other, strict=True)) for text in differences(*pair, f"{where}.{at}")
        ]
    if isinstance(one, float) and isinstance(other, float) and one == pytest.approx(other, abs=1e-4, rel=1e-4):
        return []
    return [] if one == other else [f"{where}: {one} is not {other}"]
