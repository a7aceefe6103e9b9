"""Changes that once went unnoticed. Each is found by its text, so that it moves with the code."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutators import Mutant


@dataclass(frozen=True, slots=True)
class Known:
    """A change, and what it would do to a user."""

    name: str
    old: str
    """Text that occurs once in the package."""
    new: str
    harm: str


KNOWN = (
    Known(
        "clusters over pieces",
        "        first += len(part)\n",
        "",
        "standard errors of clusters in large data .03, not .05",
    ),
    Known(
        "stratum of one row",
        "    centre[count < 2] = 0.0",
        "    pass",
        "a stratum of one labelled row adds no variance",
    ),
    Known(
        "degrees of freedom by cluster",
        "unit_sums(fit.contributions() @ combinations.T, sample.label_cluster)",
        "fit.contributions() @ combinations.T",
        "t intervals take clustered labels for independent ones",
    ),
    Known(
        "learner chosen by cluster", "groups=labeled_groups, ", "", "a learner is chosen on rows of its own clusters"
    ),
    Known(
        "second start",
        "return root if first.problem else newton(evaluator(problem), first.params, tolerance=tolerance)",
        "return root",
        "logits that have a solution are refused",
    ),
    Known(
        "rows of no coefficient",
        "return 0.999 * prob + 0.001 * budget / len(prob)",
        "return prob",
        "rows that no coefficient needs get probability zero",
    ),
    Known(
        "rank of unconnected factors",
        "int(connected_components(graph, directed=False)[0])",
        "1",
        "small-sample factors count fixed effects that the data cannot tell apart",
    ),
    Known("refinement", "MAX_REFINEMENTS = 4", "MAX_REFINEMENTS = 1", "a cubic in the calendar year loses digits"),
    Known(
        "Dykstra's correction",
        "        correction = raised - (current - correction)\n",
        "",
        "a repaired covariance is not the nearest one",
    ),
    Known(
        "bound of standard errors",
        "np.sqrt(2.0 * variance_of_sum(size, labels.labeling.unit) + 2.0 * variance_of_sum(size))",
        "0.1 * np.sqrt(2.0 * variance_of_sum(size, labels.labeling.unit) + 2.0 * variance_of_sum(size))",
        "intervals of quantiles end too early",
    ),
    Known(
        "certain rows are never exchanged",
        "np.where(left > 0.0, 1.0 / np.where(left > 0.0, left, 1.0), 0.0)",
        "np.where(left > 0.0, 1.0 / np.where(left > 0.0, left, 1.0), 1.0)",
        "standard errors of quantiles where some rows were certain to be labelled",
    ),
    Known(
        "poly() on new rows",
        "values[:, j] = current / np.sqrt(norm2[j + 2])",
        "values[:, j] = current / np.sqrt(norm2[j + 1])",
        "predictions from poly(x, 2)",
    ),
    Known(
        "(a + b + c)^2",
        "min(int(exponent.value), 1 + len(base)) - 1",
        "min(int(exponent.value), 1 + len(base))",
        "a:b:c is in the model",
    ),
    Known(
        "labels of cut()",
        "if len(names) != len(at) - 1:",
        "if len(names) != len(at):",
        "cut() refuses the right number of labels",
    ),
    Known(
        "cut() of a constant",
        "np.linspace(low - width / 1000, high + width / 1000, count + 1)",
        "np.linspace(low - width / 1000, high, count + 1)",
        "other intervals than R's",
    ),
    Known("interaction cells", "if None not in used:", "if None in used:", "diagnostics look at no pair of factors"),
    Known("groups shown", "MOST_GROUPS - 1 if", "MOST_GROUPS if", "one group more than a table has rows"),
    Known("groups with few rows", "count >= LEAST", "count > LEAST", "a group of just enough rows is merged"),
    Known(
        "variance of rounding errors",
        "ROUNDING * self.shrinking / c",
        "ROUNDING * self.shrinking * c",
        "standard errors of zero, or missing, far from the fitted number of labels",
    ),
    Known(
        "several data frames",
        "    if len(frames) != 1:\n",
        "    if not frames:\n",
        "the first of several tables is read",
    ),
    Known("values listed", "pd.unique(values[bad])[:4]", "pd.unique(values[bad])[:5]", "a longer message"),
    Known(
        "own fold",
        "train = labeled_folds[task.split] != task.fold",
        "train = labeled_folds[task.split] == task.fold",
        "learners predict the rows they were trained on",
    ),
)


class MissingAnchorError(ValueError):
    """The text that a known change replaces is gone, or is not the only one."""


def known_mutants(root: Path) -> Iterator[Mutant]:
    """The known changes, where the code is now.

    Raises
    ------
    MissingAnchorError
        The code was rewritten: find the place, and mend the entry.
    """
    sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.glob("dsl/**/*.py"))}
    for known in KNOWN:
        old = known.old.encode()
        places = [path for path, source in sources.items() for _ in range(source.count(old))]
        if len(places) != 1:
            raise MissingAnchorError(f"'{known.name}': {known.old!r} occurs {len(places)} times in dsl/; mend known.py")
        source = sources[places[0]]
        start = source.index(old)
        line = source.count(b"\n", 0, start) + 1
        yield Mutant(name=f"known: {known.name}", path=places[0], line=line, old=known.old, new=known.new, start=start)
