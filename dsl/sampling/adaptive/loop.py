"""The loop: draw a batch, take its labels, learn where the next labels tell most."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dsl._typing import FloatArray
from dsl._version import __version__
from dsl.analyses.results import DSLResults
from dsl.data.arguments import explain_calls
from dsl.data.formula.caller import NOBODY, formula_names
from dsl.data.recorded import with_record
from dsl.data.tables import TableLike
from dsl.exceptions import ArgumentError, EstimationError, FoldError
from dsl.learners.auto import Method
from dsl.sampling.adaptive.archive import Population, population_of
from dsl.sampling.adaptive.batches import AdaptiveStatus, Batch, Progress, history_table, indexed, read_labels
from dsl.sampling.adaptive.coders import CoderFiles
from dsl.sampling.adaptive.log import Log, packed
from dsl.sampling.adaptive.next_batch import label_design, plan_batch
from dsl.sampling.adaptive.replay import replay
from dsl.sampling.adaptive.settings import AdaptiveCodebook, Settings, settings_of
from dsl.sampling.design import LabelDesign
from dsl.sampling.further import CRITERION, ERROR_MODEL, ROBUST, TAU

OWN = ("data", "design", "labeled", "sample_prob")
"""Arguments of `dsl.dsl` that an adaptive design sets itself."""


class AdaptiveDesign(CoderFiles):
    r"""Label in batches, each drawn where the labels before it say that further labels tell most.

    The first batch (the burn-in) is a simple random sample. From its labels follow two things. One is the expected squared
    error :math:`\hat e_i` of each row's prediction, learnt from surrogates, confidences and features. The other is the
    influence :math:`x_i'h` of the row on the coefficients aimed at, with h the coefficient's row of the inverse Jacobian. The
    next batch is drawn with probabilities close to :math:`u_i = \sqrt{\hat e_i} \, |x_i'h|`, and so on, until `n_labels` are
    there or the standard errors are small enough. All probabilities are kept, so that the estimate is valid at any time,
    whatever the confidences are worth: they decide how precise it is.

    Parameters
    ----------
    formula : str
        The regression of interest, as in `dsl.dsl`, with fixed effects behind ``|``.
    data : data frame
        pandas, polars, pyarrow, or a dict of columns: all rows, complete, without gold labels. Rows are known by the pandas
        index (unique), else as 0, 1, ...
    predicted_var, prediction, model, cluster, feature, text, family, sl_method, cross_fit
        As in `dsl.dsl`. Predicted variables are numbers here: code categories as 0/1.
    confidence : str or list of str, optional
        Columns that may tell where surrogates are wrong, such as the LLM's stated or token probability. They are features,
        for predictions and errors alike, and may be useless or overconfident.
    coefficient : str, list of str or "all"
        Coefficients to estimate precisely. ``"all"`` is all but the intercept.
    criterion : {"worst", "mean"}
        With several coefficients: make the largest ratio of a coefficient's variance to that under simple random sampling as
        small as possible, or the mean ratio with none above 1.
    n_labels : int
        Labels in all.
    batches, batch_size, burn_in : int, optional
        How the labels are divided: number of batches, the burn-in among them (4 by default), or rows of each after the burn-in;
        and rows of the burn-in, by default as many as in the others.
    se : dict, optional
        Stop before `n_labels` are there once the standard error of each coefficient named is no larger than its value here.
    error_model : str or estimator
        Learner of the squared errors, as `sl_method`.
    tau : float
        Share of the design that is even, in (0, 1]: insurance against a wrong error model.
    floor : float
        Smallest probability, as a share of the mean one, in (0, 1].
    robust : bool
        Draw expected errors towards their mean as far as the labels so far advise (see Notes).
    refusals : {"raise", "indicator"}
        What to do about missing predictions, confidences and features, as in `dsl.dsl`.
    codebook : list, dict or codebook, optional
        Labels that coders may give: numbers, a dict of number to meaning, anything with such a dict as its ``labels``
        (`dsl.annotation.Codebook`), or a dict of these by predicted variable.
    seed : int
        The same seed and labels give the same design.
    log : str or Path, optional
        File to which everything is appended as it happens, so that `resume` can go on after a crash, and an auditor can
        repeat every draw. It must not exist yet.

    Raises
    ------
    DataError, ArgumentError, FormulaError, CollinearityError
        Whatever would make the labels unusable is found before the first is paid for.
    LogError
        The log exists, or cannot be written.

    Notes
    -----
    **Validity.** With :math:`\pi_{t,i}` the probability of row i in batch t, had it not been drawn before, the estimate uses
    :math:`\pi_i = 1 - \prod_t (1 - \pi_{t,i})`, the probability of being drawn at all. :math:`\pi_{t,i}` is defined by the
    same formula for rows that were drawn before. It rests on labels of other rows, since each row belongs to one of
    `cross_fit` fixed folds, and its prediction and expected error are learnt from labels of the other folds. Then
    :math:`E(R_i / \pi_i) = 1` whatever the label. A row's own label still has a part in quantities that average over all
    labels (the coefficients' Jacobian, the weights of the folds' learners). This leaves a bias of order 1/n, an order below
    the standard error (.08 standard errors for a skewed mean with 150 labels in six batches, .65 if errors were learnt from
    the row's own fold).

    Intervals hold at the end, and at any stage fixed in advance. Stopping as soon as an interval excludes zero is another
    matter, which `se` (a rule about standard errors alone) is not.

    **Robustness.** An error model that has learnt nothing would do harm if it were believed. Expected errors are therefore
    :math:`\hat e_i^{1 - \rho}` times a constant, with :math:`\rho` chosen by a proper score on the labelled rows, each judged by
    a model that has not seen it. Where confidences are useless, :math:`\rho` goes to 1 and leverage alone decides, which needs no
    error model. (Drawing the probabilities towards even ones instead, as Li, Zrnic and Candès do, gives leverage away too.)

    **Several batches.** The probabilities of a batch are chosen so that all batches together come closest to the best design
    for the labels so far. What the burn-in has spread evenly counts as part of it.

    References
    ----------
    Gligoric et al., "Can unconfident LLM annotations be used for confident conclusions?", NAACL 2025. Zrnic and Candès, "Active
    statistical inference", 2024. Li, Zrnic and Candès, "Robust sampling for active statistical inference", 2025.

    Examples
    --------
    >>> import dsl
    >>> tweets = dsl.datasets.load_sentiment()
    >>> gold = tweets.pop("human_positive")
    >>> adaptive = dsl.AdaptiveDesign(
    ...     "human_positive ~ negation + hedge", tweets, predicted_var="human_positive", prediction="vader_positive",
    ...     confidence="vader_compound", model="logit", sl_method="ridge", coefficient="hedge", n_labels=600, batches=3, seed=1)
    >>> batch = adaptive.next_batch()  # 200 random rows, for the coders
    >>> adaptive.add_labels(gold[batch.index])
    >>> adaptive.status()
    AdaptiveStatus(batch=1, n_labeled=200, n_labels=600, waiting=0, done=False, stop_reason=None)
    >>> batch = adaptive.next_batch()
    >>> bool(batch["hedge"].mean() > 0.3), bool(tweets["hedge"].mean() < 0.1)
    (True, True)
    >>> adaptive.add_labels(gold[batch.index])
    >>> while not adaptive.done:
    ...     batch = adaptive.next_batch()
    ...     adaptive.add_labels(gold[batch.index])
    >>> adaptive.stop_reason
    'n_labels'
    >>> fit = adaptive.estimate(sample_split=1)
    >>> fit.nobs, fit.n_labeled
    (9390, 600)
    """

    @explain_calls
    def __init__(
        self,
        formula: str,
        data: TableLike,
        *,
        predicted_var: str | Sequence[str] | Mapping[str, str | Sequence[str]],
        n_labels: int,
        prediction: str | Sequence[str] | None = None,
        confidence: str | Sequence[str] | None = None,
        feature: str | Sequence[str] | None = None,
        text: str | None = None,
        model: str = "lm",
        coefficient: str | Sequence[str] = "all",
        criterion: str = CRITERION,
        batches: int | None = None,
        batch_size: int | None = None,
        burn_in: int | None = None,
        se: Mapping[str, float] | None = None,
        cluster: str | None = None,
        family: str = "gaussian",
        sl_method: Method = "auto",
        cross_fit: int = 5,
        error_model: Method = ERROR_MODEL,
        tau: float = TAU,
        floor: float = 0.1,
        robust: bool = ROBUST,
        refusals: str = "raise",
        codebook: AdaptiveCodebook | None = None,
        seed: int = 1234,
        log: str | Path | None = None,
    ) -> None:
        functions = formula_names(2)  # past explain_calls
        settings = settings_of(
            formula=formula,
            predicted_var=predicted_var,
            prediction=prediction,
            feature=feature,
            text=text,
            confidence=confidence,
            cluster=cluster,
            model=model,
            family=family,
            sl_method=sl_method,
            error_model=error_model,
            cross_fit=cross_fit,
            coefficient=coefficient,
            criterion=criterion,
            n_labels=n_labels,
            burn_in=burn_in,
            batch_size=batch_size,
            batches=batches,
            tau=tau,
            floor=floor,
            robust=robust,
            se=se,
            refusals=refusals,
            codebook=codebook,
            seed=seed,
        )
        people = population_of(data, settings, functions)
        file = None
        if log is not None:
            header = {"version": __version__, "data": people.fingerprint, "rows": len(people)}
            file = Log.create(log, {**header, "settings": people.settings.record()})
        self._begin(people, Progress(len(people), len(settings.predicted)), file)

    def _begin(self, people: Population, progress: Progress, log: Log | None) -> None:
        self._people = people
        self._progress = progress
        self._log = log
        self._reached: tuple[int, bool] = (0, False)

    @classmethod
    def resume(
        cls, log: str | Path, data: TableLike, *, recompute: bool = True, trusted: bool = False
    ) -> AdaptiveDesign:
        """Go on with a design from its log, after a crash or another day.

        Parameters
        ----------
        log : str or Path
        data : data frame
            The table that the design was begun with.
        recompute : bool
            Compute the probabilities of all batches again and compare them with those recorded, besides checking the
            log's chain of hashes, the data, and the draws.
        trusted : bool
            Let the log's formula call your functions, as the formula that began the log could. Without it, it finds R's
            functions and a list of numpy's (`dsl.data.formula.rlang`), so that a log from elsewhere is no way to run code.

        Returns
        -------
        AdaptiveDesign
            Where the log ends: a batch that was drawn and not labelled is what `next_batch` returns.

        Raises
        ------
        LogError
            The log was changed or damaged, belongs to other data, or does not follow from seed and labels. An
            incomplete last line, as a crash leaves it, is cut off with a `LogWarning`.
        FormulaError
            The log's formula calls functions that only a trusted one may.

        Examples
        --------
        >>> import dsl, tempfile, pathlib
        >>> tweets = dsl.datasets.load_sentiment()
        >>> gold = tweets.pop("human_positive")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "labels.log"
        ...     begun = dsl.AdaptiveDesign("human_positive ~ hedge", tweets, predicted_var="human_positive", n_labels=200,
        ...                                prediction="vader_positive", sl_method="lm", log=path)
        ...     batch = begun.next_batch()
        ...     begun.add_labels(gold[batch.index])
        ...     again = dsl.AdaptiveDesign.resume(path, tweets)
        >>> again.status() == begun.status()
        True
        """
        file, people, progress = replay(log, data, formula_names(1) if trusted else NOBODY, recompute=recompute)
        design = cls.__new__(cls)
        design._begin(people, progress, file)
        return design

    @property
    def settings(self) -> Settings:
        """The arguments, resolved."""
        return self._people.settings

    def next_batch(self) -> pd.DataFrame:
        """Rows to label next, the same again until their labels are there. `to_coder` writes them to a file.

        Returns
        -------
        DataFrame
            The data's columns, surrogates among them, which coders should not see (`to_coder` leaves them out), under the data's
            row labels.

        Raises
        ------
        ArgumentError
            The design is done.
        """
        if self._progress.waiting is None:
            if (reason := self.stop_reason) is not None:
                raise ArgumentError(
                    f"the design is done ({reason}): {self._progress.n_labeled} rows are labelled; see estimate() and design()"
                )
            self._append(plan_batch(self._people, self._progress))
        assert self._progress.waiting is not None
        return self._people.table.iloc[self._progress.waiting.rows].copy()

    def _append(self, batch: Batch) -> None:
        """Draw the rows of a planned batch, log it, keep it."""
        # logged before it is kept: nobody sees a batch that a crash could lose
        if self._log is not None:
            contents = {"batch": batch.number, "rows": batch.rows.tolist(), **batch.facts, "prob": packed(batch.now)}
            self._log.append("batch", contents)
        self._progress = replace(self._progress, batches=(*self._progress.batches, batch))

    def add_labels(self, labels: pd.Series | pd.DataFrame) -> None:
        """Give the labels of the batch that `next_batch` returned. When this returns they are in the log.

        Parameters
        ----------
        labels : Series or DataFrame
            Indexed by the batch's row labels, in any order, all of them. A DataFrame has a column for each predicted
            variable (others are ignored).

        Raises
        ------
        LabelError
            Rows are missing, repeated or not of this batch, or labels are missing or not in the codebook.
        ColumnTypeError, OutcomeError, DataError
            Labels are no numbers, or the formula cannot be evaluated at them.
        ArgumentError
            No batch is waiting for labels.
        """
        waiting = self._progress.waiting
        if waiting is None:
            raise ArgumentError(
                f"no batch is waiting for labels: those of {len(self._progress.batches)} batches are there; next_batch() draws "
                "the next"
            )
        rows = self._people.rows[waiting.rows]
        self._take(read_labels(labels, rows, self.settings, codebook=self.settings.codebook))

    def _take(self, values: FloatArray) -> None:
        waiting = self._progress.waiting
        assert waiting is not None
        # checked on a copy: labels that the formula cannot use are refused before they are recorded
        done = replace(waiting, labels=values)
        after = replace(self._progress, batches=(*self._progress.batches[:-1], done))
        self._people.check_usable(after.gold, after.labeled)
        if self._log is not None:
            columns = dict(zip(self.settings.predicted, values.T.tolist(), strict=True))
            self._log.append("labels", {"batch": waiting.number, "labels": columns})
        self._progress = after

    def run(self, ask: Callable[[pd.DataFrame], pd.Series | pd.DataFrame | ArrayLike]) -> AdaptiveDesign:
        """Draw and label until the design is done.

        Parameters
        ----------
        ask : callable
            Gets a batch as `next_batch` returns it, and returns its labels, as `add_labels` takes them, or as an array in the
            batch's order.

        Returns
        -------
        AdaptiveDesign
            Itself.
        """
        while not self.done:
            batch = self.next_batch()
            answer = ask(batch)
            if not isinstance(answer, pd.Series | pd.DataFrame):
                answer = indexed(answer, batch.index, self.settings.predicted)
            self.add_labels(answer)
        return self

    @property
    def stop_reason(self) -> str | None:
        """Why the design is done: ``"n_labels"``, ``"se"``, or None while it is not."""
        if self._progress.waiting is not None or not self._progress.batches:
            return None
        if len(self._progress.batches) == len(self.settings.sizes):
            return "n_labels"
        return "se" if self._precise() else None

    @property
    def done(self) -> bool:
        """Whether a stop rule is met and no labels are waited for."""
        return self.stop_reason is not None

    def _precise(self) -> bool:
        """Whether all standard errors of `se` are reached."""
        wanted = self.settings.se
        number = len(self._progress.complete)
        # one fit for each number of batches: `done` and `status` may be asked as often as one likes
        if wanted and self._reached[0] != number:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = self.estimate().bse
                    reached = all(found[name] <= value for name, value in wanted.items())
                except (EstimationError, FoldError):  # too few labels as yet
                    reached = False
            self._reached = (number, reached)
        return bool(wanted) and self._reached[1]

    def status(self) -> AdaptiveStatus:
        """Batches and labels so far, what is waited for, and whether a stop rule is met."""
        waiting, reason = self._progress.waiting, self.stop_reason
        return AdaptiveStatus(
            batch=len(self._progress.complete),
            n_labeled=self._progress.n_labeled,
            n_labels=self.settings.n_labels,
            waiting=0 if waiting is None else len(waiting.rows),
            done=reason is not None,
            stop_reason=reason,
        )

    @property
    def data(self) -> pd.DataFrame:
        """The data with the gold labels so far, NaN elsewhere.

        It records the probabilities of `design()` as `LabelDesign.from_coder` does, in the column ``sample_prob`` unless there is
        one already, so that calls without ``design=`` warn.
        """
        table = self._people.labelled(self._progress.gold)
        if not self._progress.complete:
            return table
        return with_record(table, self.design(), label=self.settings.predicted[0])

    def design(self, *, waiting: bool = False) -> LabelDesign:
        """Rows labelled, and each row's probability of having been drawn in any batch.

        Parameters
        ----------
        waiting : bool
            Count the batch whose labels are not there yet too.

        Returns
        -------
        LabelDesign
            For ``dsl.dsl(design=...)``, with any formula, on `data`.

        Raises
        ------
        ArgumentError
            Nothing is labelled yet.
        """
        progress = self._progress
        if waiting and progress.waiting is not None:
            # stand-in labels mark the batch as complete. Only its rows and probabilities are read
            there = replace(progress.waiting, labels=np.zeros((len(progress.waiting.rows), progress.width)))
            progress = replace(progress, batches=(*progress.batches[:-1], there))
        if not progress.complete:
            raise ArgumentError("no batch is labelled yet; see next_batch() and add_labels()")
        return label_design(self._people, progress)

    def estimate(self, **arguments: Any) -> DSLResults:
        """Estimate from the labels of all complete batches.

        Parameters
        ----------
        **arguments
            Arguments of `dsl.dsl`, instead of the design's own (formula, learner, seed, ...) or besides: ``estimator``,
            ``tune`` (``"coef"`` by default for ``estimator="dsl"``), ``target``, ``sample_split``, ``n_jobs``.

        Returns
        -------
        DSLResults

        Raises
        ------
        ArgumentError
            Nothing is labelled yet, or the argument is one that the design sets itself.
        """
        own = next((name for name in OWN if name in arguments), None)
        if own is not None:
            raise ArgumentError(f"an adaptive design sets '{own}' itself; for other data use dsl.dsl(design=...)")
        tuned = {"tune": "coef"} if arguments.get("estimator", "dsl") == "dsl" else {}
        # another formula is the caller's, and so are the functions in it
        names = formula_names(1) if "formula" in arguments else None
        return self._people.estimate(self._progress.gold, self.design(), {**tuned, **arguments}, names)

    @property
    def history(self) -> pd.DataFrame:
        """One row per batch: rows, labels so far, probabilities, and what was expected of them.

        ``rho`` says how far expected errors were drawn towards their mean (largest over predicted variables),
        ``relative_variance`` the expected labelling variance against as many labels spread evenly (largest over the
        coefficients aimed at), ``note`` what went otherwise than planned.
        """
        return history_table(self._progress.batches)

    @property
    def probabilities(self) -> pd.DataFrame:
        """Probability of each row in each batch, had it not been drawn before, (N, batches)."""
        columns: dict[int, FloatArray] = {batch.number: batch.now for batch in self._progress.batches}
        return pd.DataFrame(columns, index=self._people.rows)

    def __repr__(self) -> str:
        """One line: formula, labels and batches so far."""
        return (
            f"<AdaptiveDesign {self.settings.formula}: {self._progress.n_labeled} of {self.settings.n_labels} labels, "
            f"{len(self._progress.complete)} of {len(self.settings.sizes)} batches>"
        )
