"""Contrasts: the columns that stand for a factor's levels, with R's numbers and names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dsl._typing import FloatArray
from dsl.exceptions import FormulaError

KINDS = {
    "contr.treatment": "treatment", "treatment": "treatment", "Treatment": "treatment",
    "contr.sum": "sum", "sum": "sum", "Sum": "sum",
    "contr.helmert": "helmert", "helmert": "helmert", "Helmert": "helmert",
    "contr.poly": "poly", "poly": "poly", "Poly": "poly",
    "contr.SAS": "sas", "SAS": "sas",
    "contr.diff": "diff", "contr.sdif": "diff", "Diff": "diff",
}  # fmt: skip
"""Names of contrasts in R, MASS, formulaic and patsy."""
PREFIXES = {"treatment": "T.", "sas": "T.", "sum": "S.", "helmert": "H.", "diff": "D.", "poly": ""}


@dataclass(frozen=True, slots=True)
class Contrast:
    """How the L levels of a factor become L - 1 columns."""

    kind: str
    base: int = 0
    """Reference level (treatment)."""
    numbered: bool = False
    """Whether R names the columns by number, as it does where ``C()`` names the contrasts."""
    scores: tuple[float, ...] = ()
    """Positions of the levels (poly), equally spaced by default."""

    def matrix(self, count: int) -> FloatArray:
        """Values for `count` levels, (count, count - 1)."""
        eye = np.eye(count)
        match self.kind:
            case "treatment" | "sas":
                return np.delete(eye, self._base(count), axis=1)
            case "sum":
                # the last level is minus the sum of the others
                return eye[:, :-1] - eye[:, -1:]
            case "helmert":
                # column j compares level j + 1 with the levels before it: -1 for each of these, j for itself
                return np.tril(np.diag(np.arange(count - 1) + 1.0, -1)[:, : count - 1]) - np.triu(
                    np.ones((count, count - 1))
                )
            case "diff":
                # MASS's contr.sdif: coefficients are differences of successive levels
                return np.arange(1, count) / count - np.triu(np.ones((count, count - 1)))
            case _:
                return orthogonal_polynomials(np.asarray(self.scores or np.arange(count), dtype=float), count - 1)[0]

    def _base(self, count: int) -> int:
        return count - 1 if self.kind == "sas" else self.base

    def r_names(self, levels: Sequence[str]) -> list[str]:
        """What R appends to a factor's name for each column."""
        count = len(levels)
        if self.kind == "poly":
            return [{1: ".L", 2: ".Q", 3: ".C"}.get(j, f"^{j}") for j in range(1, count)]
        if self.kind == "diff":
            return [f"{levels[j + 1]}-{levels[j]}" for j in range(count - 1)]
        if self.kind in ("treatment", "sas"):
            kept = [j for j in range(count) if j != self._base(count)]
            return [str(j + 1) if self.numbered else levels[j] for j in kept]
        return [str(j) for j in range(1, count)]

    def python_names(self, labels: Sequence[str]) -> list[str]:
        """What formulaic appends to a factor's name for each column."""
        count = len(labels)
        if self.kind == "poly":
            return [f"[{name}]" for name in self.r_names(labels)]
        if self.kind in ("treatment", "sas"):
            kept = [labels[j] for j in range(count) if j != self._base(count)]
        else:
            kept = list(labels[:-1] if self.kind == "sum" else labels[1:])
        return [f"[{PREFIXES[self.kind]}{label}]" for label in kept]


TREATMENT = Contrast("treatment")
POLYNOMIAL = Contrast("poly")


def orthogonal_polynomials(x: FloatArray, degree: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Orthonormal polynomials of `x` without the constant one, and the recurrence that makes them.

    Returns
    -------
    values : (n, degree)
    alpha : (degree,)
    norm2 : (degree + 2,)
        As the ``coefs`` that R's ``poly`` keeps.

    Raises
    ------
    FormulaError
        `x` has too few distinct values.
    """
    if len(np.unique(x)) <= degree:
        raise FormulaError(f"a polynomial of degree {degree} needs more than {degree} different values")
    alpha, norm2 = np.empty(degree), np.ones(degree + 2)
    previous, current = np.zeros_like(x), np.ones_like(x)
    values = np.empty((len(x), degree))
    for j in range(degree + 1):
        norm2[j + 1] = current @ current
        if j:
            values[:, j - 1] = current / np.sqrt(norm2[j + 1])
        if j < degree:
            # three-term recurrence: p_{j+1} = (x - alpha_j) p_j - (|p_j|^2 / |p_{j-1}|^2) p_{j-1}
            alpha[j] = (x * current) @ current / norm2[j + 1]
            following = (x - alpha[j]) * current - norm2[j + 1] / norm2[j] * previous * (j > 0)
            previous, current = current, following
    return values, alpha, norm2


def polynomials_at(x: FloatArray, alpha: FloatArray, norm2: FloatArray) -> FloatArray:
    """The same polynomials at other values `x`, (n, degree)."""
    previous, current = np.zeros_like(x), np.ones_like(x)
    values = np.empty((len(x), len(alpha)))
    for j in range(len(alpha)):
        following = (x - alpha[j]) * current - norm2[j + 1] / norm2[j] * previous * (j > 0)
        previous, current = current, following
        values[:, j] = current / np.sqrt(norm2[j + 2])
    return values
