"""A server that speaks as vLLM 0.32 does (its replies were taken down from one) and draws from a real tiny model, with
adapters loaded by peft, and with faults on demand.
"""

import copy
import json
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer


class StubVllm:
    """One server; its attributes are faults and what was asked of it."""

    def __init__(self, model: Path | str, port: int = 0) -> None:
        self.folder = str(model)
        self.model = AutoModelForCausalLM.from_pretrained(model).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.max_model_len, self.runtime, self.max_rank = 128, True, 16
        self.temperature, self.one_seed, self.null, self.engines = 1.0, False, (), 1
        self.dies_after: int | None = None  # completions, after which every connection is cut
        self.answer: Any = None  # replaces completions
        self.asked: list[dict[str, Any]] = []
        self.loaded: list[str] = []
        self.unloaded: list[str] = []
        self.adapters: dict[str, Any] = {}
        self.lock, self.port = threading.Lock(), port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def drawn(self) -> Counter[tuple[int, ...]]:
        """How often each prompt was drawn at, by sampling."""
        return Counter(
            tuple(one["prompt"]) for one in self.asked if one["temperature"] and "prompt_logprobs" not in one
        )

    @contextmanager
    def running(self) -> Iterator["StubVllm"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(*stub.get(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = stub.post(self.path, body)
                if reply is None:
                    self.close_connection = True
                else:
                    self.reply(*reply)

            def reply(self, status: int, content: Any) -> None:
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = self.failed
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def failed(self, *_: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients that hang up are part of the tests
            traceback.print_exc()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.adapters.clear()  # a server that comes back has forgotten them

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/metrics":
            return 200, "\n".join(f'vllm:num_requests_running{{engine="{n}"}} 0' for n in range(self.engines))
        if path != "/v1/models":
            return 404, {"detail": "Not Found"}
        base = {"id": "base", "root": self.folder, "parent": None, "max_model_len": self.max_model_len}
        return 200, {"data": [base, *({"id": name, "parent": "base"} for name in self.adapters)]}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
        with self.lock:
            if self.dies_after is not None and len(self.asked) >= self.dies_after:
                return None
            if path == "/tokenize":
                return 200, {"tokens": self.tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]}
            if path == "/v1/completions":
                return self.complete(body)
            if not self.runtime or path not in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
                return 404, {"detail": "Not Found"}
            name = body["lora_name"]
            if path == "/v1/unload_lora_adapter":
                if self.adapters.pop(name, None) is None:
                    return error(404, f"The lora adapter '{name}' cannot be found.")
                self.unloaded.append(name)
                return 200, f"Success: LoRA adapter '{name}' removed successfully."
            return self.load(name, Path(body["lora_path"]))

    def load(self, name: str, folder: Path) -> tuple[int, Any]:
        if name in self.adapters:
            return error(400, f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in "
                              "place, set 'load_inplace' to True.")  # fmt: skip
        if not (folder / "adapter_config.json").is_file():
            return error(404, f"Loading lora {name} failed: No adapter found for {folder}")
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self.max_rank:
            return error(500, f"Call to add_lora method failed: LoRA rank {rank} is greater than max_lora_rank "
                              f"{self.max_rank}.")  # fmt: skip
        with warnings.catch_warnings():
            # peft 0.21 asks for a property that transformers 5.23 deprecates.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            self.adapters[name] = PeftModel.from_pretrained(copy.deepcopy(self.model), str(folder)).eval()
        self.loaded.append(name)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if self.answer is not None:
            return self.answer(body)
        model = self.model if body["model"] == "base" else self.adapters.get(body["model"])
        if model is None:
            return error(404, f"The model `{body['model']}` does not exist.")
        if "prompt_logprobs" in body:
            return 200, {"choices": [{"index": 0, "prompt_logprobs": score(model, body["prompt"])}]}
        return 200, {"choices": [self.choice(model, body, index) for index in range(body["n"])]}

    def choice(self, model: Any, body: dict[str, Any], index: int) -> dict[str, Any]:
        seed = 0 if self.one_seed else body["seed"] + index
        generator = torch.Generator().manual_seed(seed)
        tokens, said = [], []
        while len(tokens) < body["max_tokens"] and not (tokens and tokens[-1] in body["stop_token_ids"]):
            logits = next_token(model, (*body["prompt"], *tokens))
            if body["temperature"] == 0:
                logprobs, token = logits.log_softmax(-1), int(logits.argmax())
            else:
                logprobs = (logits / self.temperature).log_softmax(-1)
                token = int(torch.multinomial(logprobs.exp(), 1, generator=generator))
            tokens.append(token)
            said.append(None if index in self.null else float(logprobs[token]))
        ended = tokens[-1] in body["stop_token_ids"]
        return {
            "index": index, "token_ids": tokens, "prompt_token_ids": body["prompt"], "text": "",
            "finish_reason": "stop" if ended else "length", "logprobs": {"token_logprobs": said},
        }  # fmt: skip


@lru_cache(4096)
@torch.no_grad()
def next_token(model: Any, tokens: tuple[int, ...]) -> torch.Tensor:
    return model(input_ids=torch.tensor([tokens])).logits[0, -1]


def error(status: int, message: str) -> tuple[int, Any]:
    return status, {"error": {"message": message, "type": "error", "param": None, "code": status}}


@torch.no_grad()
def score(model: Any, tokens: list[int]) -> list[Any]:
    logprobs = model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
    rest = [{str(token): {"logprob": float(logprobs[at, token])}} for at, token in enumerate(tokens[1:])]
    return [None, *rest]
