"""Tests of whole terms: joint Wald tests, and comparisons of a category's levels in pairs, as in statsmodels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.stats.contrast import ContrastResults, MultiCompResult, WaldTestResults
from statsmodels.stats.multitest import multipletests, multitest_alias

from dsl._typing import FloatArray
from dsl.data.arguments import as_names, as_texts, check_choice, check_flags, check_texts, foreign_errors
from dsl.data.columns import quoted
from dsl.data.formula.rlang.matrix import TermBlock
from dsl.engine.intervals import check_alpha
from dsl.engine.several import Several
from dsl.estimators.result import Fit
from dsl.exceptions import ArgumentError


class Tested(Protocol):
    """Results, as tests of terms see them."""

    use_t: bool

    @property
    def core(self) -> Fit:
        """The frozen fit behind them."""

    def t_test(self, r_matrix: ArrayLike) -> ContrastResults:
        """Tests of linear combinations."""

    def wald_test(self, r_matrix: ArrayLike, *, scalar: bool) -> ContrastResults:
        """Joint test."""


def term_blocks(fit: Fit) -> Iterator[TermBlock]:
    """The terms of a fit and the places of their coefficients. An outcome of several categories has them once for each."""
    blocks, levels = fit.predictor.spec.blocks, fit.predictor.levels
    if fit.predictor.several is not None:
        yield from _several_blocks(fit, fit.predictor.several)
        return
    if not levels:
        yield from blocks
        return
    width = len(fit.params) // len(levels)
    for j, level in enumerate(levels):
        for block in blocks:
            yield replace(
                block,
                name=f"{fit.outcome}[{level}]:{block.name}",
                r_name=f"{fit.outcome}{level}:{block.r_name}",
                start=block.start + j * width,
                stop=block.stop + j * width,
            )


def _several_blocks(fit: Fit, several: Several) -> Iterator[TermBlock]:
    """Those of each linear predictor. Thresholds and dispersions are no terms."""
    for label, part, own in several.equations:
        for block in fit.predictor.spec.blocks:
            # columns of the term among those of the linear predictor, which may lack the intercept
            places = np.flatnonzero((own >= block.start) & (own < block.stop))
            if len(places):
                yield replace(
                    block,
                    name=f"{fit.outcome}[{label}]:{block.name}" if label else block.name,
                    r_name=f"{label}:{block.r_name}" if label else block.r_name,
                    start=part.start + int(places[0]),
                    stop=part.start + int(places[-1]) + 1,
                )


def wald_test_terms(
    results: Tested,
    skip_single: bool,
    extra_constraints: Sequence[tuple[str, ArrayLike]] | None,
    combine_terms: Sequence[str] | None,
    scalar: bool,
) -> WaldTestResults:
    """Joint test of each term's coefficients (see `dsl.analyses.results.DSLEstimates.wald_test_terms`)."""
    check_flags(skip_single=skip_single, scalar=scalar)
    identity = np.eye(len(results.core.params))
    terms = [(block.name, identity[block.start : block.stop]) for block in term_blocks(results.core)]
    tests: list[tuple[str, ArrayLike]] = [
        (name, matrix) for name, matrix in terms if len(matrix) > 1 or not skip_single
    ]
    for part in as_names(combine_terms, "combine_terms"):
        found = [matrix for name, matrix in terms if part in name]
        if not found:
            raise ArgumentError(f"no term has {part!r} in its name; the terms are {quoted(name for name, _ in terms)}")
        tests.append((part, np.vstack(found)))
    if extra_constraints is not None:
        with foreign_errors("extra_constraints must be a list of pairs (name, matrix)"):
            tests.extend(
                (str(name), np.atleast_2d(np.asarray(matrix, dtype=float))) for name, matrix in extra_constraints
            )
    rows = []
    for _, matrix in tests:
        test = results.wald_test(matrix, scalar=scalar)
        # statsmodels has the rank of a chi-square test in df_denom
        rows.append(
            [test.statistic, test.pvalue, int(test.df_num if results.use_t else test.df_denom)]
            + ([test.df_denom] if results.use_t else [])
        )
    names = ["statistic", "pvalue", "df_constraint", *(["df_denom"] if results.use_t else [])]
    table = pd.DataFrame(rows, index=[name for name, _ in tests], columns=names)
    return WaldTestResults(None, "F" if results.use_t else "chi2", None, table=table)


def t_test_pairwise(
    results: Tested, term_name: str, method: str | list[str], alpha: float, factor_labels: Sequence[str] | None
) -> MultiCompResult:
    """Differences between all pairs of a term's categories (see `dsl.analyses.results.DSLEstimates.t_test_pairwise`)."""
    check_alpha(alpha)
    check_texts(term_name=term_name)
    methods = as_texts(method, "method")
    for each in methods:
        check_choice("method", each, tuple(multitest_alias))
    block, coding = _category_term(results.core, term_name)
    labels = block.labels if factor_labels is None else as_texts(factor_labels, "factor_labels")
    if len(labels) != len(block.labels):
        raise ArgumentError(
            f"factor_labels has {len(labels)} labels; '{block.name}' has {len(block.labels)} categories"
        )
    pairs = list(combinations(range(len(labels)), 2))
    # (pairs, k): what stands for the later category minus what stands for the earlier one
    contrasts = np.zeros((len(pairs), len(results.core.params)))
    contrasts[:, block.start : block.stop] = [coding[later] - coding[earlier] for earlier, later in pairs]
    names = [f"{labels[later]}-{labels[earlier]}" for earlier, later in pairs]
    test = results.t_test(contrasts)
    table = test.summary_frame(xname=names, alpha=alpha)
    pvalues = np.atleast_1d(test.pvalue)
    for each in methods:
        rejected, corrected, *_ = multipletests(pvalues, method=each, alpha=alpha)
        table[f"pvalue-{each}"], table[f"reject-{each}"] = corrected, rejected
    return MultiCompResult(
        result_frame=table, contrasts=contrasts, term=block.name, contrast_labels=names, term_encoding_matrix=coding
    )


def _category_term(fit: Fit, name: str) -> tuple[TermBlock, FloatArray]:
    """The term of that name, and what stands for each of its categories."""
    blocks = list(term_blocks(fit))
    named = [block for block in blocks if name in (block.name, block.r_name)]
    if named and named[0].coding is not None:
        return named[0], named[0].coding
    kinds = [block.name for block in blocks if block.coding is not None]
    what = "is no category by itself: its coefficients are not differences between levels" if named else "is no term"
    others = f"the terms with categories are {quoted(kinds)}" if kinds else "the formula has no term with categories"
    raise ArgumentError(f"'{name}' {what}; {others}")
