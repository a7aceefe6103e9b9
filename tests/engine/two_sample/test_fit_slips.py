"""Where ppi-python 0.2.3 slips, and that we do not. Each docstring says what it does."""

import importlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.stats import norm

from dsl.engine.blocks import Block
from dsl.engine.fit import fit_split
from dsl.engine.intervals import wald_interval, wald_pvalue
from dsl.engine.models.linear import LINEAR
from dsl.engine.moments import gold_weights
from dsl.engine.sums import Problem
from dsl.engine.two_sample import two_sample
from tests.engine.two_sample.test_fit import CLOSED_FORM, NAMES, Study, bse, half_width, rival

pytestmark = pytest.mark.numeric


def mean_fit(study: Study, lam: float | None = None) -> tuple[float, float]:
    """Estimate of the mean and its standard error."""
    fit = two_sample(study.block(np.ones((study.rows, 1))), ("Intercept",), LINEAR, lam=lam)
    return float(fit.params[0]), float(bse(fit)[0])


def test_tuned_interval_is_around_the_tuned_estimate() -> None:
    """Theirs chooses lam once for the point estimate and twice for the interval, which is then around another number."""
    study = Study()
    low, high = rival("ppi_ols_ci")(*study.samples())
    theirs = rival("ppi_ols_pointestimate")(*study.samples())
    assert np.abs((low + high) / 2.0 - theirs).max() > 1e-5
    ours = study.fit(None)
    np.testing.assert_allclose(ours.params, theirs, rtol=CLOSED_FORM)
    np.testing.assert_allclose(wald_interval(ours.params, bse(ours)).mean(axis=1), theirs, rtol=CLOSED_FORM)


def test_p_value_and_interval_agree() -> None:
    """Their p value of a mean takes lam without clipping it to [0, 1], their interval with: they contradict each other."""
    study = Study()
    study.f = -study.f
    samples = study.y[: study.n], study.f[: study.n], study.f[study.n :]
    end = float(rival("ppi_mean_ci")(*samples, alpha=0.05)[0][0])
    assert abs(float(rival("ppi_mean_pval")(*samples, null=end)[0]) - 0.05) > 0.01
    estimate, se = mean_fit(study)
    for alternative, side in (("two-sided", 0), ("two-sided", 1), ("larger", 0), ("smaller", 1)):
        bound = wald_interval(estimate, se, 0.05, alternative)[side]
        assert float(wald_pvalue(estimate, se, alternative, null=bound)) == pytest.approx(0.05)


def test_intervals_are_95_percent_by_default() -> None:
    """Their default alpha is 0.1."""
    study = Study()
    samples = study.y[: study.n], study.f[: study.n], study.f[study.n :]
    low, high = rival("ppi_mean_ci")(*samples)
    estimate, se = mean_fit(study)
    ours = wald_interval(estimate, se)
    assert (ours[1] - ours[0]) / float(high[0] - low[0]) == pytest.approx(norm.ppf(0.975) / norm.ppf(0.95))


def test_import_leaves_warnings_alone() -> None:
    """Importing theirs silences every warning of the process from then on."""
    import numba

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        compiled, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
        try:
            importlib.reload(importlib.import_module("ppi_py.ppi"))
        finally:
            numba.config.DISABLE_JIT = compiled
        assert warnings.filters[0][0] == "ignore"
    code = "import warnings, dsl.engine.two_sample; assert ('ignore', None, Warning, None, 0) not in warnings.filters"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_logit_starts_without_two_classes_among_the_labels() -> None:
    """Theirs starts from scikit-learn's classifier, which refuses labels of one class and labels that are shares."""
    study = Study(model="logit", n=12)
    study.y[: study.n] = 1.0
    study.f[: study.n] = np.arange(study.n) > 0
    with pytest.raises(ValueError, match="at least 2 classes"):
        rival("ppi_logistic_pointestimate")(*study.samples(), lam=1.0)
    x, y, f, xu, u = study.samples()
    ours = study.fit(1.0)
    score = xu.T @ (u - 1 / (1 + np.exp(-xu @ ours.params))) / len(u) + x.T @ (y - f) / len(y)
    np.testing.assert_allclose(score, 0.0, atol=1e-9)
    shares = Study(model="logit")
    shares.y = np.clip(shares.y, 0.1, 0.9)
    with pytest.raises(ValueError, match="continuous"):
        rival("ppi_logistic_pointestimate")(*shares.samples(), lam=0.5)
    assert np.isfinite(bse(shares.fit(0.5))).all()


def test_logit_is_solved_not_approached() -> None:
    """Theirs stops where L-BFGS-B does, however small a tolerance is asked for."""
    study = Study(model="logit", rows=4000, n=300, seed=2)
    theirs = rival("ppi_logistic_pointestimate")(*study.samples(), lam=1.0)
    x, y, f, xu, u = study.samples()

    def norm_of_score(params: np.ndarray) -> float:
        def mean(x: np.ndarray) -> np.ndarray:
            return 1 / (1 + np.exp(-x @ params))

        return float(np.abs(xu.T @ (u - mean(xu)) / len(u) + x.T @ (y - f) / len(y)).max())

    assert norm_of_score(study.fit(1.0).params) < 1e-3 * norm_of_score(theirs)


def test_weights_do_not_make_the_place_of_zero_matter() -> None:
    """Theirs takes sampling weights, but the spread of w y in place of that of w (y - mean): a constant outcome has a
    standard error, which grows with the constant. Ours refers unequal probabilities to the design-based estimators.
    """
    rng = np.random.default_rng(0)
    n = 200
    weight, constant = rng.uniform(1.0, 9.0, n), np.full(n, 5.0)
    low, high = rival("ppi_mean_ci")(constant, np.zeros(n), np.zeros(n), w=weight, lam=0)
    assert half_width((low, high)) > 0.1
    block = Block(
        fixed=np.ones((n, 1)),
        predicted=np.empty((n, 0)),
        outcome=constant,
        gold_rows=np.arange(n),
        gold=np.empty((n, 0)),
        gold_outcome=constant,
        weight=weight,
    )
    ours = fit_split(block, Problem(link=LINEAR, names=("Intercept",), weights=gold_weights))
    assert float(bse(ours)[0]) < 1e-9


def test_lambda_near_zero_is_not_lambda_zero() -> None:
    """Shared with theirs, and kept: at lam = 0 the Hessian is that of the labelled rows, so that the labelled rows'
    own regression results; at the smallest lam above it is that of all rows.
    """
    study = Study(n=30)
    none, little = study.fit(0.0), study.fit(1e-12)
    np.testing.assert_allclose(none.params, little.params, rtol=1e-9)
    theirs = [half_width(rival("ppi_ols_ci")(*study.samples(), lam=lam)) for lam in (0.0, 1e-12)]
    np.testing.assert_allclose(bse(none) / bse(little), theirs[0] / theirs[1], rtol=1e-9)
    assert np.abs(bse(none) / bse(little) - 1.0).max() > 0.01
    assert len(NAMES) == len(none.params)
