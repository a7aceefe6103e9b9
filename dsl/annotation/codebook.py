"""What is asked about a text and which labels may be given, in one object for models and coders."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from dsl.annotation.exchange import Code
from dsl.data.files import PathLike, as_path, read_from, write_text
from dsl.exceptions import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    import yaml

AROUND = " \t\r\n\f\v\"'`*\u00ab\u00bb\u2018\u2019\u201c\u201d"
"""Blanks, quotation marks and marks for bold type: not part of a label where they stand around it."""
KEYS = ("question", "labels", "examples")
SEPARATORS = re.compile("[\\x85\\u2028\\u2029]")
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)$")


def plain(text: str) -> str:
    """A label as it is compared: without case, and without blanks and quotation marks around it.

    Examples
    --------
    >>> plain(' **Hate  speech** ')
    'hate speech'
    """
    return " ".join(text.strip(AROUND).split()).casefold()


@dataclass(frozen=True, slots=True, init=False)
class Codebook:
    """A question about a text, the labels that answer it, what each means, and examples.

    The same object asks models (`dsl.annotate`) and checks what coders typed (`codebook=` of `LabelDesign.to_coder` and
    `from_coder`, and of `dsl.AdaptiveDesign`).

    Parameters
    ----------
    question : str
        What is asked about each text.
    labels : mapping or list
        Label to definition, or the labels alone. At least two; text or whole numbers, of which a model says the digits. They must
        differ by more than case.
    examples : list of (str, label)
        Texts with their right labels, shown to the model. They count as training data: keep these texts out of the rows
        that are drawn for gold labels.

    Raises
    ------
    ArgumentError
        The question is empty, labels are fewer than two, of another kind or alike, or an example's label is not among them.

    Examples
    --------
    >>> from dsl.annotation import Codebook
    >>> book = Codebook(
    ...     question="Is the tweet positive?",
    ...     labels={"yes": "It expresses joy, praise or hope.", "no": "Anything else."},
    ...     examples=[("I love this song", "yes"), ("The library opens at nine", "no")],
    ... )
    >>> book.codes
    ('yes', 'no')
    >>> book.code_of(" Yes. "), book.code_of("yes and no")
    ('yes', None)
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     book.to_yaml(pathlib.Path(folder) / "book.yaml")
    ...     Codebook.from_yaml(pathlib.Path(folder) / "book.yaml") == book
    True
    """

    question: str
    labels: Mapping[Code, str]
    examples: tuple[tuple[str, Code], ...]

    def __init__(
        self,
        question: str,
        labels: Mapping[str, str] | Mapping[int, str] | Mapping[Code, str] | Iterable[Code],
        examples: Iterable[tuple[str, Code]] = (),
    ) -> None:
        object.__setattr__(self, "question", _text(question, "question"))
        object.__setattr__(self, "labels", _labels(labels))
        object.__setattr__(self, "examples", _examples(examples, self.labels))

    @property
    def codes(self) -> tuple[Code, ...]:
        """The labels, in their order."""
        return tuple(self.labels)

    @property
    def words(self) -> tuple[str, ...]:
        """The labels as a model says them."""
        return tuple(map(str, self.labels))

    def code_of(self, said: str) -> Code | None:
        """The label that a text is, up to case, quotation marks and a full stop. None for anything else.

        Parameters
        ----------
        said : str
        """
        found = {plain(str(code)): code for code in self.labels}
        key = plain(said)
        return found.get(key, found.get(plain(key.removesuffix("."))))

    def to_yaml(self, path: PathLike) -> None:
        """Write the codebook as YAML, in one step.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        MissingDependencyError
            pyyaml is not installed.
        FileError
            The file cannot be written.
        """
        write_text(path, yaml_text(self))

    @classmethod
    def from_yaml(cls, path: PathLike) -> "Codebook":
        """Read a codebook that `to_yaml` or a person wrote.

        Labels such as yes and no stay text, where other readers of YAML make them true and false; whole numbers are numbers.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        MissingDependencyError
            pyyaml is not installed.
        FileError
            The file is not there, or no YAML.
        ArgumentError
            It is no codebook.
        """
        _yaml()
        with read_from(path, "a codebook in YAML") as file:
            return codebook_in(file.read_text(encoding="utf-8-sig"), where=f"'{as_path(path)}'")


def yaml_text(book: Codebook) -> str:
    """A codebook as YAML."""
    record = {
        "question": book.question,
        "labels": dict(book.labels),
        "examples": [{"text": text, "label": code} for text, code in book.examples],
    }
    # separators of lines that YAML's writer would turn into blanks are escaped, and all other signs with them
    readable = not SEPARATORS.search(
        "".join([book.question, *book.words, *book.labels.values(), *(text for text, _ in book.examples)])
    )
    return str(_yaml().safe_dump(record, sort_keys=False, allow_unicode=readable, width=100))


def codebook_in(text: str, *, where: str) -> Codebook:
    """The codebook that a text in YAML holds; errors say `where` it stands."""
    given = _yaml().load(text, Loader=_loader())
    if not isinstance(given, dict):
        raise ArgumentError(f"{where} is no codebook: it needs the keys {', '.join(KEYS)}; found {given!r:.60}")
    unknown = [key for key in given if key not in KEYS]
    if unknown or not {"question", "labels"} <= set(given):
        found = ", ".join(map(str, given))
        raise ArgumentError(f"{where} must have the keys question and labels, and may have examples; found {found}")
    examples = given.get("examples") or []
    if not isinstance(examples, list) or not all(
        isinstance(each, dict) and set(each) == {"text", "label"} for each in examples
    ):
        raise ArgumentError(f"{where}: examples must be a list whose entries have the keys text and label")
    return Codebook(given["question"], given["labels"], [(each["text"], each["label"]) for each in examples])


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(f"the codebook's {what} must be a text that is not empty; found {value!r}")
    # half of a sign, which no file and no server takes
    return value.encode("utf-8", "replace").decode()


def _labels(given: object) -> dict[Code, str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"labels must be a dict of label to definition, or a list of labels; found {given!r}")
    pairs = given.items() if isinstance(given, Mapping) else [(code, "") for code in given]
    labels: dict[Code, str] = {}
    alike: dict[str, Code] = {}
    for found, definition in pairs:
        code = _code(found)
        key = plain(str(code))
        if key in alike:
            raise ArgumentError(
                f"the labels {alike[key]!r} and {code!r} differ by case or quotation marks at most; give them different names"
            )
        if not isinstance(definition, str | None):
            raise ArgumentError(f"the definition of {code!r} must be a text; found {definition!r}")
        alike[key] = code
        labels[code] = " ".join((definition or "").split())
    if len(labels) < 2:
        raise ArgumentError(f"a codebook needs at least two labels; found {len(labels)}: {list(labels)}")
    return labels


def _code(found: object) -> Code:
    code = found.item() if isinstance(found, np.generic) else found
    if isinstance(code, bool) or not isinstance(code, str | int):
        raise ArgumentError(f"labels must be text or whole numbers; found {code!r}")
    if not plain(str(code)) or code != (code.strip() if isinstance(code, str) else code) or "\n" in str(code):
        raise ArgumentError(
            f"the label {code!r} is empty, has blanks around it or a line break; a model could not give it back"
        )
    return code


def _examples(given: object, labels: Mapping[Code, str]) -> tuple[tuple[str, Code], ...]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ArgumentError(f"examples must be a list of (text, label); found {given!r}")
    examples: dict[str, Code] = {}
    for each in given:
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise ArgumentError(f"examples must be a list of (text, label); found {each!r}")
        text, code = _text(each[0], "example"), _code(each[1])
        # 1 == True == "1" would be another label in the table
        if not any(code == label and type(code) is type(label) for label in labels):
            raise ArgumentError(
                f"the example {text!r:.50} has the label {code!r}, which is not in the codebook: {', '.join(map(repr, labels))}"
            )
        if text in examples:
            raise ArgumentError(f"the example {text!r:.50} is there twice; keep one")
        examples[text] = code
    return tuple(examples.items())


def _yaml() -> ModuleType:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("codebooks in YAML need pyyaml: pip install 'dsl[llm]'") from error
    return yaml


def _loader() -> "type[yaml.SafeLoader]":
    """A safe loader for which whole numbers are numbers, and everything else is text, and no key stands twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    # a class attribute of PyYAML's own, copied on the first use of add_implicit_resolver
    Loader.yaml_implicit_resolvers = {}

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
        keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for i, key in enumerate(keys) if key in keys[:i]]
        if twice:
            raise ArgumentError(
                f"the codebook's file has the key {twice[0]!r} twice in line {node.start_mark.line + 1}"
            )
        return loader.construct_mapping(node, deep=True)

    Loader.add_implicit_resolver("tag:yaml.org,2002:int", WHOLE, list("-+0123456789"))
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader
