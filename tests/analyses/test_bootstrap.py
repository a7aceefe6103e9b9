"""The bootstrap of a finite population: moments of its weights, closed forms, designs, refusals."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dsl
from dsl import exceptions as e
from dsl.engine.labeling import Labeling, bootstrap_weights, finite_meat

from .test_quantile import table
from .test_statistic import BOOTSTRAP, CLOSED_FORM, DRAWS, mean, run

# the first rows of random ones are labelled here
pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore::dsl.exceptions.LabelingWarning")]


class Fixed:
    """A generator whose multinomial draw is given."""

    def __init__(self, times: Any) -> None:
        self.times = np.asarray(times)

    def multinomial(self, n: int, p: np.ndarray) -> np.ndarray:
        assert (n, len(p)) == (self.times.sum(), len(self.times))
        return self.times


def all_drawn(*, prob: np.ndarray, **details: Any) -> Labeling:
    """Of labelled rows alone, all that a bootstrap of the labelling looks at."""
    return Labeling(prob=prob, drawn=np.ones(len(prob), dtype=bool), **details)


def test_all_draws_give_the_variance_of_the_design() -> None:
    """Every draw of 4 - 1 of 4 labelled rows, of a simple random sample of 4 of 10."""
    labeling = all_drawn(prob=np.full(4, 0.4), fixed_size=True)
    z = np.array([0.3, -1.0, 2.0, 0.7])
    draws = [np.bincount(each, minlength=4) for each in product(range(4), repeat=3)]
    weights = np.stack([bootstrap_weights(labeling, Fixed(times)) for times in draws])
    np.testing.assert_allclose(weights.mean(axis=0), 1.0)
    assert (weights >= 0.0).all()
    assert np.var(weights @ z) == pytest.approx(finite_meat(z[:, None], labeling)[0, 0])


@pytest.mark.parametrize(
    "labeling",
    [
        all_drawn(
            prob=np.repeat([0.1, 0.5, 1.0], [10, 5, 3]), fixed_size=True, stratum=np.repeat([4, 7, 9], [10, 5, 3])
        ),
        all_drawn(prob=np.full(12, 0.2), fixed_size=True, unit=np.repeat([3, 5, 8, 9], 3), unit_prob=np.full(12, 0.2)),
        all_drawn(prob=np.linspace(0.1, 0.4, 12), fixed_size=False, stratum=np.arange(12)),
    ],
)
def test_weights_vary_as_the_design_says(labeling: Labeling) -> None:
    rng = np.random.default_rng(0)
    m = len(labeling.prob)
    weights = np.stack([bootstrap_weights(labeling, rng) for _ in range(4000)])
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=4 / np.sqrt(4000))
    assert (weights[:, labeling.prob == 1.0] == 1.0).all()
    z = rng.normal(size=m) / labeling.prob
    if labeling.unit is None:  # a Hajek estimator: deviations from the strata's means
        code = (
            np.zeros(m, dtype=int) if not labeling.fixed_size else np.unique(labeling.stratum, return_inverse=True)[1]
        )
        z -= (np.bincount(code, z) / np.bincount(code))[code]
    expected = finite_meat(z[:, None], labeling)[0, 0]
    assert np.var(weights @ z) == pytest.approx(expected, rel=0.1)  # Monte Carlo, four standard errors
    if labeling.unit is not None:
        assert (np.ptp(weights.reshape(-1, 4, 3), axis=2) == 0.0).all()


def test_second_stage_leaves_out_the_correction() -> None:
    """Rows drawn within drawn units: the variance is that of units drawn from infinitely many."""
    unit = np.repeat(np.arange(6), 2)
    two = all_drawn(prob=np.full(12, 0.1), fixed_size=True, unit=unit, unit_prob=np.full(12, 0.5))
    one = all_drawn(prob=np.zeros(12), fixed_size=True, unit=unit, unit_prob=np.zeros(12))
    np.testing.assert_allclose(
        bootstrap_weights(two, np.random.default_rng(1)), bootstrap_weights(one, np.random.default_rng(1))
    )


@pytest.mark.long
@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_mean_is_that_of_the_engine(lam: float) -> None:
    """mean_L y + lam (mean f - mean_L f), whose finite variance `dsl.dsl` has in closed form."""
    data = table()
    fit = run(mean, data, tune=lam, target="finite", n_boot=DRAWS)
    theirs = dsl.dsl("y ~ 1", data, predicted_var="y", prediction="f", estimator="cdi", tune=lam, target="finite")
    assert fit.params["mean"] == pytest.approx(theirs.params["Intercept"], rel=CLOSED_FORM)
    assert fit.bse["mean"] == pytest.approx(theirs.bse["Intercept"], rel=BOOTSTRAP)
    assert fit.parts.columns.tolist() == ["gold", "surrogate_labeled", "surrogate_all"]
    assert fit.parts.loc["mean", "surrogate_all"] == pytest.approx(data["f"].mean())
    assert fit.bse["mean"] < run(mean, data, tune=lam, n_boot=DRAWS).bse["mean"]


@pytest.mark.long
def test_tuned_lambda_of_a_mean_is_the_regression_coefficient() -> None:
    """Only the labelled rows vary: lam = Cov(y, f) / Var(f) on them."""
    data = table(noise=1.5)
    fit = run(mean, data, target="finite", n_boot=2000)
    labeled = data.dropna()
    expected = np.cov(labeled["y"], labeled["f"])[0, 1] / labeled["f"].var()
    assert fit.tuning["lambda"]["mean"] == pytest.approx(expected, abs=0.05)  # of 2000 draws


@pytest.mark.parametrize("draw", ["stratified", "clustered", "bernoulli"])
def test_designs(draw: str) -> None:
    base = table(n=900).assign(g=lambda d: d["c"] % 4)
    design = {
        "stratified": lambda: dsl.sampling.stratified(base, by="g", allocation={0: 30, 1: 60, 2: 90, 3: 40}),
        "clustered": lambda: dsl.sampling.clustered(base, 80, by="c"),
        "bernoulli": lambda: dsl.sampling.bernoulli(base, 200),
    }[draw]()
    data = base.assign(y=base["y"].where(design.drawn))
    fit = run(mean, data, tune=0.7, target="finite", design=design, n_boot=DRAWS)
    call = {"predicted_var": "y", "prediction": "f", "estimator": "cdi", "tune": 0.7, "target": "finite"}
    theirs = dsl.dsl("y ~ 1", data, design=design, **call)
    assert fit.params["mean"] == pytest.approx(theirs.params["Intercept"], rel=CLOSED_FORM)
    assert fit.bse["mean"] == pytest.approx(theirs.bse["Intercept"], rel=BOOTSTRAP)


@pytest.mark.long
def test_same_numbers_whatever_the_processes() -> None:
    one, two = (run(mean, table(), target="finite", n_jobs=jobs).replicates for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_census_has_no_error() -> None:
    with pytest.warns(e.AllLabeledWarning):
        fit = run(mean, table(n=900), target="finite")
    assert fit.bse["mean"] == pytest.approx(0.0, abs=1e-12)


def test_strata_of_one_are_refused() -> None:
    base = table(n=900).assign(g=lambda d: (d["c"] < 5).astype(int))
    design = dsl.sampling.stratified(base, by="g", allocation={0: 100, 1: 1})
    data = base.assign(y=base["y"].where(design.drawn))
    with pytest.raises(e.LabelError, match="1 of 2 strata hold one labelled unit"):
        run(mean, data, target="finite", design=design)
    assert run(mean, data, design=design).bse["mean"] > 0.0


def test_unknown_target() -> None:
    with pytest.raises(e.ArgumentError, match="unknown target 'these'"):
        run(mean, table(), target="these")


def test_clusters_mean_nothing_to_a_finite_population() -> None:
    with pytest.raises(
        e.ArgumentError, match=r"cluster='c' has no meaning with target='finite'.*dsl.sampling.clustered"
    ):
        run(mean, table(), target="finite", cluster="c")
