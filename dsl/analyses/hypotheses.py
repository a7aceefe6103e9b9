"""Tests of hypotheses about the estimates, as in statsmodels, with degrees of freedom for each combination."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from patsy import DesignInfo
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults, MultiCompResult, WaldTestResults

from dsl._typing import FloatArray
from dsl.analyses.model import DSLModel
from dsl.analyses.terms import t_test_pairwise, wald_test_terms
from dsl.data.arguments import check_flags, foreign_errors
from dsl.data.columns import quoted
from dsl.estimators.result import Fit


class Hypotheses:
    """Tests that results offer."""

    model: DSLModel
    params: FloatArray
    normalized_cov_params: FloatArray
    use_t: bool
    df_resid: int
    _core: Fit

    @property
    def core(self) -> Fit:
        """The frozen fit behind these results."""
        return self._core

    def t_test(self, r_matrix: ArrayLike, cov_p: ArrayLike | None = None, use_t: bool | None = None) -> ContrastResults:
        """Tests of linear combinations, as in statsmodels. With ``use_t`` each has degrees of freedom of its own."""
        results, constraint = self._constrained(r_matrix, np.asarray, use_t)
        with foreign_errors("t_test cannot be made"):
            return results.t_test(constraint, cov_p, use_t)

    def wald_test(
        self, r_matrix: ArrayLike, *args: object, use_f: bool | None = None, **kwargs: object
    ) -> ContrastResults:
        """Joint test, as in statsmodels. An F test has the fewest degrees of freedom of its combinations."""
        results, constraint = self._constrained(r_matrix, np.min, use_f)
        with foreign_errors("wald_test cannot be made"):
            return results.wald_test(constraint, *args, use_f=use_f, **kwargs)

    def wald_test_terms(
        self,
        skip_single: bool = False,
        extra_constraints: Sequence[tuple[str, ArrayLike]] | None = None,
        combine_terms: Sequence[str] | None = None,
        scalar: bool = True,
    ) -> WaldTestResults:
        """Joint test of each term of the formula, as in statsmodels: all dummies of a category together.

        Parameters
        ----------
        skip_single : bool
            Leave out terms with one coefficient.
        extra_constraints : list of (name, matrix), optional
            Further hypotheses to test.
        combine_terms : list of str, optional
            Terms that have such a text in their name are also tested together.
        scalar : bool
            Whether statistics are numbers rather than arrays.

        Returns
        -------
        statsmodels.stats.contrast.WaldTestResults
            Prints as a table, which ``summary_frame()`` returns.
        """
        return wald_test_terms(self, skip_single, extra_constraints, combine_terms, scalar)

    def t_test_pairwise(
        self,
        term_name: str,
        method: str | list[str] = "hs",
        alpha: float = 0.05,
        factor_labels: Sequence[str] | None = None,
    ) -> MultiCompResult:
        """Differences between all pairs of a category's levels, as in statsmodels, under any contrasts.

        Parameters
        ----------
        term_name : str
            A term that is one category variable, as ``"party"`` or ``"factor(year)"``.
        method : str or list of str
            Corrections for multiple testing: ``"hs"`` (Holm and Sidak), ``"bonferroni"``, ``"fdr_bh"``, ...
        alpha : float
            One minus the level of the intervals, and the error rate of the corrected tests.
        factor_labels : list of str, optional
            Names of the levels in the table, instead of their own.

        Returns
        -------
        statsmodels.stats.contrast.MultiCompResult
            ``result_frame`` is the table, a row for each pair.
        """
        return t_test_pairwise(self, term_name, method, alpha, factor_labels)

    def _constrained(
        self, r_matrix: ArrayLike, choose: Callable[[FloatArray], FloatArray | np.floating], use_t: bool | None
    ) -> tuple[LikelihoodModelResults, tuple[FloatArray, FloatArray]]:
        """Plain statsmodels results with the degrees of freedom of the combinations R theta = q, and (R, q)."""
        if use_t is not None:
            check_flags(use_t=use_t)
        # patsy reads statsmodels' ways of writing a hypothesis: text, a matrix R, or a pair (R, q)
        with foreign_errors(
            f"hypothesis {r_matrix!r} cannot be read; write it as 'x = 0', as 'x = z, w = 1', or as a matrix with "
            f"{len(self._core.names)} columns, one for each of {quoted(self._core.names[:6])}"
        ):
            parsed = DesignInfo(list(self._core.names)).linear_constraint(r_matrix)
        constraint = np.asarray(parsed.coefs, dtype=float), np.asarray(parsed.constants, dtype=float).ravel()
        # plain statsmodels results, since the wrapper's own have degrees of freedom for the coefficients, not for R theta
        plain = LikelihoodModelResults(self.model, self.params, self.normalized_cov_params, 1.0, use_t=self.use_t)
        plain.df_resid = self.df_resid
        if self.use_t if use_t is None else use_t:
            plain.df_resid_inference = choose(self._core.degrees_of_freedom(constraint[0]))
        return plain, constraint
