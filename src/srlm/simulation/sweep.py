"""Grids of independent simulations, on this machine or on a cluster, with the same numbers either way.

Knows: joblib and its backends. Every cell of a grid gets a random stream that depends on the seed and the cell's place
only, and linear algebra runs on one thread inside a cell, so that the number of workers changes nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import product
from typing import Any

import numpy as np

from srlm.errors import InputError

BACKENDS = ("loky", "threading", "ray", "dask")
Cell = Mapping[str, Any]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """All combinations of the axes' values, the last axis running fastest."""
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in product(*axes.values())]


def sweep(
    function: Callable[[Cell, np.random.SeedSequence], Any],
    cells: Iterable[Cell],
    *,
    seed: int = 0,
    jobs: int = 1,
    backend: str = "loky",
) -> list[Any]:
    """`function(cell, stream)` for every cell, in order.

    Args:
        function: importable by name from every worker (a module-level function).
        seed: every cell's stream follows from it and the cell's place in the list.
        jobs: workers; -1 takes every core (or what the cluster has).
        backend: "loky" (processes here), "threading", or a cluster through "ray" or "dask".

    Raises:
        InputError: an unknown backend, or a cluster that is not there.
    """
    wanted = list(cells)
    if backend not in BACKENDS:
        raise InputError(f"backend is {backend!r}; use one of {', '.join(BACKENDS)}")
    if not isinstance(jobs, int) or jobs == 0:
        raise InputError(f"jobs is {jobs}; give a number of workers, or -1 for all cores")
    streams = np.random.SeedSequence(seed).spawn(len(wanted))
    tasks = list(zip(wanted, streams, strict=True))
    if jobs == 1 and backend == "loky":
        return [_one(function, cell, stream) for cell, stream in tasks]
    import joblib

    with _connected(backend, jobs), joblib.parallel_config(backend=backend, n_jobs=jobs):
        found: Any = joblib.Parallel()(joblib.delayed(_one)(function, cell, stream) for cell, stream in tasks)
        return list(found)


def _one(function: Callable[[Cell, np.random.SeedSequence], Any], cell: Cell, stream: np.random.SeedSequence) -> Any:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return function(cell, stream)


def _connected(backend: str, jobs: int) -> Any:
    """A context in which the backend is registered with joblib and connected to its cluster."""
    return _ray(jobs) if backend == "ray" else _dask() if backend == "dask" else nullcontext()


@contextmanager
def _ray(jobs: int) -> Iterator[None]:
    """Ray: the cluster named by RAY_ADDRESS, or a local one with `jobs` workers that ends with the sweep."""
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise InputError("the ray backend needs ray; run: pip install 'srlm[ray]'") from error

    ours = not ray.is_initialized()
    try:
        if ours:
            local: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": max(1, jobs)}
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=40, **local)
    except Exception as error:
        raise InputError(f"no ray cluster at {os.environ.get('RAY_ADDRESS', 'this machine')} ({error})") from error
    try:
        register_ray()
        yield
    finally:
        if ours:
            ray.shutdown()


def _dask() -> Any:
    """Dask: the scheduler named by DASK_SCHEDULER_ADDRESS."""
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if not address:
        raise InputError("the dask backend needs a scheduler; set DASK_SCHEDULER_ADDRESS to its address")
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("the dask backend needs distributed; run: pip install distributed") from error
    try:
        return Client(address, timeout=10)
    except (OSError, TimeoutError) as error:
        raise InputError(f"no dask scheduler answers at {address} ({error})") from error
