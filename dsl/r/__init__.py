"""R from Python: converters, the reference R package, R's learners. Needs the extra ``r``: ``pip install 'dsl[r]'``.

- `to_r`, `from_r`: values between Python and R. ``to_r(fit)`` is an R object of class ``dsl``.
- `read_rdata`, `read_rds`: R's data files, without R.
- `reference_dsl`: the reference R package ``dsl`` with our arguments, stage by stage.
- `cross_check`: a fitted model against the reference, term by term.
- `RLearner`: a learner of R in our cross-fitting.
"""

from typing import Any

from dsl.estimators.result import fit_of
from dsl.r.compare import cross_check
from dsl.r.export import results_to_r
from dsl.r.files import read_rdata, read_rds
from dsl.r.learner import RLearner
from dsl.r.reference import ReferenceResult, ReferenceSplit, reference_dsl
from dsl.r.session import RError, RWarning

__all__ = [
    "RError",
    "RLearner",
    "RWarning",
    "ReferenceResult",
    "ReferenceSplit",
    "cross_check",
    "from_r",
    "read_rdata",
    "read_rds",
    "reference_dsl",
    "to_r",
]


def to_r(value: object) -> Any:
    """An R object (``rpy2.rinterface.Sexp``) with the same content.

    Parameters
    ----------
    value : DataFrame, Series, array, scalar, list, dict, or results of `dsl.dsl`
        Missing values become R's ``NA`` of the column's type, categories become factors (see
        `dsl.r.convert` for the table). Results become an object of class ``dsl`` on which
        the reference package's ``summary()`` and ``power_dsl()`` work.

    Raises
    ------
    MissingDependencyError
        R or rpy2 is not there.
    ColumnTypeError
        A column has no counterpart in R.

    Examples
    --------
    >>> import pandas as pd
    >>> from dsl.r import from_r, to_r
    >>> frame = to_r(pd.DataFrame({"party": pd.Categorical(["L", "R", None])}))  # doctest: +SKIP
    >>> from_r(frame)["party"].cat.categories.tolist()  # doctest: +SKIP
    ['L', 'R']
    """
    from dsl.r.convert import to_sexp

    if hasattr(value, "core"):
        return results_to_r(fit_of(value))
    return to_sexp(value)


def from_r(value: object, *, restore_levels: bool = False) -> Any:
    """A Python value with the same content as an R object.

    Parameters
    ----------
    value : rpy2 object
        Vectors become arrays (also those of length one), named vectors Series, factors Categoricals, data
        frames DataFrames, named lists dicts. Functions, environments and models stay R objects.
    restore_levels : bool
        Read factor levels that are all numbers (or all TRUE/FALSE) as such. By default they are
        str, as in R.

    Returns
    -------
    object
    """
    from dsl.r.restore import from_sexp

    return from_sexp(value, restore_levels=restore_levels)
