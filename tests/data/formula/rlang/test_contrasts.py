"""Contrasts and polynomials against the numbers that R 4.2.2 prints."""

import numpy as np
import pytest

from dsl.data.formula.rlang.contrasts import Contrast, orthogonal_polynomials, polynomials_at
from dsl.exceptions import FormulaError

PRINTED = 2e-14
"""Fifteen digits of numbers up to two."""
X = np.array([1.0, 2.0, 4.0, 7.0, 11.0])


def test_polynomials() -> None:
    """``print(poly(c(1, 2, 4, 7, 11), 3), digits = 15)``."""
    expected = [
        [-0.492365963917331, 0.4759972968131507, -0.440385506050544],
        [-0.369274472937998, 0.0793328828021918, 0.330289129537908],
        [-0.123091490979333, -0.4495530025457534, 0.550481882563180],
        [0.246182981958665, -0.5817744738827395, -0.605530070819498],
        [0.738548945875996, 0.4759972968131506, 0.165144564768954],
    ]
    values, alpha, norm2 = orthogonal_polynomials(X, 3)
    np.testing.assert_allclose(values, expected, atol=PRINTED)
    np.testing.assert_allclose(polynomials_at(X, alpha, norm2), expected, atol=PRINTED)


def test_polynomials_at_other_values() -> None:
    """``print(predict(poly(c(1, 2, 4, 7, 11), 3), c(0, 3, 12)), digits = 15)``."""
    expected = [
        [-0.615457454896664, 0.960809358382100, -1.81292033324141],
        [-0.246182981958665, -0.229183883650776, 0.62020958768785],
        [0.861640436855329, 0.960809358382100, 1.57804806334778],
    ]
    _, alpha, norm2 = orthogonal_polynomials(X, 3)
    np.testing.assert_allclose(polynomials_at(np.array([0.0, 3.0, 12.0]), alpha, norm2), expected, atol=PRINTED)


def test_as_many_values_as_the_degree_are_too_few() -> None:
    with pytest.raises(FormulaError, match="degree 5 needs more than 5 different values"):
        orthogonal_polynomials(X, 5)


@pytest.mark.parametrize(
    ("contrast", "expected", "names"),
    [
        # contr.treatment(4), contr.treatment(4, base = 3), contr.SAS(4)
        (Contrast("treatment"), [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], ["b", "c", "d"]),
        (Contrast("treatment", base=2), [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], ["a", "b", "d"]),
        (Contrast("sas"), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], ["a", "b", "c"]),
        # contr.sum(4), contr.helmert(4)
        (Contrast("sum"), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]], ["1", "2", "3"]),
        (Contrast("helmert"), [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]], ["1", "2", "3"]),
        # MASS::contr.sdif(4)
        (
            Contrast("diff"),
            [[-0.75, -0.5, -0.25], [0.25, -0.5, -0.25], [0.25, 0.5, -0.25], [0.25, 0.5, 0.75]],
            ["b-a", "c-b", "d-c"],
        ),
        # print(contr.poly(4), digits = 15)
        (
            Contrast("poly"),
            [
                [-0.670820393249937, 0.5, -0.223606797749979],
                [-0.223606797749979, -0.5, 0.670820393249937],
                [0.223606797749979, -0.5, -0.670820393249937],
                [0.670820393249937, 0.5, 0.223606797749979],
            ],
            [".L", ".Q", ".C"],
        ),
    ],
)
def test_columns_of_four_levels(contrast: Contrast, expected: list[list[float]], names: list[str]) -> None:
    np.testing.assert_allclose(contrast.matrix(4), expected, atol=PRINTED)
    assert contrast.r_names(["a", "b", "c", "d"]) == names


def test_levels_of_unequal_distance() -> None:
    """``contr.poly(4, scores = c(1, 2, 4, 7))``: those of the values themselves."""
    scores = (1.0, 2.0, 4.0, 7.0)
    np.testing.assert_allclose(
        Contrast("poly", scores=scores).matrix(4), orthogonal_polynomials(np.array(scores), 3)[0], atol=PRINTED
    )
