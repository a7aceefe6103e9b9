"""Pretrained models and their tokenizers, read once by a process, and texts as token numbers.

torch, transformers and peft are imported where a model is read or trained: they are the extra ``text``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dsl._typing import AnyArray, Record
from dsl.exceptions import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NEEDED = ("torch", "transformers", "peft")
"""Packages of the extra ``text``."""


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """A model as it was read, on the CPU and never changed, with its tokenizer."""

    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    body: PreTrainedModel = field(repr=False)
    digest: str
    """Hash of all weights."""

    @property
    def positions(self) -> int | None:
        """Tokens that the model can read, if that is limited."""
        limit = getattr(self.body.config, "max_position_embeddings", None)
        return None if limit is None else int(limit)

    @property
    def padding(self) -> int:
        """Token that fills short texts up. No number depends on it, as it is masked."""
        found = self.tokenizer.pad_token_id
        return 0 if found is None else int(found)

    def tokens(self, texts: Sequence[str], max_length: int) -> tuple[AnyArray, int]:
        """Token numbers of texts, (N,) objects, all tuples, and how many texts were cut to `max_length`."""
        if not len(texts):
            return np.empty(0, dtype=object), 0
        # one token more tells whether a text goes on
        long = self.tokenizer(list(texts), truncation=True, max_length=max_length + 1, return_attention_mask=False)
        cut = [len(row) > max_length for row in long["input_ids"]]
        read = self.tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
        out = np.empty(len(texts), dtype=object)
        # some tokenizers make nothing of an empty text
        out[:] = [tuple(row) or (self.padding,) for row in read["input_ids"]]
        return out, sum(cut)


def check_installed() -> None:
    """Raise MissingDependencyError unless the extra ``text`` is installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"fine-tuning needs the package {', '.join(repr(name) for name in missing)}, which is not installed: "
            'pip install "dsl[text]" (on Linux without a GPU install the smaller torch first: pip install torch --index-url '
            "https://download.pytorch.org/whl/cpu)"
        )


def chosen_device(device: str | None) -> str:
    """The device named, or a GPU if there is one.

    Raises
    ------
    ArgumentError
        torch has no such device.
    """
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    # torch raises AssertionError for CUDA where it was built without, NotImplementedError for others
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ArgumentError(f"device={device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and warnings that transformers and peft have for those who develop models."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_model(model: str, *, download: bool) -> Pretrained:
    """A pretrained model, read once by a process: the last two are kept.

    Parameters
    ----------
    model : str
        Folder with a model as transformers saves it, a file that ends in ``.gguf``, or a name on the Hugging Face hub.
    download : bool
        Whether a model that is not on this machine may be downloaded.

    Raises
    ------
    MissingDependencyError
        The extra ``text`` is not installed.
    ArgumentError
        There is no such model.
    """
    check_installed()
    return _read(model, download)


@lru_cache(maxsize=2)
def _read(model: str, download: bool) -> Pretrained:
    import torch
    from transformers import AutoModel, AutoTokenizer

    path = Path(model).expanduser()
    more: Record = {"local_files_only": not download}
    source = str(path) if path.exists() else model
    if path.suffix == ".gguf":
        if importlib.util.find_spec("gguf") is None:
            raise MissingDependencyError(f"reading {path.name} needs the package 'gguf': pip install gguf")
        source, more = str(path.parent), {**more, "gguf_file": path.name}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **more)
            # models are often stored in half precision, in which small steps are lost; a GGUF's numbers are unpacked already,
            # which the model's own method does not believe
            body = torch.nn.Module.float(AutoModel.from_pretrained(source, **more)).eval()
    # a file that is missing, damaged or of an unknown kind
    except (OSError, ValueError, KeyError) as error:
        remedy = (
            "" if download else "; download=True fetches a model that is not on this machine from the Hugging Face hub"
        )
        raise ArgumentError(
            f"model={model!r} is no folder with a model of transformers, and no name of one that is on this machine "
            f"({str(error).splitlines()[0][:200]}){remedy}"
        ) from error
    if getattr(body.config, "is_encoder_decoder", False):
        raise ArgumentError(
            f"model={model!r} has an encoder and a decoder; use a model with one of them, such as BERT's or Llama's kind"
        )
    return Pretrained(tokenizer, body, _digest(body.state_dict()))


def _digest(state: dict[str, Tensor]) -> str:
    out = hashlib.sha256()
    for name in sorted(state):
        out.update(f"{name} {tuple(state[name].shape)}".encode())
        out.update(state[name].contiguous().cpu().numpy().tobytes())
    return out.hexdigest()
