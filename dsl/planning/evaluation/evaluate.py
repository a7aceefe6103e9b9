"""The public call: pretend that gold labels are missing, label again and again, see what the estimators make of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dsl._typing import Arguments, Record
from dsl._version import __version__
from dsl.data.arguments import (
    MOST_REPLICATIONS,
    check_counts,
    check_execution,
    check_most,
    check_target,
    explain_calls,
    pair_surrogates,
    warn_caller,
)
from dsl.data.columns import Columns, check_columns_exist
from dsl.data.files import as_path
from dsl.data.fingerprint import fingerprint, table_fingerprint
from dsl.data.formula.caller import formula_names, used_functions
from dsl.data.formula.text import FormulaLike, formula_identity, formula_text
from dsl.data.tables import TableLike, check_unique, column_names, first_rows, to_pandas
from dsl.engine.intervals import check_alpha
from dsl.estimators.short import Estimators, resolve_estimators
from dsl.exceptions import ArgumentError, EvaluationWarning, LabelError, MissingColumnError
from dsl.planning.evaluation.checkpoint import Checkpoint, Key
from dsl.planning.evaluation.replicate import Cell, Setting, fit_truth, rehearse, run_cells
from dsl.planning.evaluation.results import EvaluationResults, replications_table
from dsl.planning.evaluation.strategies import Designs, resolve_designs, with_baseline

OWN = {
    "design": "evaluate draws the rows itself: use designs={'mine': function}",
    "trained_on": "evaluate draws the labelled rows itself, and rows whose labels were seen belong to one draw",
    "stages": "evaluate draws one sample of labels, and stages are draws one after the other",
    "labeled": "evaluate draws the rows itself: use designs={'mine': function}",
    "sample_prob": "evaluate draws the rows itself: use designs={'mine': function}",
    "estimator": "name estimators to compare: estimators=('gold_only', 'dsl')",
    "tune": "give it to the estimator that has it: estimators={'mine': {'estimator': 'dsl', 'tune': 'coef'}}",
}
"""Arguments of `dsl.dsl` that this call sets, and what to use instead."""


@explain_calls
def evaluate(
    formula: FormulaLike,
    data: TableLike,
    *,
    predicted_var: str | Sequence[str] | Mapping[str, str | Sequence[str]],
    prediction: str | Sequence[str] | None = None,
    n_labels: int | Sequence[int],
    designs: Designs = "srs",
    estimators: Estimators = ("gold_only", "dsl"),
    replications: int = 200,
    target: str = "finite",
    truth: Mapping[str, float] | pd.Series | None = None,
    alpha: float = 0.05,
    seed: int = 1234,
    n_jobs: int = 1,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    **call: Any,
) -> EvaluationResults:
    """Compare designs and estimators on data whose gold labels are all known.

    The gold labels are hidden again and again: each design draws rows to label, their labels are shown, and each estimator
    uses the same labels. What it estimates is known, because the model can be fitted with every label. So the comparison
    tells, for data like these, how many labels are worth how much, before anyone pays for them.

    Parameters
    ----------
    formula
        As in `dsl.dsl`.
    data : data frame
        pandas, polars, pyarrow, or a dict of columns, with no gold label missing.
    predicted_var, prediction
        As in `dsl.dsl`.
    n_labels : int or list of int
        Numbers of rows to label.
    designs : str, list of str, or dict
        ``"srs"`` (simple random sampling), ``"bernoulli"``, ``"adaptive"`` (`dsl.AdaptiveDesign` aimed at all
        coefficients). A dict maps names to one of these, to a function ``(data, n_labels, rng) -> LabelDesign`` (those of
        `dsl.sampling` take ``seed=rng``), or to an object with ``draw(data, n_labels, rng, ask)``, which may ask for gold
        labels on its way: ``ask(row_labels)``. They see the data without `predicted_var`, and should look at no other
        column that would not be known before labelling.
    estimators : str, list of str, or dict
        ``"naive"``, ``"gold_only"``, ``"dsl"``, ``"tuned"`` (``"dsl"`` with ``tune="coef"``), ``"dsl+"``, ``"ppi"``,
        ``"ppi++"``, ``"cdi"``. A dict maps names to one of these, or to arguments of `dsl.dsl`.
    replications : int
        Draws of each design at each number of labels.
    target : {"finite", "superpopulation"}
        Passed to `dsl.dsl`. Intervals for the rows at hand (``"finite"``) are the ones that should hold the truth here:
        only the labelling is random. Others are too wide for it.
    truth : dict or Series, optional
        True values by coefficient. Coefficients not named are left out. By default the estimates with every gold label.
    alpha : float
        One minus the level of the confidence intervals.
    seed : int
        Every draw has random numbers of its own, which depend on the seed, the design's name, the number of labels and that
        of the replication. They do not change when other designs, numbers of labels or replications are added.
    n_jobs : int
        Parallel replications (joblib). The numbers do not depend on it.
    progress : bool
        Show a progress bar.
    checkpoint : str or Path, optional
        File that keeps each finished draw. The same call goes on where an earlier one was interrupted, where `n_labels` and
        `replications` may have changed. A file of another evaluation is refused.
    **call
        Arguments of `dsl.dsl` for all estimators: ``model``, ``feature``, ``cluster``, ``sl_method``, ``sample_split``, ...

    Returns
    -------
    EvaluationResults
        ``replications`` (every estimate), ``summary()`` (coverage, bias, RMSE, width, effective labels, each with its Monte
        Carlo error), ``plot()``.

    Raises
    ------
    LabelError
        Gold labels are missing.
    CheckpointError
        The checkpoint is of another evaluation, or damaged.
    ArgumentError
        An argument is unknown or out of range. Errors of single draws (a logit without a solution) are recorded instead, and
        so is an estimator that does not suit a design (``"ppi"`` with unequal probabilities).

    Notes
    -----
    Effective labels are those that the fair baseline would need: labelled rows alone, weighted by inverse probability, under
    simple random sampling. The baseline is run even if it is not among `designs` and `estimators`, and is part of the
    result. Functions are told apart by their code, not by what they call: use a new checkpoint where that has changed.

    References
    ----------
    Gligoric, Zrnic, Lee, Candès and Jurafsky, "Can unconfident LLM annotations be used for confident conclusions?", NAACL 2025:
    coverage and effective sample size against the number of labels.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> result = dsl.evaluate(
    ...     "human_positive ~ hedge", tweets, predicted_var="human_positive", prediction="vader_positive",
    ...     n_labels=[500, 1000], replications=5, sl_method="lm", sample_split=1)
    >>> result
    <EvaluationResults human_positive ~ hedge: 1 design, 2 estimators, 2 numbers of labels, 5 replications>
    >>> result.summary()[["estimator", "n_labels", "term", "coverage", "effective"]].shape
    (8, 5)
    """
    names = formula_names(2)  # past explain_calls
    _check_options(call, target=target, alpha=alpha)
    table = _table(data)
    # one row less than all: with every row labelled there is nothing to compare
    counts = _counts(n_labels, "n_labels", most=len(table) - 1)
    _counts([replications], "replications", least=2)
    check_most("replications", replications, MOST_REPLICATIONS, "coverage of 0.95 is known to 0.7% from 1,000")
    check_counts(cross_fit=2, sample_split=1, seed=seed, n_jobs=n_jobs)  # the first two are checked by dsl.dsl
    check_execution(n_jobs, progress)
    shared = {"predicted_var": predicted_var, "prediction": prediction, **call}
    functions = used_functions(formula, table.columns, names)
    strategies = resolve_designs(designs, {"formula": formula, **shared}, functions)
    setting = Setting(
        data=table,
        predicted=_checked_gold(table, pair_surrogates(predicted_var, prediction)[0]),
        formula=formula,
        call=shared,
        alpha=alpha,
        seed=seed,
        contenders=with_baseline(strategies, resolve_estimators(estimators)),
        functions=functions,
    )
    # by default the estimates with every label: the same moment equation without anything to correct
    true = _truth(fit_truth(setting), truth)
    if target != "finite" and truth is None:
        warn_caller(
            EvaluationWarning,
            f"intervals for target='{target}' allow for drawing new rows, but the truth is that of the rows at hand: they will "
            "hold it too often; use target='finite'",
        )
    # from here on only the coefficients looked at
    setting = replace(setting, call={**shared, "target": target}, terms=tuple(true.index))
    # mistakes that every draw would repeat are raised before the first is drawn
    rehearse(setting, counts)
    plan = _plan(setting, counts, replications)
    records = _run(setting, plan, _header(setting, truth), checkpoint, n_jobs=n_jobs, progress=progress)
    return EvaluationResults(
        replications=replications_table(setting, plan, records, true),
        truth=true,
        formula=formula_text(formula),
        target=target,
        alpha=alpha,
        seed=seed,
        nobs=len(table),
    )


def _check_options(call: Arguments, *, target: str, alpha: float) -> None:
    own = next((name for name in OWN if name in call), None)
    if own is not None:
        raise ArgumentError(f"evaluate sets '{own}' itself: {OWN[own]}")
    check_target(target)
    check_alpha(alpha)


def _table(data: TableLike) -> pd.DataFrame:
    """All columns, as pandas."""
    names = column_names(data)
    check_columns_exist(Columns(formula=tuple(names), predicted=()), names)
    return to_pandas(data, names)


def _counts(given: object, name: str, *, least: int = 1, most: int | None = None) -> tuple[int, ...]:
    """One whole number or several, in range, as a tuple without repetitions."""
    values: list[object] = (
        [given] if isinstance(given, int | np.integer) or not isinstance(given, Iterable) else list(given)
    )
    top = "" if most is None else f" and at most {most}, one less than there are rows"
    found: list[int] = []
    for value in values:
        number = int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else least - 1
        if number < least or (most is not None and number > most):
            raise ArgumentError(f"{name} must be whole numbers of at least {least}{top}; found {value!r}")
        found.append(number)
    if not values:
        raise ArgumentError(f"{name} is empty; give one number or several")
    # `fromkeys` keeps the order and drops repetitions
    return tuple(dict.fromkeys(found))


def _checked_gold(table: pd.DataFrame, predicted: tuple[str, ...]) -> tuple[str, ...]:
    """The predicted variables, of which every row must have the gold label and a row label of its own."""
    check_unique(table.index)
    for name in predicted:
        if name not in table.columns:
            raise MissingColumnError(
                f"the predicted variable '{name}' is not in the data; evaluate needs its gold labels"
            )
        missing = table[name].isna().to_numpy()
        if missing.any():
            raise LabelError(
                f"'{name}' is missing in {first_rows(missing, table.index)}; evaluate hides gold labels itself and needs that of "
                f"every row: leave these rows out, data.dropna(subset=['{name}'])"
            )
    return predicted


def _truth(fitted: pd.Series, given: Mapping[str, float] | pd.Series | None) -> pd.Series:
    """True values of the coefficients looked at."""
    if given is None:
        return fitted.rename_axis("term").rename("truth")
    try:
        true = pd.Series(given, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(f"truth must give a number for each coefficient by name; found {given!r}") from None
    unknown = [str(name) for name in true.index if name not in fitted.index]
    if unknown or true.empty or not np.isfinite(true).all():
        what = f"names '{unknown[0]}'" if unknown else "is empty or not finite"
        raise ArgumentError(f"truth {what}; the coefficients are {', '.join(fitted.index)}")
    # in the fit's order, whatever the order given
    return true.reindex([term for term in fitted.index if term in true.index]).rename_axis("term").rename("truth")


def _plan(setting: Setting, counts: Sequence[int], replications: int) -> list[Cell]:
    """All cells: every design and number of labels before the next replication."""
    # a run that is interrupted has some replications of everything, rather than all of something
    return [
        Cell(design=design, n_labels=count, replication=replication)
        for replication in range(1, replications + 1)
        for count in counts
        for design in setting.contenders
    ]


def _header(setting: Setting, truth: object) -> dict[str, str]:
    """What the numbers depend on, by name. Neither numbers of labels nor replications are among it."""
    return {
        "version": __version__,
        "data": table_fingerprint(setting.data),
        "formula": fingerprint([formula_identity(setting.formula), setting.functions]),
        "arguments": fingerprint([setting.call, setting.alpha]),
        "truth": fingerprint(truth),
        "seed": fingerprint(setting.seed),
        "designs": fingerprint({name: contender.strategy for name, contender in setting.contenders.items()}),
        "estimators": fingerprint({name: contender.estimators for name, contender in setting.contenders.items()}),
    }


def _run(
    setting: Setting,
    plan: list[Cell],
    header: Mapping[str, str],
    path: str | Path | None,
    *,
    n_jobs: int,
    progress: bool,
) -> dict[Key, Record]:
    """Records of all cells of the plan, those of the checkpoint included."""
    with Checkpoint(path=None if path is None else as_path(path, "checkpoint"), header=header) as checkpoint:
        open_cells = [cell for cell in plan if cell.key not in checkpoint.finished]
        finished = run_cells(setting, open_cells, n_jobs)
        if progress:
            from tqdm.auto import tqdm

            finished = tqdm(finished, desc="replications", total=len(plan), initial=len(plan) - len(open_cells))
        # written by this process alone: workers hand their records back
        for cell, record in finished:
            checkpoint.add(cell.key, record)
        return checkpoint.finished
