"""From posts to the units that wrote them: a table with one row per candidate, user, newspaper."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from dsl._typing import BoolArray, FloatArray, IntArray
from dsl.analyses.held import as_read, held_table
from dsl.analyses.paired import Paired, read
from dsl.data.arguments import as_name, as_names, check_choice, explain_calls, warn_caller
from dsl.data.columns import named_columns
from dsl.data.design import SamplingDesign
from dsl.data.drawn import asked
from dsl.data.recorded import warn_if_unused
from dsl.data.source import DataLike, as_source
from dsl.data.tables import TableLike, first_rows, is_category
from dsl.data.weights import row_weights
from dsl.engine.inclusion import Cells, adjusted_means, prob_at_least, prob_reached, unequal_within
from dsl.engine.labeling import Labeling
from dsl.exceptions import ArgumentError, DataError, LabelError, SampleProbabilityError, UnequalPostsWarning

STATISTICS = ("mean", "any")
COUNTS = ("n_posts", "n_labeled", "labeled", "sample_prob", "unit_prob", "post_prob", "note")
"""Columns that say how a unit's posts were labelled."""
COMPLETE, PARTLY, UNEQUAL, NONE = "complete", "in part: outcome only", "in part, unequal: use adjusted", "not labelled"
"""What `note` says."""


@explain_calls
def aggregate(
    posts: DataLike,
    *,
    unit: str | Sequence[str],
    gold: str | Sequence[str],
    prediction: str | Sequence[str],
    labeled: str | None = None,
    sample_prob: str | None = None,
    design: SamplingDesign | None = None,
    weights: str | None = None,
    keep: str | Sequence[str] | None = None,
    statistic: str = "mean",
    at_least: int | str | None = None,
) -> pd.DataFrame:
    r"""One row per unit (candidate, user, newspaper) from the posts that make it up.

    Some posts of some units have gold labels. The table has what analyses of units need: means of the gold labels and of the
    predictions, and the probability that a unit has gold labels at all. It also has design-adjusted means, which are unbiased
    for the mean of all posts' gold labels whatever the predictions are worth:

    .. math:: \tilde y_u = \frac{1}{n_u} \sum_{i \in u} \Big[ f_i + \frac{R_i}{\pi_i} (y_i - f_i) \Big].

    Parameters
    ----------
    posts : data frame, or source of blocks of rows
        pandas, polars, pyarrow, or a dict of columns, with one row per post. Of a source (`dsl.dsl`) the columns of the call are
        in memory, in a few bytes a row.
    unit : str or list of str
        Columns whose values make the units.
    gold : str or list of str
        Columns with the expert labels, missing where not labelled: numbers (0/1 for shares), or categories, of which each
        gets columns of its own, ``topic[war]``.
    prediction : str or list of str
        Columns with their surrogates, in the same order, for every post. Out-of-fold predictions of ``dsl.dsl``
        (``fit.predictions.mean(axis=0)``) do as well, and make the adjusted means more precise.
    labeled, sample_prob, design
        As in ``dsl.dsl``: which posts are labelled, and with which probability. Without any, the labelled posts are taken for
        a simple random sample of all posts.
    weights : str, optional
        Column with what each post counts for in its unit's means, above zero: reach, length, a survey weight.
    keep : str or list of str, optional
        Columns that describe units (party, age), equal in all posts of a unit, to carry along.
    statistic : {"mean", "any"}
        Mean over the posts (a share, if gold is 0/1), or whether it is 1 in any post.
    at_least : int or "all", optional
        Labelled posts that a unit needs to count as labelled (all of them, in smaller units). By default 1, and "all" for
        ``statistic="any"``, which is not known before.

    Returns
    -------
    DataFrame, one row per unit
        The unit's columns, those of `keep`, and

        gold's name: mean (or any) over the labelled posts, weighted by inverse probability. Missing unless `labeled`.
        prediction's name: the same of the predictions of all posts.
        ``<gold>_adjusted``: design-adjusted mean over all posts, for every unit (``statistic="mean"``).
        ``<gold>_noise``: unbiased estimate of the variance that the choice of the labelled posts gives it, to be averaged over
        units: in one unit it may be zero, or negative.
        ``n_posts``, ``n_labeled``: posts, and labelled ones.
        ``labeled``: 1 if the unit counts as labelled.
        ``sample_prob``: probability that it does, for ``dsl.dsl(sample_prob="sample_prob")``.
        ``unit_prob``, ``post_prob``: probability that the unit was reached in a first stage of drawing (1 if there was none),
        and share of its posts to be labelled once it was.
        ``note``: "complete" (all posts labelled), "in part: outcome only", "in part, unequal: use adjusted", "not labelled".

    Raises
    ------
    DataError
        The unit of some posts is missing, or a column of `keep` varies within units.
    LabelError
        No unit has as many labelled posts as `at_least` asks for, or ``"any"`` of labels that are not 0/1.
    SampleProbabilityError
        The design cannot label as many posts in some units.
    DSLError
        Named subclasses, as ``dsl.dsl`` raises for the same arguments.

    Warns
    -----
    UnequalPostsWarning
        Posts of the same unit had different probabilities: means over its labelled posts are then biased.

    Notes
    -----
    What may be done with a unit's mean depends on its place in the analysis.

    As an *outcome*, noise does not matter but bias does. ``<gold>_adjusted`` is unbiased for every unit: regress it on
    anything, by least squares over all units with robust standard errors. The labelled mean, missing for some units, is
    unbiased where a unit's posts had equal probabilities. Then ``dsl.dsl`` with the predicted mean and ``sample_prob`` is
    valid too, for ``model="logit"`` as well. It forgets the predictions of unlabelled posts in labelled units, and so is
    usually less precise.

    As a *covariate*, noise attenuates. Only units with all posts labelled have the unit's mean: pass ``at_least="all"``
    and draw whole units (``dsl.sampling.clustered``). How much a partly labelled mean would attenuate can be told from
    ``noise.mean() / adjusted.var()``, the share of the adjusted means' variance that is due to labelling.

    Where the question is about posts (does a post's tone move with the economy?), analyse posts, with
    ``dsl.dsl(..., cluster=unit)``: units then count by their number of posts.

    The probability of at least k labelled posts follows from the design. It is hypergeometric for simple random and
    stratified samples, and Poisson-binomial for independent draws (to which fixed sizes with unequal probabilities come
    close), multiplied by that of the first stage.

    References
    ----------
    Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe", JASA 1952. Sarndal,
    Swensson and Wretman, "Model assisted survey sampling", 1992, sections 4.3 and 6.3 (two stages, difference estimator).
    DSL-2024 on data at several levels.

    Examples
    --------
    >>> import dsl
    >>> from dsl.analyses.aggregate import aggregate
    >>> posts = dsl.datasets.simulate_nested(n_candidates=100, n_posts=5, n_labels=120, seed=1)
    >>> units = aggregate(posts, unit="candidate", gold="tone", prediction="pred_tone", keep="incumbent")
    >>> len(units), int(units["n_posts"].sum()), int(units["n_labeled"].sum())
    (100, 479, 120)
    >>> fit = dsl.dsl("tone ~ incumbent", units, predicted_var="tone", prediction="pred_tone",
    ...               sample_prob="sample_prob", sl_method="lm")
    >>> fit.nobs, fit.n_labeled == int(units["labeled"].sum())
    (100, True)
    """
    units, kept = as_names(unit, "unit"), as_names(keep, "keep")
    golds, predictions = as_names(gold, "gold"), as_names(prediction, "prediction")
    least = _check_choice(statistic, at_least)
    roles = {
        **dict.fromkeys(kept, "keep"),
        **dict.fromkeys(predictions, "prediction"),
        **dict.fromkeys(golds, "gold"),
        **{name: role for role, name in _singles(labeled, sample_prob, weights).items() if name is not None},
        **dict.fromkeys(units, "unit"),
    }
    _check_names(units, kept, golds, predictions)
    if weights is not None and statistic != "mean":
        raise ArgumentError(
            f"weights={weights!r} count in means; whether any post is 1 has no use for them: leave them out"
        )
    source = as_source(posts)
    data = cast(TableLike, posts) if source is None else held_table(source, roles)
    frame = named_columns(data, roles)
    codes, table = _units(frame, units)
    post_weight = _within_units(row_weights(frame, weights, sample_prob), codes)
    with asked(data, roles):
        paired = read(
            frame.drop(columns=[name for name in frame if roles[str(name)] in ("keep", "unit", "weights")]),
            gold=golds,
            prediction=predictions,
            labeled=labeled,
            sample_prob=sample_prob,
            cluster=None,
            design=design,
        )
    if not paired.sample.labeled.all():
        warn_if_unused(data, gold=golds, design=design, sample_prob=sample_prob, clusters=False)
    # units are told apart in messages by their own values, not by the table's row numbers
    names = pd.Index(table[units[0]]) if len(units) == 1 else pd.MultiIndex.from_frame(table)
    for name in kept:
        table[name] = _constant(frame[name], codes, names)
    if source is not None:
        table = as_read(table, source)
    _add_values(table, names, codes, paired, dict(zip(golds, predictions, strict=True)), statistic, least, post_weight)
    return table


def _singles(labeled: object, sample_prob: object, weights: object) -> dict[str, str | None]:
    named = {"labeled": labeled, "sample_prob": sample_prob, "weights": weights}
    return {role: as_name(name, role) for role, name in named.items()}


def _within_units(weights: FloatArray | None, code: IntArray) -> FloatArray:
    """What posts count for, with mean one in every unit, (N,)."""
    if weights is None:
        return np.ones(len(code))
    return np.asarray(weights * (np.bincount(code) / np.bincount(code, weights))[code])


def _check_choice(statistic: str, at_least: object) -> int | None:
    """Labelled posts that a unit needs, or None for all."""
    check_choice("statistic", statistic, STATISTICS)
    if (isinstance(at_least, str) and at_least == "all") or (at_least is None and statistic == "any"):
        return None
    least = 1 if at_least is None else at_least
    if isinstance(least, bool) or not isinstance(least, int | np.integer) or least < 1:
        raise ArgumentError(f"at_least must be a whole number of labelled posts, 1 or more, or 'all'; found {least!r}")
    if statistic == "any":
        raise ArgumentError(
            f"at_least={least} does not go with statistic='any': whether any post of a unit is 1 is known once all are labelled; "
            "leave at_least out"
        )
    return int(least)


def _check_names(units: Sequence[str], kept: Sequence[str], golds: Sequence[str], predictions: Sequence[str]) -> None:
    if not units:
        raise ArgumentError("unit names no column; name the one that tells the units apart")
    made = (*COUNTS, *(f"{name}_{what}" for name in golds for what in ("adjusted", "noise")))
    clash = [name for name in (*units, *kept, *golds, *predictions) if name in made]
    if clash:
        raise ArgumentError(
            f"column '{clash[0]}' would be overwritten by the one of that name in the result; rename it"
        )
    twice = sorted(set(units) & {*kept, *golds, *predictions} | set(kept) & {*golds, *predictions})
    if twice:
        raise ArgumentError(
            f"'{twice[0]}' has two parts in the call: unit, keep, gold and prediction name different columns"
        )


def _units(frame: pd.DataFrame, units: tuple[str, ...]) -> tuple[IntArray, pd.DataFrame]:
    """Code of each post's unit, and a table of the units in sorted order."""
    if frame.empty:
        raise DataError("the data have no rows; look at the filter or join that made them")
    for name in units:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"unit '{name}' is missing in {first_rows(missing, frame.index)}: these posts belong to no unit. Fill it (one "
                "value of its own for each, if they come from different units)"
            )
    grouped = frame.groupby(list(units), sort=True, observed=True)
    table = grouped.size().index.to_frame(index=False)
    return grouped.ngroup().to_numpy(dtype=np.int64), table


def _constant(column: pd.Series, codes: IntArray, names: pd.Index) -> pd.Series:
    """The value of each unit. Raises DataError where its posts differ."""
    # a missing value is a value like others here: a unit with some missing and some known ones varies
    values, found = pd.factorize(column, use_na_sentinel=False)
    # one cell for each (unit, value) pair: a unit in two cells has two values
    cells = Cells.of(codes, values)
    several = np.bincount(cells.unit) > 1
    if several.any():
        raise DataError(
            f"'{column.name}' (keep) varies within {first_rows(several, names, 'unit')}; a column to keep describes units. Take "
            f"its mean, data.groupby({list(names.names)})['{column.name}'].transform('mean'), or analyse posts with "
            f"dsl.dsl(..., cluster='{names.names[0]}')"
        )
    out = pd.Series(found.take(cells.group))
    # the column's type is kept, but categories keep the type that `factorize` found: only values in use
    return out.astype(column.dtype) if is_category(column) else out


def _add_values(
    table: pd.DataFrame,
    units: pd.Index,
    code: IntArray,
    paired: Paired,
    pairs: dict[str, str],
    statistic: str,
    least: int | None,
    post_weight: FloatArray,
) -> None:
    """Fill the table in. `code` (N,) is the unit of each post, `post_weight` (N,) what it counts for in the unit's mean."""
    labeling = paired.sample.labeling
    # posts and labelled posts (U,) of each unit
    rows, labels = np.bincount(code), np.bincount(code[labeling.drawn], minlength=len(units))
    # units with fewer posts than `least` need all that they have
    needed = rows if least is None else np.minimum(rows, min(least, len(code)))
    counted = labels >= needed
    if not counted.any():
        raise LabelError(
            f"no unit has {'all its posts' if least is None else f'{least} posts'} labelled (the most is {labels.max()}, of "
            f"{rows[labels.argmax()]}); "
            + ("draw whole units, dsl.sampling.clustered" if least is None else "lower at_least, or label more")
        )
    # P(at least `needed` labelled posts), the unit's sampling probability in an analysis of units
    chance = prob_at_least(labeling, code, needed)
    _check_chance(chance, counted, needed, rows, units)
    for name, own in pairs.items():
        for label, other, gold, guess in _numeric(name, own, paired):
            if statistic == "any":
                _check_binary(gold, label)
                table[label], table[other] = (
                    _largest(gold, code[labeling.drawn], len(units)),
                    _largest(guess, code, len(units)),
                )
            else:
                # the surrogates are known for all posts, and their mean needs no sampling probabilities
                on_labels, every = post_weight[labeling.drawn], post_weight * guess
                table[label], table[other] = (
                    _labeled_mean(gold, labeling, code, on_labels),
                    np.bincount(code, every) / rows,
                )
                # sum of w psi / sum of w = mean of (w psi), as the weights of a unit have mean one
                table[f"{label}_adjusted"], table[f"{label}_noise"] = adjusted_means(
                    labeling, code, every, on_labels * gold
                )
            table[label] = table[label].where(counted)
    reached = prob_reached(labeling, code)
    unequal = unequal_within(labeling, code) & (labels < rows)
    if statistic == "mean":
        _warn_if_unequal(unequal & (labels > 0), units, list(pairs))
    table["n_posts"], table["n_labeled"], table["labeled"] = rows, labels, counted.astype(int)
    table["sample_prob"], table["unit_prob"] = chance, reached
    # sum of pi over the unit's posts = P(reached) * expected labels once reached
    table["post_prob"] = np.bincount(code, labeling.prob) / rows / reached
    # the first that holds: units labelled in full, or not at all, are never unequal
    table["note"] = np.select([labels == rows, labels == 0, unequal], [COMPLETE, NONE, UNEQUAL], PARTLY)


def _labeled_mean(gold: FloatArray, labeling: Labeling, code: IntArray, counted: FloatArray) -> FloatArray:
    """Means (U,) over the labelled posts, weighted by inverse probability and what posts count for, NaN without any."""
    labeled, n_units = code[labeling.drawn], int(code.max()) + 1
    weight = counted / labeling.prob[labeling.drawn]
    # Hajek's mean: sum of y / pi over sum of 1 / pi, of the labelled posts
    total, count = (np.bincount(labeled, values, minlength=n_units) for values in (weight * gold, weight))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def _largest(values: FloatArray, code: IntArray, n_units: int) -> FloatArray:
    """Largest value (U,) among the posts of each unit, NaN without any."""
    # -inf marks units without a post: no label is infinite
    out = np.full(n_units, -np.inf)
    np.maximum.at(out, code, values)
    return np.where(np.isinf(out), np.nan, out)


def _numeric(name: str, own: str, paired: Paired) -> list[tuple[str, str, FloatArray, FloatArray]]:
    """Labels of both columns, gold values (n,) and surrogates (N,): of a number, or of each category."""
    gold, guess = paired.sample.data.loc[:, name], paired.surrogates[name]
    labelled = gold[paired.sample.labeled]
    if not is_category(gold):
        return [(name, own, labelled.to_numpy(dtype=float), np.asarray(guess, dtype=float))]
    return [
        (
            f"{name}[{level}]",
            f"{own}[{level}]",
            (labelled == level).to_numpy(dtype=float),
            np.asarray(guess == level, dtype=float),
        )
        for level in gold.cat.categories
    ]


def _check_binary(gold: FloatArray, name: str) -> None:
    other = gold[~np.isin(gold, (0.0, 1.0))]
    if len(other):
        raise LabelError(
            f"statistic='any' asks whether '{name}' is 1 in any post, but it is {other[0]:g} in {len(other)} of {len(gold)} "
            f"labelled posts; make it 0/1, e.g. data['{name}'] > {np.median(gold):g}, kept missing where not labelled"
        )


def _check_chance(chance: FloatArray, counted: BoolArray, needed: IntArray, rows: IntArray, units: pd.Index) -> None:
    never = chance <= 0.0
    if not never.any():
        return
    u = int(np.flatnonzero(never)[0])
    raise SampleProbabilityError(
        f"the labelling design can never label {needed[u]} of the {rows[u]} posts of a unit as asked for, in "
        f"{first_rows(never, units, 'unit')}"
        + (
            ", some of which are labelled all the same: is this the design they were drawn by?"
            if counted[never].any()
            else ""
        )
        + ". Lower at_least, or draw whole units (dsl.sampling.clustered)"
    )


def _warn_if_unequal(unequal: BoolArray, units: pd.Index, golds: list[str]) -> None:
    if unequal.any():
        warn_caller(
            UnequalPostsWarning,
            f"posts of the same unit were labelled with different probabilities in {first_rows(unequal, units, 'unit')}: the "
            f"mean of a few labelled posts, '{golds[0]}', is biased there even if weighted. Use '{golds[0]}_adjusted'",
        )
