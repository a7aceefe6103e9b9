"""The public call: check arguments, then hand data from one room to the next."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from numpy.typing import ArrayLike

from dsl._typing import AnyArray
from dsl.analyses.results import DSLResults
from dsl.data.arguments import (
    Names,
    Pairs,
    as_name,
    as_names,
    check_counts,
    explain_calls,
    pair_surrogates,
    warn_caller,
)
from dsl.data.design import SamplingDesign, check_design
from dsl.data.files import PathLike, as_path
from dsl.data.formula.caller import formula_names
from dsl.data.formula.rlang.evaluate import Functions
from dsl.data.formula.text import FormulaLike
from dsl.data.recorded import warn_if_unused
from dsl.data.source import MEMORY, DataLike, Source, as_bytes, as_source
from dsl.data.stages import Stages, as_stages
from dsl.data.tables import TableLike
from dsl.data.trained import TrainedOn, as_trained
from dsl.engine.behind import FEW
from dsl.engine.instruments import WEAK
from dsl.estimators.analysis import look_at_training
from dsl.estimators.call import Call, Execution
from dsl.estimators.checkpoint import told_of
from dsl.estimators.kept import analysis_for, look_for
from dsl.estimators.looked import look_streamed
from dsl.estimators.names import ESTIMATORS, resolve_tune, resolve_use_t, resolve_vcov
from dsl.estimators.options import OPTIONS, check_options
from dsl.estimators.result import Fit
from dsl.estimators.run import run, run_streaming
from dsl.estimators.streaming import prepare_streaming
from dsl.exceptions import ArgumentError, FewLabelsWarning, LeakError, WeakInstrumentWarning
from dsl.learners.auto import Method
from dsl.learners.splits import default_splits

MOST_NAMED = 6
"""Coefficients that a warning names."""
IN_MEMORY = (
    "checkpoint= keeps passes over data that are read in blocks, and data is a table in memory; leave it out, or pass a source "
    "of blocks (the path of a Parquet file)"
)


@explain_calls
def dsl(
    formula: FormulaLike,
    data: DataLike,
    *,
    predicted_var: str | Sequence[str] | Mapping[str, str | Sequence[str]],
    prediction: str | Sequence[str] | None = None,
    model: str = "lm",
    labeled: str | None = None,
    sample_prob: str | None = None,
    cluster: str | Sequence[str] | None = None,
    weights: str | None = None,
    stages: Stages | None = None,
    trained_on: TrainedOn | None = None,
    index: str | Sequence[str] | None = None,
    fixed_effect: str = "oneway",
    sl_method: Method = "auto",
    feature: str | Sequence[str] | None = None,
    text: str | None = None,
    refusals: str = "raise",
    family: str = "gaussian",
    cross_fit: int = 5,
    sample_split: int | None = None,
    seed: int = 1234,
    folds: Sequence[ArrayLike] | AnyArray | None = None,
    estimator: str = "dsl",
    tune: str | float | None = None,
    target: str = "superpopulation",
    design: SamplingDesign | None = None,
    vcov: str | None = None,
    use_t: bool | None = None,
    n_jobs: int = 1,
    progress: bool = False,
    memory: int | str = MEMORY,
    checkpoint: PathLike | None = None,
) -> DSLResults:
    r"""Regression on imperfectly labelled variables, repaired with gold labels of a random subsample.

    Every row has surrogate labels (`prediction`) of the predicted variables, and a sample drawn with known
    probability has expert (gold) labels too. The estimate solves the design-adjusted moment equation

    .. math:: \sum_i \hat m_i + \frac{R_i}{\pi_i} (m_i - \hat m_i) = 0,

    which is consistent whatever the quality of the surrogates, because the sampling probabilities
    are known (DSL-2024, eq. 8).

    Parameters
    ----------
    formula : str, formulaic.Formula or formulaic.ModelSpecs
        ``"y ~ x1 + factor(x2) * x3 + I(x4^2)"``: R's formula language (`dsl.data.formula.rlang` lists what works and what is
        refused), with Python's spellings (``np.log1p(x)``, ``C(g)``) and the functions of the code that the call stands in.
        ``"y ~ x | unit + year"`` absorbs fixed effects (``"felm"``, ``"poisson"``), ``"y ~ x | state^year"`` one for each
        combination. ``formulaic.Formula("y ~ x1 + C(x2, contr.sum)")``
        is evaluated and named by formulaic, in Python's language (``x**2``: its ``I(x^2)`` is an exclusive or), and the
        `ModelSpecs` of a ``formulaic.model_matrix`` with its levels, scales and knots (`dsl.data.formula.formulaic_spec`).
    data : data frame, or source of blocks of rows
        pandas, polars, pyarrow, or a dict of columns. Gold values are missing where not labelled.

        Data larger than memory are read in blocks, the columns of the call alone: the path of a Parquet file, of a folder of such
        or a glob (hive partitions are columns), a ``pyarrow.dataset.Dataset``, a DuckDB relation, a polars ``LazyFrame``, a dask
        ``DataFrame``, or an iterable of frames that can be started again. The numbers are those of the same rows in memory.
        Labelled rows are kept, and must fit, and so must levels x columns numbers of absorbed fixed effects. Checks of labels,
        codes and scales look at labelled rows and at 10,000 of the others, which ``fit.sample.notes`` says. Results keep nothing
        of all rows, as after ``remove_data()``. What needs all rows at once raises NeedsAllRowsError.
    predicted_var : str, list of str, or dict
        Variables of the formula with gold labels on some rows only. A dict maps each to its
        surrogate(s), which then need not be repeated in `prediction`.
    prediction : str or list of str, optional
        Columns with the surrogates, known for every row. All of them serve to predict every variable. A model's confidence in its
        label belongs here too, beside the label: with ``sl_method="auto"`` and ``"ridge"`` learners see products of up to six
        such columns (`dsl.learners.products`). Of several surrogates of one variable ``"cdi"`` and ``"ppi++"`` give each a
        lambda of its own, ``"ppi"`` and ``"naive"`` take the first.
    model : {"lm", "logit", "felm", "poisson", "probit", "cloglog", "gamma", "multinom", "ologit", "oprobit", "negbin", "iv"}
        Linear, logistic, and linear regression with fixed effects. Poisson regression (log link) of counts and other outcomes of
        zero or more. Probit and complementary log-log regression of outcomes of 0 and 1. Gamma regression (log link) of positive
        outcomes. Multinomial logistic regression of classes against the first one. Ordered logistic and probit regression,
        P(y <= k) = F(zeta_k - x'b): a positive b makes higher classes likelier, as in R's ``polr``. Negative binomial
        regression of counts, with Var(y) = mu + alpha mu^2 and ``log(alpha)`` as its last parameter. ``"iv"``: two-stage least
        squares, ``"y ~ x | d ~ z"`` or ``"y ~ x | unit | d ~ z"`` with instruments z for the covariates d (``fit.first_stage``,
        ``fit.overidentification``). All but ``felm`` and ``multinom`` take ``offset(log(exposure))``.
    labeled : str, optional
        Column that is 1 on labelled rows and 0 elsewhere. By default the rows where no `predicted_var` is
        missing.
    sample_prob : str, optional
        Column with each row's probability of being labelled, in (0, 1]. By default all rows had the same.
    cluster : str or list of two, optional
        Column with clusters: standard errors allow for correlation within them, and folds keep them whole. With two columns they
        allow for correlation within either (Cameron, Gelbach and Miller 2011; `dsl.engine.two_way`), degrees of freedom are
        at most those of the fewer clusters, and folds keep the first's whole.
    weights : str, optional
        Column with what each row counts for in the analysis (survey weights), above zero. They multiply moments and Jacobians,
        and say nothing of how rows were drawn for labelling, which is what `sample_prob` is for. Their unit does not matter.
    stages : list of pairs, optional
        Labels of lower quality on more rows, such as a crowd's where experts labelled some of the crowd's rows: label column
        and column of the probability to be labelled there, ``[("crowd", "p_crowd")]``, from the coarsest to the finest. Gold
        labels are the last stage, `sample_prob` the probability of coming that far (`dsl.engine.stages`). With ``design=`` a
        nested one (`dsl.sampling.nested`), which has all probabilities, label columns alone: ``["crowd"]``. Of several predicted
        variables a dict of variable to column. A variable without one is predicted at that stage, which serves gold labels of
        variables on nested sets of rows too. In ``"dsl"``, ``"dsl+"`` and ``"cdi"``; ``"gold_only"`` and ``"naive"`` do without.
    trained_on : str, mask, or row labels, optional
        Rows that whoever made the predictions has seen with their gold labels: examples in a prompt, rows of a fine-tune outside
        this call (a column that is 1 on them, True and False in the order of the rows, or labels of rows). Their labels count as
        known, learners do not see them, and the others' probabilities are those given these rows. This is right where they were
        drawn at random from the labelled rows, or chosen before the others were drawn, with a `sample_prob` of 1
        (`dsl.engine.trained`).
    index : str or list of str, optional
        Columns of the fixed effects (``model="felm"`` and ``"poisson"``).
    fixed_effect : {"oneway", "twoways", "multiway"}
        How many columns `index` names: one, two, or any number.
    sl_method : str, list, scikit-learn estimator, or callable
        Learner that predicts the gold values, see ``dsl.available_method()``. A list is stacked. ``"auto"``
        chooses among a few by cross-validation.
    feature : str or list of str, optional
        Further columns for the learner.
    text : str, optional
        Column with a text in every row, for a learner that reads texts: ``sl_method="tfidf"``, ``"auto"``, or one of
        `dsl.learners.text`. It sees predictions and features beside the text, and labelled texts are cross-fitted as they are.
    refusals : {"raise", "indicator"}
        What to do about missing predictions, and missing values in `feature`. ``"raise"``: missing predictions are an error (rows
        with missing features are left out). ``"indicator"``: no row is left out for them. The learner sees an indicator of
        these rows, and the mean in the place of a missing number. That biases nothing, whatever the reason they are missing
        for. The estimators that take predictions as they are (``"naive"``, ``"ppi"``, ``"ppi++"``, ``"cdi"``) cannot do without
        them, and ``"gold_only"`` needs none.
    family : {"gaussian", "binomial"}
        ``"binomial"`` keeps the learner's predictions in [0, 1].
    cross_fit : int
        Number of cross-fitting folds K.
    sample_split : int, optional
        Number of times S the rows are split anew. Estimates are combined by medians. By default 10, and 1 for a learner that
        trains a language model in every fold (`dsl.learners.text.TextClassifier`).
    seed : int
        Draws the folds and seeds the learners.
    folds : (S, rows) integer array, optional
        Fold of every row of `data` in every split, instead of drawn ones. Overrides `cross_fit` and
        `sample_split`.
    estimator : {"dsl", "dsl+", "ppi", "ppi++", "cdi", "gold_only", "naive"}
        ``"dsl"``, the design-based estimator. ``"dsl+"``: its moment averaged over the cross-fitted distribution of the
        predicted variables given surrogates, features and the observed variables of the analysis (score imputation), and
        tuned. ``"ppi"``, ``"ppi++"``: prediction-powered inference with the raw surrogates, for equal probabilities.
        ``"cdi"``: the same for any known probabilities. ``"gold_only"``: the labelled rows alone, weighted by inverse
        probability. ``"naive"``: the surrogates taken for the truth (for comparison only: not valid).
    tune : {None, "scalar", "coef", "matrix"} or float
        How much to rely on the predictions: Lambda in w m + Lambda (1 - w) m_hat. None: 1 for ``"dsl"`` and ``"ppi"``, one
        lambda for each coefficient (``"coef"``) for ``"dsl+"`` and ``"cdi"``. One for all (``"scalar"``) is what the authors of
        ``"cdi"`` have, and what ``"ppi++"`` always chooses. A number is used as it is.
    target : {"superpopulation", "finite"}
        What the intervals are about: the population that the rows were drawn from, or these rows themselves (an archive, a
        census of posts), so that only the choice of the labelled rows is random. ``"finite"`` intervals are narrower.
    design : dsl.sampling.LabelDesign, optional
        How the labelled rows were drawn, instead of `labeled` and `sample_prob`. ``target="finite"`` and ``vcov="design"`` then
        know strata, clusters and fixed sizes. Rows of data read in blocks are found by the column that has the name of the
        design's row labels (``data.set_index("id")`` before the draw), else by their numbers. Without a design, they take equal
        probabilities for a simple random sample of fixed size, and unequal ones for independent draws.
    vcov : str, optional
        ``"robust"`` is HC0, or CR0 with `cluster`, as in the reference. ``"design"`` allows for how the labelled rows were
        drawn, as `design`, or without it `sample_prob`, says (`dsl.engine.fixed_size`): that a fixed number was drawn (in each
        stratum, or of units), and that weights are scaled to the number drawn. Standard errors are then narrower, most of all of
        predicted covariates in ``"lm"``, and a lambda is chosen to minimise this variance. By default ``"design+HC3"`` where a
        lambda is chosen from the data, ``"robust"`` elsewhere (and with clusters in two ways).

        ``"HC1"`` and ``"CR1"`` have the usual small-sample factors. ``"HC2"``, ``"HC3"``, ``"CR2"`` and ``"CR3"`` correct the
        score of each row (cluster) for its leverage, its part in the estimate. They are the textbook's where every row is
        labelled (`dsl.engine.leave_out`). ``"jackknife"`` leaves out each row (cluster) in turn and refits by one Newton step,
        exactly in linear models. Where a lambda is chosen, it and HC3 choose it again without the row (HC2 is refused), and
        ``"PRESS"`` does this alone (`dsl.engine.press`). ``"design+HC3"`` is PRESS, and HC3 of the labelled rows (of all
        clusters), given the draw. Absorbed fixed effects, and rows that alone determine a coefficient, have no correction for
        leverage in it. Out-of-fold predictions stay as they are: no learner is refitted. ``"ppi"``, ``"ppi++"`` and
        ``target="finite"`` have none of these, and absorbed fixed effects only ``"PRESS"`` and ``"design+HC3"``.
    use_t : bool, optional
        Whether intervals and tests are those of Student's distribution, with degrees of freedom for each coefficient from the
        labelled rows that carry its variance (`dsl.engine.intervals.degrees_of_freedom`; with HC2, HC3, CR2 and CR3 those of Bell
        and McCaffrey, `dsl.engine.leave_out.satterthwaite`), rather than normal. By default where a lambda was chosen from the
        data in ``"dsl"``, ``"dsl+"`` or ``"cdi"``. Plain estimates are normal, as in the reference.
    n_jobs : int
        Parallel learner fits (joblib). The numbers do not depend on it.
    progress : bool
        Show a progress bar. Of data read in blocks one for each pass, with rows per second.
    memory : int or str
        Bytes, or text such as ``"2GB"``, that reading `data` in blocks may take, about. It decides how many rows a block has.
    checkpoint : str or Path, optional
        File that keeps finished passes over `data` that are read in blocks. The same call with the same data goes on after them
        where it was interrupted, and ends with the same numbers. Another call, other data or another version raises
        CheckpointError (`dsl.estimators.checkpoint`).

    Returns
    -------
    DSLResults
        statsmodels-style results: ``params``, ``bse``, ``conf_int()``, ``summary()``, ``tidy()``, ``t_test()``, ...

    Raises
    ------
    DSLError
        Every check raises a named subclass that says what was found and what to do.

    Warns
    -----
    LabelingWarning
        The labelled rows do not look drawn with the stated probabilities: too many or too few of them lie in a part of some
        column of the call, of the order of the rows, or of another column of the data (`dsl.data.drawn`). Less than one fit in
        1,000 of rows that were drawn so has it.
    DSLWarning
        Other subclasses say what else to look at.

    Notes
    -----
    P values are two-sided, ``conf_int(alternative=...)`` and ``tidy(alternative=...)`` give one-sided ones.

    A predicted variable may be a category (text, ordered, more than two classes): as a covariate (``y ~ topic``), as one
    category of the outcome (``I(topic == "war") ~ x``), or as the outcome (``topic ~ x``, and ``factor(stars) ~ x`` of whole
    numbers). The last has an equation for each category and the covariance between them (for the second alone if there are two).
    Models of classes (``multinom``, ``ologit``, ``oprobit``) have one for all. Under every estimator that learns, the moment is
    averaged over the variable's cross-fitted class probabilities. So it is where a predicted number stands in a term that is not
    affine in it (``I(stars >= 4)``, ``log(price)``, ``stars^2``): the mean of a step is not the step of the mean. Up to 20 values
    are averaged over exactly, more by draws within the gold values. Numbers of two values need none of this.

    References
    ----------
    DSL-2023: Egami, Hinck, Stewart and Wei, "Using imperfect surrogates for downstream inference: design-based
    supervised learning for social science applications of large language models", NeurIPS 2023.
    DSL-2024: the same authors, "Using large language model annotations for the social sciences: a general framework
    of using predicted variables in downstream analyses", 2024.
    PPI: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 2023. PPI++: Angelopoulos,
    Duchi and Zrnic, "PPI++: efficient prediction-powered inference", 2023. CDI: Gligoric, Zrnic, Lee, Candes and Jurafsky,
    "Can unconfident LLM annotations be used for confident conclusions?", NAACL 2025. Score imputation: Robins, Rotnitzky and
    Zhao, "Estimation of regression coefficients when some regressors are not always observed", JASA 1994.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment(n_labels=1000, seed=1)
    >>> fit = dsl.dsl("human_positive ~ negation + hedge", data=tweets, model="logit",
    ...               predicted_var="human_positive", prediction="vader_positive", cluster="doc_id")
    >>> fit.nobs, fit.n_labeled
    (9390, 1000)
    >>> fit.params.index.tolist()
    ['Intercept', 'negation', 'hedge']
    >>> bool(fit.conf_int().loc["negation", 1] < 0)
    True
    """
    functions = formula_names(2)  # past explain_calls
    call = _checked_call(
        formula,
        predicted_var,
        prediction,
        model=model,
        labeled=labeled,
        sample_prob=sample_prob,
        cluster=cluster,
        weights=weights,
        stages=stages,
        trained_on=trained_on,
        index=index,
        fixed_effect=fixed_effect,
        sl_method=sl_method,
        feature=feature,
        text=text,
        refusals=refusals,
        family=family,
        cross_fit=cross_fit,
        sample_split=sample_split,
        seed=seed,
        folds=folds,
        estimator=estimator,
        tune=tune,
        target=target,
        design=design,
        vcov=vcov,
        use_t=use_t,
    )
    check_counts(cross_fit=cross_fit, sample_split=call.sample_split, seed=seed, n_jobs=n_jobs)
    file = None if checkpoint is None else as_path(checkpoint, "checkpoint")
    execution = Execution(n_jobs=n_jobs, progress=progress, memory=as_bytes(memory), checkpoint=file)
    source = as_source(data)
    if source is not None:
        fit = _of_source(call, source, functions, execution)
        _warn_about_few(fit)
        return DSLResults.of(fit)
    if checkpoint is not None:
        raise ArgumentError(IN_MEMORY)
    data = cast(TableLike, data)
    analysis = analysis_for(call, data, functions)
    if ESTIMATORS[call.estimator].uses_labels and not analysis.sample.labeled.all():
        warn_if_unused(
            data,
            gold=call.predicted_var,
            design=design,
            sample_prob=call.sample_prob,
            cluster=call.cluster,
            clusters=target != "finite",
        )
        analysis = look_for(analysis, data, design)
    if ESTIMATORS[call.estimator].uses_labels:
        look_at_training(analysis.sample, analysis.columns, data)
    fit = run(call, analysis, execution)
    _warn_about_few(fit)
    _warn_if_weak(fit)
    return DSLResults.of(fit, data)


def _of_source(call: Call, source: Source, functions: Functions, execution: Execution) -> Fit:
    """The fit of rows that come in blocks."""
    entry = ESTIMATORS[call.estimator]
    with told_of(execution.checkpoint):
        streaming = prepare_streaming(call, source, functions, execution, learns=entry.learns)
        if entry.uses_labels:
            streaming = look_streamed(streaming, call)
        return run_streaming(call, streaming, execution)


def _warn_about_few(fit: Fit) -> None:
    """Name coefficients whose labelled rows are too few to show a variance, where no predictions stand beside them in full."""
    chosen = isinstance(fit.call.tune, str)
    if not fit.estimator.uses_labels or (fit.estimator.uses_surrogates and not chosen):
        return
    few = [f"'{n}' ({count:.1f})" for n, count in zip(fit.names, fit.splits.behind, strict=True) if count < FEW]
    if few:
        units = " (a cluster counts as one)" if fit.sample.n_clusters is not None else ""
        of = "any coefficient" if fit.estimator.two_sample else "these coefficients"
        more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
        warn_caller(
            FewLabelsWarning,
            f"fewer than {FEW:.0f} labelled rows are behind {', '.join(few[:MOST_NAMED])}{more}: "
            + (f"no lambda is chosen for {of} (predictions count in full, lambda = 1), and " if chosen else "")
            + f"their intervals may be too short{units}; label more rows that bear on them (dsl.sampling.targeted), or merge "
            "rare categories",
        )


def _warn_if_weak(fit: Fit) -> None:
    """Name endogenous covariates of which the instruments tell little."""
    if fit.splits.instruments is None:
        return
    weak = {name: f for name, f in fit.first_stage["statistic"].items() if f < WEAK}
    if weak:
        warn_caller(
            WeakInstrumentWarning,
            f"the first-stage F of the instruments is {', '.join(f'{f:.1f} for {name!r}' for name, f in weak.items())}, below "
            f"{WEAK:.0f}: estimates lean towards those without instruments, and normal intervals are too short. Look for "
            "stronger instruments, use fewer of them, or label more rows",
        )


def _checked_call(formula: FormulaLike, predicted_var: Pairs, prediction: Names | None, **given: Any) -> Call:
    """The arguments, each checked by itself and against the others. What depends on the data is checked with them."""
    estimator = given["estimator"]
    given["text"] = as_name(given["text"], "text")
    given["cluster"], given["across"] = _clusters(given["cluster"])
    check_options(**{name: given[name] for name in OPTIONS})
    given["tune"] = resolve_tune(estimator, given["tune"])
    given["use_t"] = resolve_use_t(estimator, given["tune"], given["use_t"])
    given["vcov"] = resolve_vcov(estimator, given["tune"], given["target"], given["vcov"], given["across"])
    if given["sample_split"] is None:
        given["sample_split"] = default_splits(given["sl_method"])
    predicted, surrogates, pairs = pair_surrogates(predicted_var, prediction)
    given["trained_on"] = as_trained(given["trained_on"])
    design = given["design"]
    nested = design.depth if isinstance(design, SamplingDesign) else 0
    staged = as_stages(given["stages"], predicted, nested=nested)
    given["stages"] = tuple((tuple(each.labels.items()), each.prob) for each in staged)
    for role in ("labeled", "sample_prob", "weights"):
        given[role] = as_name(given[role], role)
    for role in ("index", "feature"):
        given[role] = as_names(given[role], role)
    _check_design(given["design"], {role: given[role] for role in ("labeled", "sample_prob")})
    call = Call(formula=formula, predicted_var=predicted, prediction=surrogates, pairs=pairs, **given)
    # last: needs the pairs and the names in their final form
    _check_surrogates(call)
    return call


def _clusters(cluster: object) -> tuple[str | None, str | None]:
    """Columns of the clusters, and of those in a second way."""
    if not isinstance(cluster, list | tuple):
        return as_name(cluster, "cluster"), None
    names = as_names(cluster, "cluster")
    if len(names) > 2:
        raise ArgumentError(
            f"cluster names {len(names)} columns ({', '.join(names)}); clusters go in one way, or in two"
        )
    return names[0] if names else None, names[1] if len(names) == 2 else None


def _check_design(design: SamplingDesign | None, columns: Mapping[str, str | None]) -> None:
    both = [role for role, name in columns.items() if name is not None]
    if design is not None and both:
        raise ArgumentError(f"design and {both[0]}={columns[both[0]]!r} say the same thing twice; pass one of them")
    check_design(design)


def _check_surrogates(call: Call) -> None:
    if not call.predicted_var:
        raise ArgumentError("predicted_var names no variable; name those with gold labels on some rows only")
    if ESTIMATORS[call.estimator].uses_surrogates and not call.prediction and not call.feature and not call.text:
        raise ArgumentError(
            "neither prediction nor feature is given: name the column(s) with the surrogate labels, or features (text= for a "
            "column of texts) to predict the gold labels from"
        )
    both = sorted({*call.prediction, *call.feature, *filter(None, [call.text])} & set(call.predicted_var))
    if both:
        raise LeakError(
            f"'{both[0]}' is a predicted variable and a prediction, feature or text at once: its gold labels cannot predict "
            "themselves; name the column with the surrogate labels"
        )
