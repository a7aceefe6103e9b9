"""Simulated tables of independent rows whose true coefficients are known.

Every function returns a frame ready for ``dsl.dsl(data=frame, **frame.attrs["call"])``. The superpopulation
values of the coefficients are in ``frame.attrs["truth"]``, under the names the formula gives them.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from dsl.data.arguments import Seed, check_count, explain_calls, random_generator
from dsl.datasets.build import check_accuracy, check_number, draw_binary, finish, flip
from dsl.datasets.labels import Labels, draw_fixed
from dsl.exceptions import ArgumentError
from dsl.sampling.draw import draw_bernoulli
from dsl.sampling.probability import scale_probabilities

# The logit that solves the population moments of simulate_appendix_e, whose outcome is not exactly logistic.
# Quasi-Monte Carlo integration of E[Y | X], 6 x 2^20 scrambled Sobol points, with standard errors below 7e-5.
APPENDIX_E_TRUTH = {"Intercept": 0.2008, "X1": 1.0781, "I(X1 ** 2)": 0.1001, "X2": 0.8063, "X4": 0.2732}


@explain_calls
def simulate_linear(n: int = 5000, n_labels: Labels = 500, *, bias: float = 0.5, seed: Seed = 1234) -> pd.DataFrame:
    """Simulate a linear regression whose outcome is predicted.

    Y = 0.5 + X1 - 0.5 X2 + e, with X1 and e standard normal and X2 ~ Bernoulli(.4). The surrogate's error
    moves with the covariates: pred_Y = Y + bias (X2 - X1) + u, u ~ N(0, .7^2). The regression of pred_Y has
    the coefficients 1 - bias and bias - 0.5 in place of 1 and -0.5.

    Parameters
    ----------
    n : int, default 5000
        Number of rows.
    n_labels : int or "all", default 500
        Show Y on a simple random sample of exactly this many rows, or on every row.
    bias : float, default 0.5
        Strength of the surrogate's systematic error (0 leaves random noise only).
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 4)
        ``Y`` (gold, NaN where not labelled), ``pred_Y``, ``X1``, ``X2``. ``attrs["truth"]`` has the true
        coefficients and ``attrs["call"]`` the arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `bias` is not finite.

    Examples
    --------
    >>> from dsl.datasets import simulate_linear
    >>> data = simulate_linear(n=1000, n_labels=200, seed=1)
    >>> data.shape, int(data["Y"].notna().sum())
    ((1000, 4), 200)
    >>> data.attrs["truth"]
    {'Intercept': 0.5, 'X1': 1.0, 'X2': -0.5}
    >>> data.attrs["call"]["formula"]
    'Y ~ X1 + X2'
    """
    n, bias, rng = check_count(n, name="n", least=1), check_number(bias, name="bias"), random_generator(seed)
    x1, x2 = rng.standard_normal(n), draw_binary(0.4, n, rng)
    # Y = 0.5 + X1 - 0.5 X2 + e, and pred_Y = Y + bias (X2 - X1) + u
    y = 0.5 + x1 - 0.5 * x2 + rng.standard_normal(n)
    pred_y = y + bias * (x2 - x1) + 0.7 * rng.standard_normal(n)
    return finish(
        {"Y": y, "pred_Y": pred_y, "X1": x1, "X2": x2},
        gold=["Y"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth={"Intercept": 0.5, "X1": 1.0, "X2": -0.5},
        call={"formula": "Y ~ X1 + X2", "model": "lm", "predicted_var": ["Y"], "prediction": ["pred_Y"]},
    )


@explain_calls
def simulate_logit(
    n: int = 5000, n_labels: Labels = 1000, *, accuracy: float = 0.85, seed: Seed = 1234
) -> pd.DataFrame:
    """Simulate a logit whose outcome and one of whose covariates are both predicted.

    Z ~ N(0, 1), X ~ Bernoulli(expit(-0.3 + 0.5 Z)), Y ~ Bernoulli(expit(-0.5 + X + 0.7 Z)). Both surrogates
    flip their gold variable with a probability that depends on Z: 2 (1 - accuracy) expit(1.5 Z) for Y and
    2 (1 - accuracy) expit(-1.5 Z) for X.

    Parameters
    ----------
    n : int, default 5000
        Number of rows.
    n_labels : int or "all", default 1000
        Show Y and X on a simple random sample of exactly this many rows, or on every row.
    accuracy : float in [0.5, 1], default 0.85
        Average accuracy of each surrogate.
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 5)
        ``Y`` and ``X`` (gold, NaN where not labelled), ``pred_Y``, ``pred_X``, ``Z``. ``attrs["truth"]`` has
        the true coefficients and ``attrs["call"]`` the arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `accuracy` is not in [0.5, 1].

    Examples
    --------
    >>> from dsl.datasets import simulate_logit
    >>> data = simulate_logit(n=1000, n_labels=300, seed=1)
    >>> int(data["Y"].notna().sum()), int(data["X"].notna().sum())
    (300, 300)
    >>> data.attrs["truth"]
    {'Intercept': -0.5, 'X': 1.0, 'Z': 0.7}
    """
    n, rng = check_count(n, name="n", least=1), random_generator(seed)
    error = 1 - check_accuracy(accuracy)
    z = rng.standard_normal(n)
    x = draw_binary(expit(-0.3 + 0.5 * z), n, rng)
    y = draw_binary(expit(-0.5 + x + 0.7 * z), n, rng)
    # expit(1.5 Z) is 1/2 on average over Z ~ N(0, 1), so that 2 (1 - accuracy) expit(1.5 Z) averages 1 - accuracy
    return finish(
        {
            "Y": y,
            "X": x,
            "pred_Y": flip(y, prob=2 * error * expit(1.5 * z), rng=rng),
            "pred_X": flip(x, prob=2 * error * expit(-1.5 * z), rng=rng),
            "Z": z,
        },
        gold=["Y", "X"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth={"Intercept": -0.5, "X": 1.0, "Z": 0.7},
        call={
            "formula": "Y ~ X + Z",
            "model": "logit",
            "predicted_var": ["Y", "X"],
            "prediction": ["pred_Y", "pred_X"],
        },
    )


@explain_calls
def simulate_unequal(
    n: int = 5000, n_labels: Labels = 1000, *, accuracy: float = 0.85, seed: Seed = 1234
) -> pd.DataFrame:
    """Simulate a logit with a rare predicted outcome and unequal probabilities of being labelled.

    X1 ~ N(0, 1), X2 ~ Bernoulli(.5), Y ~ Bernoulli(expit(-1.5 + 0.8 X1 - 0.5 X2)). The surrogate flips Y with
    probability 2 (1 - accuracy) expit(2 X1). Rows with pred_Y = 1 are four times as likely to be labelled.
    Each row is drawn independently with its own known probability.

    Parameters
    ----------
    n : int, default 5000
        Number of rows.
    n_labels : int or "all", default 1000
        Expected number of labelled rows (the sum of the probabilities), or every row.
    accuracy : float in [0.5, 1], default 0.85
        Average accuracy of the surrogate.
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 5)
        ``Y`` (gold, NaN where not labelled), ``pred_Y``, ``X1``, ``X2``, ``sample_prob`` (the exact
        probability of being labelled). ``attrs["truth"]`` has the true coefficients and ``attrs["call"]`` the
        arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `accuracy` is not in [0.5, 1].

    Examples
    --------
    >>> from dsl.datasets import simulate_unequal
    >>> data = simulate_unequal(n=1000, n_labels=200, seed=1)
    >>> round(float(data["sample_prob"].sum()), 6)
    200.0
    >>> data.attrs["call"]["sample_prob"]
    'sample_prob'
    """
    n, rng = check_count(n, name="n", least=1), random_generator(seed)
    error = 1 - check_accuracy(accuracy)
    total = n if n_labels == "all" else check_count(n_labels, name="n_labels", least=1)
    if total > n:
        raise ArgumentError(f'n_labels is {total}, but the table has {n} rows; lower it, or use "all".')
    x1, x2 = rng.standard_normal(n), draw_binary(0.5, n, rng)
    y = draw_binary(expit(-1.5 + 0.8 * x1 - 0.5 * x2), n, rng)
    pred_y = flip(y, prob=2 * error * expit(2 * x1), rng=rng)
    # pi proportional to 4 or 1, scaled (and cut at 1) so that the probabilities sum to the labels asked for
    prob = scale_probabilities(np.where(pred_y == 1, 4.0, 1.0), total)
    return finish(
        {"Y": y, "pred_Y": pred_y, "X1": x1, "X2": x2, "sample_prob": prob},
        gold=["Y"],
        shown=draw_bernoulli(prob=prob, rng=rng),
        truth={"Intercept": -1.5, "X1": 0.8, "X2": -0.5},
        call={
            "formula": "Y ~ X1 + X2",
            "model": "logit",
            "predicted_var": ["Y"],
            "prediction": ["pred_Y"],
            "sample_prob": "sample_prob",
        },
    )


@explain_calls
def simulate_features_only(
    n: int = 5000, n_labels: Labels = 500, *, noise: float = 1.0, seed: Seed = 1234
) -> pd.DataFrame:
    """Simulate a linear regression without a surrogate: features predict the outcome.

    Y = 0.5 + 0.8 X1 - 0.5 X2 + e, with X1 and e standard normal and X2 ~ Bernoulli(.5). With independent
    u ~ N(0, noise^2), the features are W1 = 0.7 Y + 0.4 X1 + u1, W2 = exp(Y / 2) + u2, W3 = abs(Y) + u3 and
    W4 = u4, which says nothing about Y.

    Parameters
    ----------
    n : int, default 5000
        Number of rows.
    n_labels : int or "all", default 500
        Show Y on a simple random sample of exactly this many rows, or on every row.
    noise : float, default 1.0
        Standard deviation of the noise in the features: the larger, the worse they predict Y.
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 7)
        ``Y`` (gold, NaN where not labelled), ``X1``, ``X2``, ``W1`` to ``W4``. ``attrs["truth"]`` has the
        true coefficients and ``attrs["call"]`` the arguments for ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `noise` is negative or not
        finite.

    Examples
    --------
    >>> from dsl.datasets import simulate_features_only
    >>> data = simulate_features_only(n=1000, n_labels=200, seed=1)
    >>> data.attrs["call"]["feature"]
    ['W1', 'W2', 'W3', 'W4']
    """
    n, rng = check_count(n, name="n", least=1), random_generator(seed)
    noise = check_number(noise, name="noise", least=0)
    x1, x2 = rng.standard_normal(n), draw_binary(0.5, n, rng)
    y = 0.5 + 0.8 * x1 - 0.5 * x2 + rng.standard_normal(n)
    # W1 and W2 carry Y in part, W3 only its size, W4 nothing
    signals = [0.7 * y + 0.4 * x1, np.exp(y / 2), np.abs(y), np.zeros(n)]
    features = {f"W{j}": signal + noise * rng.standard_normal(n) for j, signal in enumerate(signals, start=1)}
    return finish(
        {"Y": y, "X1": x1, "X2": x2, **features},
        gold=["Y"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth={"Intercept": 0.5, "X1": 0.8, "X2": -0.5},
        call={"formula": "Y ~ X1 + X2", "model": "lm", "predicted_var": ["Y"], "feature": list(features)},
    )


@explain_calls
def simulate_appendix_e(
    n: int = 5000, n_labels: Labels = 500, *, accuracy: float = 0.9, seed: Seed = 1234
) -> pd.DataFrame:
    """Simulate the design of Egami, Hinck, Stewart and Wei (2024), appendix E.

    X1 to X10 are standard normal with correlation .3, X2 then replaced by 1{X2 > 0.8416}.
    W = 0.1 / (1 + exp(.5 X3 - .5 X2)) + 1.3 X4 / (1 + exp(-.1 X2)) + 1.5 X4 X6 + .5 X1 X2 + 1.3 X1 + X2 and
    Y ~ Bernoulli(expit(W)). The surrogate flips Y with probability 1 - accuracy, whatever the covariates.
    The logit of Y on X1, X1^2, X2 and X4 is an approximation, and the truth is its population value.

    Parameters
    ----------
    n : int, default 5000
        Number of rows.
    n_labels : int or "all", default 500
        Show Y on a simple random sample of exactly this many rows, or on every row.
    accuracy : float in [0.5, 1], default 0.9
        Accuracy of the surrogate.
    seed : int or numpy.random.Generator, default 1234
        Decides every random draw.

    Returns
    -------
    pandas.DataFrame, shape (n, 12)
        ``Y`` (gold, NaN where not labelled), ``pred_Y``, ``X1`` to ``X10``. ``attrs["truth"]`` has the true
        coefficients (numerical integration, error below 2e-4) and ``attrs["call"]`` the arguments for
        ``dsl.dsl``.

    Raises
    ------
    ArgumentError
        A size is not a whole number or is too small, `n_labels` exceeds `n`, or `accuracy` is not in [0.5, 1].

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model annotations for the
    social sciences: a general framework of using predicted variables in downstream analyses. Appendix E.

    Examples
    --------
    >>> from dsl.datasets import simulate_appendix_e
    >>> data = simulate_appendix_e(seed=1)
    >>> data.shape, int(data["Y"].notna().sum())
    ((5000, 12), 500)
    >>> data.attrs["call"]["formula"]
    'Y ~ X1 + I(X1 ** 2) + X2 + X4'
    """
    n, rng = check_count(n, name="n", least=1), random_generator(seed)
    error = 1 - check_accuracy(accuracy)
    # one common factor with variance .3 in each of the ten (10, n): correlation .3, variance 1
    x = np.sqrt(0.3) * rng.standard_normal((1, n)) + np.sqrt(0.7) * rng.standard_normal((10, n))
    # 0.8416 is the standard normal's .8 quantile: one row in five has X2 = 1
    x[1] = x[1] > 0.8416
    x1, x2, x3, x4, _, x6, *_ = x
    # 0.1 / (1 + exp(.5 X3 - .5 X2)) + 1.3 X4 / (1 + exp(-.1 X2)), since 1 / (1 + exp(-v)) = expit(v)
    score = 0.1 * expit(0.5 * x2 - 0.5 * x3) + 1.3 * x4 * expit(0.1 * x2)
    score += 1.5 * x4 * x6 + 0.5 * x1 * x2 + 1.3 * x1 + x2
    y = draw_binary(expit(score), n, rng)
    return finish(
        {
            "Y": y,
            "pred_Y": flip(y, prob=np.full(n, error), rng=rng),
            **{f"X{j}": column for j, column in enumerate(x, start=1)},
        },
        gold=["Y"],
        shown=draw_fixed(n_rows=n, n_labels=n_labels, rng=rng),
        truth=APPENDIX_E_TRUTH,
        call={
            "formula": "Y ~ X1 + I(X1 ** 2) + X2 + X4",
            "model": "logit",
            "predicted_var": ["Y"],
            "prediction": ["pred_Y"],
        },
    )
