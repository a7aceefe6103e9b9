"""Labels where they tell most about the coefficients of interest, as a pilot estimates it."""

from collections.abc import Sequence

import numpy as np

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.data.arguments import Seed, as_names, check_count, explain_calls, random_generator
from dsl.data.tables import TableLike
from dsl.estimators.result import Fit, HasFit, fit_of
from dsl.exceptions import ArgumentError
from dsl.learners.auto import Method
from dsl.learners.names import check_method, method_label
from dsl.learners.text.checks import check_reads
from dsl.sampling.design import LabelDesign
from dsl.sampling.draw import draw_fixed_size
from dsl.sampling.further import CRITERION, ERROR_MODEL, ROBUST, TAU, FurtherDraw
from dsl.sampling.influence import Pilot, estimate_errors, influence_variances, read_pilot
from dsl.sampling.population import seed_setting
from dsl.sampling.probability import relative_variance, robust_mixture
from dsl.sampling.schemes import check_floor


@explain_calls
def targeted(
    fit: Fit | HasFit,
    data: TableLike,
    n_labels: int,
    *,
    coefficient: str | Sequence[str] = "all",
    criterion: str = CRITERION,
    tau: float = TAU,
    floor: float | None = None,
    robust: bool = ROBUST,
    keep_pilot: bool = True,
    error_model: Method = ERROR_MODEL,
    seed: Seed = 1234,
) -> LabelDesign:
    r"""Draw rows with the probabilities that make chosen coefficients of a regression most precise.

    A row is worth labelling where its prediction is likely to be wrong and where its covariates matter:
    :math:`u_i = \sqrt{\hat e_i} \, |x_i'h|`, with :math:`\hat e_i` the expected squared error of the pilot's prediction and h
    the coefficient's row of the inverse Jacobian. The errors come from an error model, cross-fitted on the pilot's labels.
    Then :math:`\pi_i = \mathrm{clip}(\lambda ((1 - \tau) u_i / \bar u + \tau), f, 1)`, summing to `n_labels` exactly.

    For several coefficients the probabilities minimise the largest (or the mean) ratio of their variances against even
    probabilities, with none above one: no coefficient is worse off, as far as the error model is right. With predicted
    covariates, h'm is evaluated at the predictions plus and minus their expected errors.

    Parameters
    ----------
    fit : DSLResults
        The pilot: a fit of `dsl.dsl` with ``estimator="dsl"`` on some labels, of which 200 or so will do.
    data : data frame
        The table that the pilot was fitted to.
    n_labels : int
        Number of rows to label now, none of the pilot's among them.
    coefficient : str, list of str or "all"
        Coefficients as ``fit.params`` names them. ``"all"`` is all but the intercept.
    criterion : {"worst", "mean"}
        For several coefficients: the smallest largest ratio, which all coefficients then share, or the smallest mean one.
    tau : float
        Share of the labels spread evenly, in [0, 1].
    floor : float, optional
        Smallest probability, by default a tenth of the mean one.
    robust : bool
        Draw the probabilities towards even ones as far as the pilot's own errors advise: insurance against an error model
        that is wrong.
    keep_pilot : bool
        Whether the pilot's labels will be used again. If so the design covers both draws: a row's probability is that
        of being drawn in either, :math:`p_i + (1 - p_i) \pi_i`. The pilot's rows count as drawn, and `to_coder` does not ask
        for their labels again. If not, it is a new draw from all rows, and the pilot's labels go.
    error_model : str or estimator
        As ``sl_method`` of `dsl.dsl`.
    seed : int or numpy.random.Generator

    Returns
    -------
    LabelDesign
        ``settings["relative_variance"]`` has, per coefficient, the labelling variance against even probabilities as the
        error model expects it (``"expected"``) and as the pilot's labels estimate it (``"estimated"``). ``settings["rho"]``
        says how far the probabilities were drawn towards even ones.

    Raises
    ------
    ArgumentError
        An unknown coefficient, labels or a floor that cannot be met, a pilot without predictions, `data` that are not its own.

    Notes
    -----
    Valid whatever the error model, since the probabilities are known. With `keep_pilot` they are those of the second draw
    given the first, which holds exactly where a row's probability does not depend on its own label: error estimates are
    out-of-fold for this reason. A pilot drawn in clusters or strata is taken for one of independent rows.

    References
    ----------
    Zrnic and Candes, "Active statistical inference", 2024. Gligoric, Zrnic, Lee, Candes and Jurafsky, "Can unconfident LLM
    annotations be used for confident conclusions?", NAACL 2025. Li, Zrnic and Candes, "Robust sampling for active statistical
    inference", 2025.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=250, seed=1)
    >>> pilot = dsl.dsl("human_positive ~ negation + hedge", tweets, model="logit", predicted_var="human_positive",
    ...                 prediction=["vader_positive", "vader_compound"], sl_method="ridge", sample_split=2)
    >>> design = dsl.sampling.targeted(pilot, tweets, 750, coefficient="hedge", error_model="knn", seed=1)
    >>> design.n_drawn, design.settings["relative_variance"]["expected"]["hedge"] < 0.6
    (1000, True)
    """
    _check_share(tau)
    check_method(error_model, "gaussian")
    check_reads(error_model, None)
    pilot = read_pilot(fit_of(fit), data)
    chosen = _chosen(coefficient, pilot.names)
    draw = _draw_of(pilot, n_labels, keep=keep_pilot, floor=floor)
    rng = random_generator(seed)
    # a seed of its own for the error model, drawn first: the rows drawn depend on what comes after
    errors = estimate_errors(pilot, error_model, int(rng.integers(2**31)))
    variance = influence_variances(pilot, errors, chosen)
    aimed = draw.aimed(variance, tau=tau, criterion=criterion)
    prob, rho = _mixed(pilot, draw, aimed, chosen) if robust else (aimed, 0.0)
    return LabelDesign(
        kind="targeted",
        rows=pilot.sample.labels,
        prob=prob,
        drawn=_drawn(draw, prob, rng),
        fixed_size=True,
        settings={
            "n_labels": draw.size,
            "coefficient": [pilot.names[j] for j in chosen],
            "prediction": list(pilot.analysis.columns.prediction),
            "criterion": criterion,
            "tau": float(tau),
            "floor": draw.floor,
            "rho": rho,
            "pilot": pilot.sample.n_labeled,
            "keep_pilot": bool(keep_pilot),
            "error_model": method_label(error_model),
            "relative_variance": _gains(pilot, chosen, variance, prob),
            **seed_setting(seed),
        },
    )


def _check_share(tau: object) -> None:
    if isinstance(tau, bool) or not isinstance(tau, int | float | np.number) or not 0.0 <= tau <= 1.0:
        raise ArgumentError(f"tau, the share of the labels spread evenly, must be between 0 and 1; found {tau!r}")


def _chosen(coefficient: str | Sequence[str], names: tuple[str, ...]) -> IntArray:
    """Positions of the coefficients named."""
    if coefficient == "all":
        return np.array([j for j, name in enumerate(names) if name != "Intercept"] or [0])
    wanted = as_names(coefficient, "coefficient")
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise ArgumentError(
            f"coefficient names {unknown[0] if unknown else 'nothing'!r}; the pilot's coefficients are {', '.join(names)}"
        )
    return np.array([names.index(name) for name in wanted])


def _draw_of(pilot: Pilot, n_labels: object, *, keep: bool, floor: float | None) -> FurtherDraw:
    """What is to be drawn now, the number of labels and the floor checked."""
    n, labeled = len(pilot.prob), pilot.sample.labeled
    count = check_count(n_labels, name="n_labels", least=1)
    left = int((~labeled).sum()) if keep else n
    if count > left:
        raise ArgumentError(f"n_labels is {count}, but {left} rows are left to draw from; lower it")
    total = count + (pilot.sample.n_labeled if keep else 0)
    return FurtherDraw(
        size=count,
        before=pilot.prob if keep else np.zeros(n),
        labeled=labeled if keep else np.zeros(n, dtype=bool),
        # a tenth of the mean probability by the end
        floor=check_floor(floor, total, n, default=0.1 * total / n),
    )


def _drawn(draw: FurtherDraw, prob: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Rows drawn by the pilot, if it counts, or now."""
    # the pilot's rows stay drawn. Of the others exactly `size`, with (p - before) / (1 - before)
    drawn = draw.labeled.copy()
    drawn[~draw.labeled] = draw_fixed_size(draw.now(prob)[~draw.labeled], rng)
    return drawn


def _mixed(pilot: Pilot, draw: FurtherDraw, prob: FloatArray, chosen: IntArray) -> tuple[FloatArray, float]:
    """Probabilities drawn towards even ones as far as the pilot's own errors advise, and how far that is."""
    labeled = pilot.sample.labeled
    mixture = robust_mixture(
        prob,
        draw.budget,
        past=labeled,
        past_variance=_past(pilot, chosen),
        past_weight=1.0 / pilot.prob[labeled],
        floor=draw.floors,
        weight=draw.weight,
    )
    return mixture.prob, mixture.rho


def _past(pilot: Pilot, chosen: IntArray) -> FloatArray:
    """(h_j'(m_i - m_hat_i))^2 of the labelled rows, (n, c)."""
    # label scores are (m - m_hat) / pi: back to the plain difference
    gap = pilot.label_scores * pilot.prob[pilot.sample.labeled][:, None]
    return np.asarray((gap @ pilot.inverse[chosen].T) ** 2)


def _gains(pilot: Pilot, chosen: IntArray, variance: FloatArray, prob: FloatArray) -> dict[str, dict[str, float]]:
    """Labelling variance of each coefficient against even probabilities, as expected and as estimated."""
    names = [pilot.names[j] for j in chosen]
    labeled = pilot.sample.labeled
    past = _past(pilot, chosen) / pilot.prob[labeled][:, None]
    # sum_past w d^2 / pi over sum_past w d^2 / b, with w = 1 / pi_pilot and b the mean probability
    estimated = float(prob.mean()) * (past / prob[labeled][:, None]).sum(axis=0) / past.sum(axis=0)
    return {
        "expected": dict(zip(names, relative_variance(variance, prob).tolist(), strict=True)),
        "estimated": dict(zip(names, estimated.tolist(), strict=True)),
    }
