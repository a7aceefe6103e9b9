"""How labels were made by a model: what a paper must say about them, in a file beside them.

A trail holds no text of the user's but the codebook's examples, and no key.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

from dsl._typing import JSON, Record
from dsl.data.files import PathLike, as_path, read_from, write_text
from dsl.exceptions import ArgumentError, TrailError

FORMAT = 1
MADE_BY = "dsl.annotate"
COUNTS = ("texts", "distinct", "answers", "prompt_tokens", "completion_tokens")
TEXTS = ("name", "model", "server", "first", "last", "confidence", "package")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """How one set of label columns came about.

    Parameters
    ----------
    name : str
        What the names of the columns begin with.
    model : str
        As it was asked for.
    server : str
        Address, without credentials. Empty for a function that was called.
    versions : mapping
        Number of answers of each model that the server reported.
    first, last : str
        Times of the first and the last answer (UTC, ISO 8601). Empty without answers.
    codebook : mapping
        Question, labels with definitions, examples.
    prompts : tuple
        Each stage as it was sent, ``{text}`` in the place of the text: turns of a chat, or a text to complete.
    parameters : mapping
        What was sent besides the prompt.
    confidence : str
        Where the probabilities come from: "logprobs", "verbal", "both", "repeat".
    texts : int
        Rows.
    distinct : int
        Different texts, each of which was asked about once.
    missing : mapping
        Number of rows without a label, for each reason.
    unreadable : int or None
        Rows whose confidence in words could not be read. None where it was not asked for.
    mass : float or None
        Median over rows of the probability on all labels together, before they were scaled to one. None without log
        probabilities.
    censored : float or None
        Share of rows with a label outside the server's list of tokens. None without log probabilities.
    answers : int
        Answers of the model, those included that were stored by an earlier call.
    prompt_tokens, completion_tokens : int
        Of these answers, as the server counted them.
    cost : float or None
        Dollars for these tokens. None without a price.
    package : str
        Version of this package.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> trail = Trail(name="llm", model="gpt-4o-mini", versions={"gpt-4o-mini-2024-07-18": 2}, texts=2, distinct=2, answers=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels.trail.json"
    ...     trail.save(path)
    ...     Trail.load(path) == trail
    True
    """

    name: str
    model: str
    server: str = ""
    versions: Mapping[str, int]
    first: str = ""
    last: str = ""
    codebook: Mapping[str, JSON] | None = None
    prompts: tuple[JSON, ...] = ()
    parameters: Mapping[str, JSON] | None = None
    confidence: str = ""
    texts: int
    distinct: int
    missing: Mapping[str, int] | None = None
    unreadable: int | None = None
    mass: float | None = None
    censored: float | None = None
    answers: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    package: str = ""

    def to_json(self) -> Record:
        """The trail as JSON holds it."""
        return {**asdict(self), "prompts": list(self.prompts)}

    @classmethod
    def from_json(cls, record: object, where: str = "the record") -> "Trail":
        """Read a trail again.

        Raises
        ------
        TrailError
            The record is no trail.
        """
        if not isinstance(record, Mapping):
            raise TrailError(f"{where} is no trail of labels: found {type(record).__name__} where an object belongs")
        known = {each.name for each in fields(cls)}
        lacking = [name for name in ("name", "model", "versions", "texts", "distinct", "answers") if name not in record]
        unknown = [str(name) for name in record if name not in known]
        if lacking or unknown:
            what = f"it has no '{lacking[0]}'" if lacking else f"it has the unknown entry '{unknown[0]}'"
            raise TrailError(
                f"{where} is no trail that this version can read: {what}. Pass what dsl.annotate made, or repeat its call, "
                "which asks for nothing that is in the cache"
            )
        for name, kind in (*((name, int) for name in COUNTS), *((name, str) for name in TEXTS)):
            if not isinstance(record.get(name, kind()), kind):
                raise TrailError(f"{where} is no trail of labels: '{name}' is {record[name]!r}")
        return cls(**{**record, "prompts": tuple(record.get("prompts") or ())})

    def save(self, path: PathLike) -> None:
        """Write the trail to a JSON file, in one step. It replaces what was there.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        FileError
            The file cannot be written.
        """
        save_trails(path, [self])

    @classmethod
    def load(cls, path: PathLike, name: str | None = None) -> "Trail":
        """Read a trail from a file.

        Parameters
        ----------
        path : str or Path
        name : str, optional
            Which one, in a file with several.

        Raises
        ------
        TrailError
            The file is no trail, or has several and none was named, or has no such one.
        FileError
            The file is not there.
        """
        found = load_trails(path)
        chosen = [each for each in found if name is None or each.name == name]
        if len(chosen) != 1:
            names = ", ".join(f"'{each.name}'" for each in found)
            raise TrailError(f"'{path}' has {len(found)} trails: {names}; name one, Trail.load(path, name=...)")
        return chosen[0]


TrailLike: TypeAlias = Trail | PathLike | Mapping[str, JSON] | Sequence[Trail]
"""A trail, several, the file of some, or what `dsl.annotate` leaves in the table's ``attrs``."""


def save_trails(path: PathLike, trails: Iterable[Trail]) -> None:
    """Write several trails to one file, in one step."""
    write_text(path, json.dumps(record_of(trails), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def record_of(trails: Iterable[Trail]) -> Record:
    """Several trails as JSON holds them."""
    return {"format": FORMAT, "made_by": MADE_BY, "trails": [each.to_json() for each in trails]}


def load_trails(path: PathLike) -> tuple[Trail, ...]:
    """All trails in a file."""
    with read_from(path, "a trail of labels", TrailError) as file:
        record = json.loads(file.read_text(encoding="utf-8"))
    return _trails(record, f"'{as_path(path)}'")


def trails_of(given: TrailLike) -> tuple[Trail, ...]:
    """Trails from whatever a caller has of them.

    Raises
    ------
    ArgumentError
        It is no trail.
    TrailError
        The file, or the record, is none.
    """
    if isinstance(given, Trail):
        return (given,)
    if isinstance(given, Mapping):
        return _trails(given, "trail")
    if isinstance(given, list | tuple) and given and all(isinstance(each, Trail) for each in given):
        return tuple(given)
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return load_trails(given)
    raise ArgumentError(
        "trail must be what dsl.annotate wrote: the path of its file, such as 'labels.trail.json', a Trail, or "
        f"labels.attrs['annotation']; found {given!r:.80}"
    )


def _trails(record: object, where: str) -> tuple[Trail, ...]:
    if (
        not isinstance(record, Mapping)
        or record.get("made_by") != MADE_BY
        or not isinstance(record.get("trails"), list)
    ):
        raise TrailError(f"{where} is no trail of labels: it is not what dsl.annotate writes")
    if record.get("format") != FORMAT:
        raise TrailError(
            f"{where} has format {record.get('format')!r}, and this version reads {FORMAT}; update the package, or repeat the "
            "call of dsl.annotate"
        )
    return tuple(Trail.from_json(each, where) for each in record["trails"])


def public_address(url: str | None) -> str:
    """An address without user, password, query and fragment, where keys may be.

    Examples
    --------
    >>> public_address("https://me:secret@host.example:8000/v1?api_key=secret#secret")
    'https://host.example:8000/v1'
    >>> public_address(None)
    ''
    """
    if not url:
        return ""
    parts = urlsplit(url if "//" in url else f"//{url}")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], re.sub(r"[;?#].*", "", parts.path), "", ""))
