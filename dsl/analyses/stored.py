"""Fits in files: numbers, texts and arrays, which are read without running anything.

A file is an ``.npz`` archive: the fit as JSON, its arrays, and, only where there is no other way, Python objects as a pickle.
Reading a pickle can run any code, so that these are read for who says that the file is trusted, and for nobody else. Functions
of the code that the formula stood in are in no file: a formula that was read finds them where a trusted file is loaded.
"""

import json
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, TypeVar

import numpy as np
import pandas as pd

from dsl._typing import AnyArray, Record
from dsl._version import __version__
from dsl.data.design import SamplingDesign
from dsl.data.drawn import Tested
from dsl.data.files import PathLike, as_path, write_arrays
from dsl.data.formula.caller import NOBODY, Absent, formula_names
from dsl.data.formula.rlang import syntax
from dsl.data.formula.rlang.contrasts import Contrast
from dsl.data.formula.rlang.evaluate import Functions, is_constant
from dsl.data.formula.rlang.matrix import Spec, Term, Variable
from dsl.data.formula.rlang.values import Factor, Quantity
from dsl.data.packed import Json, Packer, Unpacker
from dsl.data.zipped import arrays_of_bytes, arrays_to_bytes
from dsl.engine.models import MODELS
from dsl.engine.models.family import Family
from dsl.engine.several import Several
from dsl.estimators.call import Call, Lost
from dsl.estimators.names import ESTIMATORS
from dsl.estimators.predictor import Predictor
from dsl.estimators.records import InstrumentFacts, SampleFacts, Splits, Tuning
from dsl.estimators.result import Fit, fit_of
from dsl.exceptions import ArgumentError, FileError

FORMAT = "dsl results"
VERSION = 1
CLASSES: Mapping[str, type] = {
    "fit": Fit, "call": Call, "lost": Lost, "design": SamplingDesign, "sample": SampleFacts, "splits": Splits, "tuning": Tuning,
    "tested": Tested, "instruments": InstrumentFacts,
    "predictor": Predictor, "spec": Spec, "variable": Variable, "term": Term, "factor": Factor, "contrast": Contrast,
    "name": syntax.Name, "number": syntax.Number, "string": syntax.String, "constant": syntax.Constant, "unary": syntax.Unary,
    "binary": syntax.Binary, "paren": syntax.Paren, "function": syntax.Call,
}  # fmt: skip
"""All that a file can make, besides numbers, texts, arrays and tables."""
FACTS, OBJECTS = "facts", "objects"
UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, RuntimeError, RecursionError, MemoryError,
    StopIteration, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, ImportError,
)  # fmt: skip
"""What is raised for files that are something else, or damaged."""


class Face(Protocol):
    """Results as what is saved of them and made again."""

    @property
    def core(self) -> Fit:
        """The fit behind them."""

    @classmethod
    def of(cls, core: Fit) -> Self:
        """Results of a fit."""

    def remove_data(self) -> None:
        """Drop everything of length N."""


F = TypeVar("F", bound=Face)


class Stored:
    """Results that files can hold: those of `dsl.dsl`."""

    def save(self: Face, fname: PathLike, remove_data: bool = False) -> None:
        """Write the results to one file, which `load` reads. It holds numbers, texts and arrays, and no table of yours.

        Parameters
        ----------
        fname : str or Path
            Written as named.
        remove_data : bool
            Call ``remove_data()`` first, which leaves out what there is for every row.

        Raises
        ------
        FileError
            The file cannot be written. One that was there is unchanged.
        ArgumentError
            The results hold objects that no file can hold.

        Notes
        -----
        An estimator object that serves as learner, and a formula of formulaic's, are stored as Python objects beside the rest.

        Examples
        --------
        >>> import dsl, tempfile, pathlib
        >>> posts = dsl.datasets.simulate_linear(n=1000, n_labels=300, seed=1)
        >>> fit = dsl.dsl(data=posts, sl_method="lm", sample_split=2, **posts.attrs["call"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.save(pathlib.Path(folder) / "fit.dsl")
        ...     again = dsl.DSLResults.load(pathlib.Path(folder) / "fit.dsl")
        >>> bool((again.params == fit.params).all())
        True
        """
        if remove_data:
            self.remove_data()
        save_fit(replace(self.core, call=self.core.call.portable()), fname)

    @classmethod
    def load(cls: type[F], fname: PathLike, *, trusted: bool = False) -> F:
        """Read results that `save` wrote.

        Parameters
        ----------
        fname : str or Path
        trusted : bool
            Whether you trust whoever wrote the file, which may then run code: Python objects in it are read (a pickle, as
            earlier versions wrote throughout), and a formula that calls functions of yours finds them where `load` is called.
            Without it, reading a file runs nothing: its formula finds R's functions and a list of numpy's
            (`dsl.data.formula.rlang`).

        Raises
        ------
        FileError
            No such file, no results, damaged, written by another version, or Python objects that a formula needs.
        """
        return cls.of(load_fit(fname, trusted=trusted, names=formula_names(1) if trusted else NOBODY))


def save_fit(fit: Fit, path: PathLike) -> None:
    """Write a fit. See `dsl.DSLResults.save`."""
    parts, objects = _packed(fit)
    if objects:
        try:
            parts[OBJECTS] = _bytes(pickle.dumps(objects))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise ArgumentError(
                f"the fit cannot be saved, since it holds {_described(objects)} ({error}); write the formula as a string, "
                "in R's language, with functions that it knows"
            ) from error
    write_arrays(path, parts)


def fit_to_bytes(fit: Fit) -> bytes:
    """A fit as `save_fit` writes it, all of which is data.

    Raises
    ------
    ArgumentError
        The fit holds code: a learner that is an object, a specification of formulaic's.
    """
    parts, objects = _packed(fit)
    if objects:
        raise ArgumentError(
            f"the fit holds code, which is no data: {_described(objects)}. Fit with a learner that has a name "
            "(dsl.available_method()), and with a formula that is a string"
        )
    return arrays_to_bytes(parts)


def _packed(fit: Fit) -> tuple[dict[str, AnyArray], list[object]]:
    """Arrays, the facts among them, and objects that no array holds."""
    packer = Packer(CLASSES, SPECIAL)
    facts = {"format": FORMAT, "version": VERSION, "made_by": __version__, "fit": packer.pack(fit)}
    return {FACTS: _bytes(json.dumps(facts, allow_nan=False).encode()), **packer.arrays}, packer.objects


def _bytes(content: bytes) -> AnyArray:
    return np.frombuffer(content, dtype=np.uint8)


def _described(objects: list[object]) -> str:
    return " and ".join(dict.fromkeys(f"a {type(each).__module__}.{type(each).__qualname__}" for each in objects))


def _pack_call(packer: Packer, call: Call) -> Json:
    """A call, with a learner that is an object apart from the rest."""
    out = packer.fields(replace(call, sl_method="auto"))
    before = len(packer.objects)
    learner = packer.pack(call.sl_method)
    if len(packer.objects) > before:
        learner = {"learner": learner, "described": repr(call.sl_method)}
    out["fields"]["sl_method"] = learner
    return out


def _pack_spec(packer: Packer, spec: Spec) -> Json:
    """A formula's side, of the caller's functions the names alone."""
    out = packer.fields(replace(spec, functions={}))
    out["fields"]["functions"] = {
        "functions": [
            [name, packer.pack(value) if is_constant(value) else {"absent": name}]
            for name, value in spec.functions.items()
        ]
    }
    return out


def _pack_predictor(packer: Packer, predictor: Predictor) -> Json:
    """A predictor, its mean function or family by the name of a model that has it."""
    several = predictor.several
    wanted = predictor.mean if several is None else several.family.mean
    names = [name for name, model in MODELS.items() if model.link.mean is wanted]
    levels = predictor.levels if several is None else several.levels
    return {"mean": names[0] if names else None, "spec": packer.pack(predictor.spec), "levels": packer.pack(levels)}


def _pack_design(packer: Packer, design: SamplingDesign) -> Json:
    """A labelling design, without what `dsl.sampling` adds to it."""
    return packer.fields(design, SamplingDesign)


def _pack_quantity(packer: Packer, quantity: Quantity) -> Json:
    """Dates and long whole numbers, the time zone by its name."""
    zone = None if quantity.zone is None else str(quantity.zone)
    return {"quantity": packer.pack(quantity.exact), "days": quantity.days, "zone": zone}


SPECIAL: Mapping[type, Callable[[Packer, Any], Json]] = {
    Call: _pack_call, Spec: _pack_spec, Predictor: _pack_predictor, SamplingDesign: _pack_design, Quantity: _pack_quantity,
}  # fmt: skip
"""Classes that are packed in another way than field by field."""


def load_fit(path: PathLike, *, trusted: bool, names: Functions = NOBODY) -> Fit:
    """Read a fit. See `dsl.DSLResults.load`.

    `names` are those of the caller of a trusted file, among which its formula finds its functions.
    """
    file = as_path(path)
    try:
        with file.open("rb") as stream:
            start = stream.read(2)
    except OSError as error:
        raise FileError(error.errno, f"'{file}' cannot be read ({error.strerror}); look at the path") from error
    if start[:1] == b"\x80":
        return _load_pickle(file, trusted=trusted)
    with _readable(f"'{file}'"), file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return _unpacked(arrays, f"'{file}'", trusted=trusted, names=names)


def fit_of_bytes(content: bytes, where: str) -> Fit:
    """A fit that `fit_to_bytes` made bytes of, where `where` names them in messages. Nothing in them is run.

    Raises
    ------
    FileError
        They are no fit, are damaged, or would grow beyond `dsl.data.zipped.LARGEST`.
    """
    with _readable(where):
        arrays = arrays_of_bytes(content, where)
    return _unpacked(arrays, where, trusted=False, names=NOBODY)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """What a reader raises of a file that is something else, as a FileError."""
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{where} is not a file of results, or is damaged ({error}); use one that fit.save wrote"
        ) from error


def _unpacked(arrays: dict[str, AnyArray], where: str, *, trusted: bool, names: Functions) -> Fit:
    """The fit in these arrays."""
    with _readable(where):
        facts = json.loads(arrays.pop(FACTS).tobytes())
        if facts["format"] != FORMAT:
            raise ValueError("it holds something else")
        version, made_by = facts["version"], facts.get("made_by")
    if version != VERSION:
        raise FileError(f"{where} has format {version}, written by dsl {made_by}; this version reads format {VERSION}")
    objects = arrays.pop(OBJECTS, None)
    made = Unpacker(
        CLASSES,
        arrays,
        pickle.loads(objects.tobytes()) if trusted and objects is not None else (),
        {
            "learner": _lost_learner if not trusted else lambda made, value: made.unpack(value["learner"]),
            "functions": lambda made, value: {name: _function(made, each, names) for name, each in value["functions"]},
            "mean": _predictor,
            "quantity": _quantity,
            "object": (lambda made, value: _refuse(where))
            if not trusted
            else lambda made, value: made.objects[value["object"]],
        },
    )
    try:
        fit: Fit = made.unpack(facts["fit"])
        if not isinstance(fit, Fit) or fit.call.model not in MODELS or fit.call.estimator not in ESTIMATORS:
            raise ValueError("it holds no fit that this version knows")
    except UNREADABLE as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{where} was written by dsl {made_by} and cannot be read by {__version__}, or is damaged "
            f"({type(error).__name__}: {error})"
        ) from error
    return fit


def _load_pickle(file: Path, *, trusted: bool) -> Fit:
    """Results of a version that wrote pickles."""
    if not trusted:
        _refuse(f"'{file}'")
    try:
        return fit_of(pickle.loads(file.read_bytes()))
    except (*UNREADABLE, ArgumentError) as error:
        raise FileError(f"'{file}' holds no results of dsl.dsl that this version can read ({error})") from error


def _refuse(where: str) -> NoReturn:
    raise FileError(
        f"{where} holds Python objects, as a pickle: reading them can run any code. If you trust whoever wrote the file, "
        "DSLResults.load(path, trusted=True) reads it"
    )


def _lost_learner(made: Unpacker, value: Record) -> Lost:
    return Lost(str(value["described"]), stored=True)


def _function(made: Unpacker, value: Json, names: Functions) -> object:
    """A constant of the formula's, or what a function's name stands for among `names`."""
    if not (isinstance(value, dict) and "absent" in value):
        return made.unpack(value)
    name = str(value["absent"])
    return names[name] if name in names else Absent(name)


def _quantity(made: Unpacker, value: Record) -> Quantity:
    exact, zone = made.unpack(value["quantity"]), value["zone"]
    found = None if zone is None else pd.DatetimeIndex([]).tz_localize(str(zone)).tz
    return Quantity(exact=exact, days=bool(value["days"]), zone=found)


def _predictor(made: Unpacker, value: Record) -> Predictor:
    spec, levels = made.unpack(value["spec"]), made.unpack(value["levels"])
    link = None if value["mean"] is None else MODELS[value["mean"]].link
    if isinstance(link, Family):
        return Predictor(spec, None, several=Several.on(link, spec.column_names, levels))
    return Predictor(spec, None if link is None else link.mean, levels)
