"""The last representations of texts, kept for the next call: a comparison or an evaluation asks for the same one often."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from dsl._typing import AnyArray

KEPT = 2
"""Representations that are kept."""
LARGEST = 256 * 2**20
"""Bytes from which one is not: a file of embeddings serves there."""
R = TypeVar("R")
_LAST: OrderedDict[str, tuple[object, object]] = OrderedDict()


def remembered(maker: str, anchor: object, texts: AnyArray, make: Callable[[], R], size: Callable[[R], int]) -> R:
    """What `make` makes, or what it made of the same texts a short while ago.

    Parameters
    ----------
    maker : str
        Who makes it, with all that it depends on besides the texts.
    anchor : object
        Kept with it, so that an ``id()`` within `maker` stands for the same object as long as it is kept.
    texts : (N,) array of str
    make : callable
    size : callable
        Its size in bytes.

    Examples
    --------
    >>> import numpy as np
    >>> made = []
    >>> texts = np.array(["a", "b"], dtype=object)
    >>> for _ in range(2):
    ...     value = remembered("doctest", None, texts, lambda: made.append(1) or len(made), lambda value: 8)
    >>> value, len(made)
    (1, 1)
    """
    key = f"{maker}: {_fingerprint(texts)}"
    found = _LAST.get(key)
    if found is not None:
        _LAST.move_to_end(key)
        return found[1]  # type: ignore[return-value]
    value = make()
    if size(value) <= LARGEST:
        _LAST[key] = anchor, value
        while len(_LAST) > KEPT:
            _LAST.popitem(last=False)
    return value


def forget() -> None:
    """Drop what is kept."""
    _LAST.clear()


def _fingerprint(texts: AnyArray) -> str:
    whole = sha256()
    for text in texts:
        piece = text.encode("utf-8", "surrogatepass")
        # lengths keep ["ab", "c"] and ["a", "bc"] apart
        whole.update(len(piece).to_bytes(8, "little") + piece)
    return whole.hexdigest()
