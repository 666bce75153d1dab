"""Runs llama.cpp's own server on a tiny model that is made here; run by a Python that has both.

    python llama_server.py FOLDER PORT

Needs `xllamacpp`, which ships llama.cpp's server, and `gguf`. The model has one layer and a
hundred tokens, one a character. It says characters at random, and ends texts about as soon as
people do, so that answers are nonsense of a bounded length. Each request begins at the same seed:
no answer is empty, or without end, in one run and not in the next. What forms the answers is the
server: its grammars, templates, limits and errors are those of any model.
"""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path

import gguf  # type: ignore
import numpy as np  # type: ignore
import xllamacpp  # type: ignore

WIDTH, HEADS, CONTEXT = 64, 2, 8_192
SPECIAL = ["<unk>", "<s>", "</s>"]
CHARACTERS = [chr(code) for code in range(32, 127)]
SHARES = {"</s>": 1 / 300, " ": 0.15, '"': 0.03, "}": 0.03, "]": 0.03, "{": 1e-4, "[": 1e-4}
"""Shares of characters in a text; letters share the rest."""
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "assistant: "
)


def make_model(path: Path) -> None:
    """Write the model's file."""
    tokens = SPECIAL + [f"<0x{code:02X}>" for code in range(256)] + ["\u2581", *CHARACTERS[1:]]
    kinds = [
        {"<unk>": gguf.TokenType.UNKNOWN, "<s>": gguf.TokenType.CONTROL,
         "</s>": gguf.TokenType.CONTROL}.get(
            token, gguf.TokenType.BYTE if token.startswith("<0x") else gguf.TokenType.NORMAL
        )
        for token in tokens
    ]  # fmt: skip
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(7)

    def small(*shape: int) -> np.ndarray:
        return (0.01 * random.standard_normal(shape)).astype(np.float32)

    # Every token is nearly the same vector of ones, so the last layer's rows are the logits.
    writer.add_tensor("token_embd.weight", 1 + small(len(tokens), WIDTH))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", small(WIDTH, WIDTH))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
    letters = (1 - sum(SHARES.values())) / 52
    logits = []
    for token in tokens:
        token = token.replace("\u2581", " ")
        share = SHARES.get(token, letters if token.isalpha() and len(token) == 1 else 1e-3)
        logits.append(math.log(1e-12 if token.startswith("<0x") or token in SPECIAL[:2] else share))
    rows = np.repeat(np.array(logits, dtype=np.float32)[:, None] / WIDTH, WIDTH, axis=1)
    writer.add_tensor("output.weight", rows + 0.1 * small(*rows.shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(folder: str, port: str) -> None:
    """Serve until the process is ended."""
    model = Path(folder) / "tiny.gguf"
    if not model.exists():
        make_model(model)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.port = int(port)
    params.n_ctx = 4 * CONTEXT
    params.n_parallel = 4
    params.cpuparams.n_threads = 1
    params.sampling.top_k = 0
    params.sampling.top_p = 1.0
    params.sampling.min_p = 0.0
    params.sampling.seed = 7
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
