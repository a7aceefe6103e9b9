"""The texts behind the table of sentiments: read from the archive that their authors publish, not shipped with this package."""

import hashlib
import io
import tarfile
from pathlib import Path

from dsl.data.files import PathLike, read_from
from dsl.exceptions import FileError

ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
COMMAND = "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
MEMBERS = {
    "tweets": (
        "hutto_ICWSM_2014/tweets_GroundTruth.txt",
        "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
    ),
    "nyt": (
        "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
        "7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e",
    ),
}
"""File of each source, and the SHA-256 of what the table was made from."""
LARGEST = 20_000_000
"""Bytes of a member: ten times what the largest one has."""


def read_texts(archive: PathLike) -> dict[str, str]:
    """The texts by ``snippet_id``, as they stand in the archive (HTML entities of tweets included).

    Parameters
    ----------
    archive : str or Path
        The source distribution of vaderSentiment 3.3.2, as pip downloads it.

    Raises
    ------
    FileError
        There is no such file, it is another archive, or its texts are not those that the table was made from. The message
        has the command that gets the right one.
    """
    out: dict[str, str] = {}
    try:
        with read_from(archive, "the source distribution of vaderSentiment 3.3.2") as path:
            with tarfile.open(path) as outer:
                packed = _member(outer, INNER, path)
            with tarfile.open(fileobj=io.BytesIO(packed)) as inner:
                for source, (member, expected) in MEMBERS.items():
                    content = _member(inner, member, path)
                    if hashlib.sha256(content).hexdigest() != expected:
                        raise FileError(
                            f"'{member}' in '{path}' holds other texts than those that the table was made from"
                        )
                    out.update(_by_id(source, content))
    except FileError as error:
        raise FileError(f"{error}; this command puts {ARCHIVE} into the working folder: {COMMAND}") from error
    return out


def _member(archive: tarfile.TarFile, name: str, path: Path) -> bytes:
    try:
        member = archive.getmember(name)
    except KeyError:
        raise FileError(f"'{path}' has no member '{name}'") from None
    if not member.isfile() or member.size > LARGEST:
        raise FileError(f"'{name}' in '{path}' is no file of the size expected")
    reader = archive.extractfile(member)
    assert reader is not None  # as isfile() says
    return reader.read()


def _by_id(source: str, content: bytes) -> dict[str, str]:
    # lines of bytes: a text may hold characters at which Python ends a line of text
    lines = [line.decode("utf-8").split("\t", 2) for line in content.splitlines() if line.strip()]
    return {f"{source}_{number}": text for number, _, text in lines}
