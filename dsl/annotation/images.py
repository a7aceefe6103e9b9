"""Images as a chat takes them: addresses as they are, files as data in the message."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dsl.data.tables import first_rows
from dsl.exceptions import DataError, FileError

ADDRESS = re.compile(r"(https?://|data:image/)", re.IGNORECASE)
KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
"""First bytes of a file of each kind. WebP has its name at the ninth byte."""
LARGEST = 20_000_000
"""Bytes of an image: more than servers take."""


def image_url(image: str) -> str:
    """An image as a message holds it.

    Parameters
    ----------
    image : str
        An address (``https://``, ``data:image/``), which stays as it is, or a file's path.

    Returns
    -------
    str
        The address, or a ``data:`` URL with the file's bytes.

    Raises
    ------
    FileError
        There is no such file, or it cannot be read.
    DataError
        It is no PNG, JPEG, GIF or WebP image, or larger than 20 MB.

    Examples
    --------
    >>> image_url("https://example.org/a.png")
    'https://example.org/a.png'
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "a.gif"
    ...     _ = path.write_bytes(b"GIF89a...")
    ...     image_url(str(path))
    'data:image/gif;base64,R0lGODlhLi4u'
    """
    if ADDRESS.match(image):
        return image
    try:
        size = Path(image).stat().st_size
        content = b"" if size > LARGEST else Path(image).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(f"the image '{image}' cannot be read: {why}") from error
    if size > LARGEST:
        raise DataError(f"the image '{image}' has {size / 1e6:.0f} MB; servers take 20 at most: make it smaller")
    kind = _kind(content)
    if kind is None:
        raise DataError(f"'{image}' is no PNG, JPEG, GIF or WebP image; convert it")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def check_images(images: Sequence[object], labels: pd.Index, column: str) -> None:
    """Raise an error, before anything is asked, if files of a column are not there. Missing values are passed over.

    Parameters
    ----------
    images : sequence, (N,)
        Paths and addresses.
    labels : Index, (N,)
        The rows' labels.
    column : str

    Raises
    ------
    DataError
        Values are no text, or files are not there. The message counts them.
    """
    there = [each for each in range(len(images)) if not pd.isna(images[each])]  # type: ignore[call-overload]
    odd = np.zeros(len(images), dtype=bool)
    odd[[i for i in there if not isinstance(images[i], str)]] = True
    if odd.any():
        raise DataError(
            f"'{column}' must hold paths or addresses of images; it holds no text in {first_rows(odd, labels)}"
        )
    odd[[i for i in there if not ADDRESS.match(str(images[i])) and not Path(str(images[i])).is_file()]] = True
    if odd.any():
        first = images[int(np.flatnonzero(odd)[0])]
        raise DataError(
            f"'{column}' names files that are not there in {first_rows(odd, labels)}, such as '{first}'; paths are relative to "
            f"the folder that Python runs in, '{Path.cwd()}'"
        )


def _kind(content: bytes) -> str | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in KINDS if content.startswith(start)), None)
