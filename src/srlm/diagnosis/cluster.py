"""A look from many machines: prompts are dealt out over a Ray cluster, and each worker holds the model once.

Knows: Ray Data, and that a look at some prompts does not depend on the others, so that parts can be kept, lost and
looked at again in any order. Certificates are sums over prompts: workers never speak to one another. Refuses to know:
what is seen (`look`), what is made of it.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from srlm.diagnosis.look import Look, look_at
from srlm.diagnosis.settings import Cluster, DiagnosisSettings
from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, load_model
from srlm.records.atomic import write_bytes
from srlm.records.progress import Observer
from srlm.records.reading import reading
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.tables import modes_from_table, modes_to_table, samples_from_table, samples_to_table
from srlm.tasks.prompts import Prompt

_MOST = 32  # prompts of a part: what a killed diagnosis loses at most, a worker at a time


def look_on_cluster(
    model: dict[str, Any],
    prompts: Sequence[Prompt],
    chosen: DiagnosisSettings,
    cluster: Cluster,
    folder: Path | None,
    observer: Observer,
) -> Look:
    """The look at every prompt, from the workers of a cluster.

    Args:
        model: what `load_model` takes, by name; every worker loads it.
        prompts: all of them.
        chosen: how to measure.
        cluster: which one, and how many workers.
        folder: keeps the parts that are there, so that a killed diagnosis goes on; None: none are kept.
        observer: is told how many prompts are done.

    Raises:
        InputError: no Ray, no cluster, or what a worker refuses.
    """
    chosen = replace(chosen, spectra=False)  # of the features of all prompts at once
    kept = _Parts(folder, model, prompts, chosen)
    left = [number for number in range(len(prompts)) if number not in kept.rollouts]
    observer.stage(0, "sample" if chosen.level == "answer" else "certify", len(prompts))
    if left:
        with _connected(cluster) as ray:
            workers = _workers(ray, cluster)
            size = max(1, min(_MOST, -(-len(left) // (2 * workers))))
            gpus = ray.cluster_resources().get("GPU", 0)
            share = {"num_gpus": 1} if gpus else {"num_cpus": max(1, int(ray.cluster_resources()["CPU"]) // workers)}
            told = {"model": model, "prompts": [_plain(one) for one in prompts], "chosen": chosen}
            parts = ray.data.from_items([{"number": number} for number in left]).map_batches(
                Worker,
                batch_size=size,
                compute=ray.data.ActorPoolStrategy(size=workers),
                fn_constructor_kwargs=told,
                **share,
            )
            try:
                for part in parts.iter_rows():
                    kept.add(part)
                    observer.advance(len(kept.rollouts), len(prompts))
            except ray.exceptions.RayError as error:
                last = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
                raise InputError(
                    f"the cluster gave up ({last}); what is finished is kept with --out, the same command goes on"
                ) from error
    return kept.look()


class Worker:
    """Looks at batches of prompts, given by their numbers, with a model that it loads once."""

    def __init__(self, model: dict[str, Any], prompts: Sequence[Prompt], chosen: DiagnosisSettings) -> None:
        self._model, self._prompts, self._chosen = model, prompts, chosen
        self._loaded: LoadedModel | None = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """One row: a part as `_Parts` reads it."""
        numbers = [int(one) for one in batch["number"]]
        asked = [self._prompts[number] for number in numbers]
        try:
            if self._loaded is None:
                self._loaded = load_model(**self._model)
            look = look_at(self._loaded, asked, numbers, self._chosen, len(self._prompts), Observer())
        except InputError as error:  # as a value: an exception would end the other workers' parts, too
            return {"about": [json.dumps({"refused": str(error)})], "samples": [b""], "modes": [b""]}
        about = {
            "numbers": numbers,
            "seconds": look.seconds,
            "facts": look.facts,
            "errors": [one.error for one in look.modes],
        }
        return {
            "about": [json.dumps(about)],
            "samples": [_packed(samples_to_table(asked, look.rollouts, 0.0))],
            "modes": [_packed(modes_to_table(asked, look.modes, 0.0)) if look.modes else b""],
        }


class _Parts:
    """Parts of one diagnosis: those that a folder holds, and those that come."""

    def __init__(
        self, folder: Path | None, model: dict[str, Any], prompts: Sequence[Prompt], chosen: DiagnosisSettings
    ) -> None:
        texts = [[one.content if isinstance(one.content, str) else list(one.content), one.answers] for one in prompts]
        same = json.dumps([model, texts, asdict(chosen)], default=str, sort_keys=True)
        self._folder, self._same = folder, hashlib.sha256(same.encode()).hexdigest()
        self.rollouts: dict[int, Rollout] = {}
        self._modes: dict[int, ModeBracket] = {}
        self._seconds: dict[str, float] = {}
        self._facts: dict[str, Any] = {}
        for path in _files(folder) if folder else []:
            with reading(path, "delete it, and its prompts are looked at again"):
                row = pq.read_table(path).to_pylist()[0]
                if row["same"] == self._same:  # parts of another diagnosis, or of other settings, are not for this one
                    self._take(row)

    def add(self, row: dict[str, Any]) -> None:
        """Take in a part that came, and keep it."""
        first = self._take(row)
        if self._folder is not None:
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist([row | {"same": self._same}]), sink)
            write_bytes(self._folder / f"part-{first:08d}.parquet", sink.getvalue().to_pybytes())

    def _take(self, row: dict[str, Any]) -> int:
        about = json.loads(row["about"])
        if "refused" in about:
            raise InputError(about["refused"])
        numbers: list[int] = about["numbers"]
        for number, one in zip(numbers, samples_from_table(_unpacked(row["samples"])), strict=True):
            self.rollouts[number] = replace(one, prompt=number)
        if row["modes"]:
            found = modes_from_table(_unpacked(row["modes"]))
            for number, one, error in zip(numbers, found, about["errors"], strict=True):
                self._modes[number] = replace(one, error=error)
        for stage, spent in about["seconds"].items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent
        if self._facts and self._facts != about["facts"]:
            raise InputError(
                f"workers hold different models ({self._facts} and {about['facts']}); give a folder that all of them "
                "see alike, or a hub name"
            )
        self._facts = about["facts"]
        return numbers[0]

    def look(self) -> Look:
        """All of it, in order; seconds are summed over workers."""
        rollouts = [one for _, one in sorted(self.rollouts.items())]
        modes = [one for _, one in sorted(self._modes.items())]
        return Look(rollouts, modes, None, self._seconds, self._facts)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _plain(prompt: Prompt) -> Prompt:
    """What a worker needs of a prompt; judges may be closures, and grading is done where all is gathered."""
    return replace(prompt, columns={}, judge=None)


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _unpacked(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_all()


def _workers(ray: Any, cluster: Cluster) -> int:
    """As many as were asked for, else one a GPU, else one a machine."""
    alive = sum(bool(node["Alive"]) for node in ray.nodes())
    return cluster.ray_workers or int(ray.cluster_resources().get("GPU", 0)) or max(1, alive)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise InputError("--ray needs Ray Data; run: pip install 'srlm[ray]'") from error
    ours, address = not ray.is_initialized(), cluster.ray
    local: dict[str, Any] = {} if address == "local" else {"address": address}
    try:
        if ours:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=40, **local)
    except Exception as error:  # Ray's errors of connecting share no base class
        raise InputError(
            f"no Ray cluster answers at {address} ({str(error).strip().splitlines()[0]}); start one with: ray start "
            "--head, or give --ray local"
        ) from error
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield ray
    finally:
        if ours:
            ray.shutdown()
