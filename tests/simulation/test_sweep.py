"""Sweeps: the same numbers whatever runs them, and clear words where a cluster is missing."""

import builtins
import sys
from typing import Any

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.simulation.experiments import sample_size
from srlm.simulation.sweep import grid, sweep

CELL = {"seed": 3, "prompts": 30, "responses": 6, "dimensions": 4, "norm": 5.0}
CELL |= {"beta": 1.0, "rounds": 2, "seeds": 4, "noise": 1.0}
CELLS = [{**CELL, "pairs": n} for n in (20, 40, 80)]


def table(**where: Any) -> np.ndarray:
    return np.stack(sweep(sample_size._cell, CELLS, seed=5, **where))


def test_grids_run_the_last_axis_fastest() -> None:
    assert grid(a=[1, 2], b="xy") == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_one_process_and_two_give_identical_tables() -> None:
    assert (table() == table(jobs=2)).all()
    assert (table() == table(jobs=2, backend="threading")).all()
    assert not (table() == np.stack(sweep(sample_size._cell, CELLS, seed=6))).all()


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")  # ray's own
def test_a_local_ray_cluster_gives_the_identical_table() -> None:
    pytest.importorskip("ray")
    assert (table() == table(jobs=2, backend="ray")).all()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"backend": "abacus"}, "backend is 'abacus'; use one of loky"),
        ({"jobs": 0}, "jobs is 0"),
        ({"backend": "dask"}, "set DASK_SCHEDULER_ADDRESS"),
    ],
)
def test_misuse_is_one_clear_sentence(where: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    with pytest.raises(InputError, match=message):
        table(**where)


def test_a_missing_cluster_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] in ("ray", "distributed"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.split(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'srlm\[ray\]'"):
        table(backend="ray")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="pip install distributed"):
        table(backend="dask")
