"""What repeated splits have in common."""

import numpy as np

from dsl.engine.combine import median_bread


def test_bread_of_one_split_is_the_inverse() -> None:
    jacobian = np.array([[4.0, 1.0], [0.5, 3.0]])
    np.testing.assert_allclose(median_bread(jacobian[None]) @ jacobian, np.eye(2), atol=1e-14)


def test_a_nearly_singular_split_does_not_move_the_bread() -> None:
    """It would be the whole of the mean's: a mean of 3, 3, 3, 3 and -12 + 1e-9 is all but zero."""
    jacobians = np.stack([np.diag([3.0, 2.0])] * 4 + [np.diag([-12.0 + 1e-9, 2.0])])
    np.testing.assert_allclose(median_bread(jacobians), np.diag([1 / 3, 1 / 2]), rtol=1e-14)
