"""Errors and warnings. One root each, so that ``except dsl.DSLError`` catches everything.

Every message says what was found (column, count, first rows) and what to do about it.
"""


class DSLError(Exception):
    """Root of every error raised on purpose by this package."""


class ArgumentError(DSLError, ValueError):
    """An argument is unknown, of the wrong kind, or contradicts another one."""


class CallError(ArgumentError, TypeError):
    """An argument's name is unknown, or an argument is missing or given twice."""


class NeedsAllRowsError(ArgumentError):
    """Something needs all rows in memory at once, and the data are read in blocks."""


class MissingDependencyError(DSLError, ImportError):
    """An optional package is needed. The message names the extra that installs it."""


class FileError(DSLError, OSError):
    """A file cannot be written or read: the folder is missing, the disk full, the permission not there."""

    def __init__(self, *args: object) -> None:
        # OSError would print a number in front of the message
        super().__init__(*args)
        self.message = str(args[-1]) if args else ""

    def __str__(self) -> str:
        """The message alone."""
        return self.message


class FormulaError(DSLError, ValueError):
    """The formula cannot be read, or does not fit the other arguments."""


class DataError(DSLError, ValueError):
    """The data cannot be used as they are. Root of the data errors below."""


class MissingColumnError(DataError):
    """A named column is not in the data."""


class ColumnTypeError(DataError):
    """A column has values of a kind that cannot be used where it is named."""


class InfiniteValueError(DataError):
    """A column, or a term built from it, has infinite or undefined values, or values too large or small to be squared."""


class SourceError(DataError):
    """Data that are read in blocks changed between two passes, cannot be read again, or are damaged. The file is named."""


class LabelError(DataError):
    """The labelled rows contradict the gold values, or there are too few of them."""


class SampleProbabilityError(DataError):
    """Sampling probabilities are missing or outside (0, 1]."""


class WeightError(DataError):
    """Analysis weights are missing, infinite, zero or negative."""


class TextError(DataError):
    """Texts are missing where a learner is to read them."""


class PredictionError(DataError):
    """Predictions (surrogate labels) are missing where they are needed."""


class LeakError(PredictionError):
    """A prediction is a copy of the gold label, known on labelled rows only."""


class MissingCodeError(DataError):
    """A code for "missing" ("", "NA", -99) is taken for a value."""


class ScaleError(PredictionError):
    """Gold labels and surrogates are on different scales, or have different values, where both are used as they are."""


class OutcomeError(DataError):
    """The outcome does not suit the model: a logit needs values in [0, 1]."""


class FoldError(DataError):
    """Cross-fitting folds cannot be built, or those supplied cannot be used."""


class DesignError(DataError):
    """A labelling design contradicts itself, was changed since it was saved, or belongs to other data."""


class CoderFileError(DataError):
    """A coder's file cannot be used: labels missing, repeated, unknown, or given to texts that were changed."""


class ServerError(DSLError, RuntimeError):
    """A language model could not be asked, or its server answered with something that cannot be used.

    Parameters
    ----------
    message : str
        Never holds the key, the prompt or the text.
    status : int, optional
        Of the HTTP answer. None where none came.
    retry_after : float, optional
        Seconds that the server asks to wait.
    retry : bool
        Whether asking again can help.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, retry: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.retry = retry


class CacheError(DSLError, ValueError):
    """The file of a model's answers cannot be used: another process writes to it, or it is something else."""


class BudgetError(DSLError, RuntimeError):
    """A budget is spent before all texts have labels. What was answered is stored."""


class TrailError(DSLError, ValueError):
    """The record of how labels were made is damaged, or is of something else."""


class EstimationError(DSLError):
    """The data are fine but the equations have no usable solution. Root of the errors below."""


class CollinearityError(EstimationError):
    """Some columns of the design matrix are constant or linear combinations of others."""


class SeparationError(EstimationError):
    """A logit coefficient is infinite: some covariates separate the outcomes perfectly."""


class SingularJacobianError(EstimationError):
    """The Jacobian of the moment equation cannot be inverted."""


class ConvergenceError(EstimationError):
    """The solver did not find a root of the moment equation."""


class CheckpointError(DSLError, ValueError):
    """A checkpoint belongs to another run or evaluation, or is damaged."""


class LogError(DSLError, ValueError):
    """The log of an adaptive design belongs to other data, was changed, or is damaged."""


class StatisticError(DSLError, ValueError):
    """A user's statistic failed, or returned something that cannot be used."""


class NoLikelihoodError(DSLError, AttributeError):
    """Results have no such number, since the estimates solve moment equations and have no likelihood."""


class DSLWarning(UserWarning):
    """Root of every warning issued by this package."""


class DroppedRowsWarning(DSLWarning):
    """Rows with missing values were left out. The message counts them per column."""


class AllLabeledWarning(DSLWarning):
    """Every row is labelled: the result is that of an ordinary regression."""


class CheckpointWarning(DSLWarning):
    """A checkpoint could not be written. The one before is still there."""


class LabelingWarning(DSLWarning):
    """The labelled rows do not look as if they were drawn with the stated probabilities."""


class UnusedDesignWarning(DSLWarning):
    """The data carry a labelling design or recorded probabilities that the call does not use."""


class CodingWarning(DSLWarning):
    """Values look miscoded: a code for "missing", another scale, or categories that differ by case or blanks only."""


class TextWarning(DSLWarning):
    """Texts are longer than what a learner reads of them."""


class FewLabelsWarning(DSLWarning):
    """The labelled sample is too small, or its weights too uneven, for normal intervals."""


class JacobianWarning(DSLWarning):
    """The Jacobian of the moment is not positive definite, or is close to singular."""


class WeakInstrumentWarning(DSLWarning):
    """Instruments tell so little of the covariates that they stand for that normal intervals are doubtful."""


class PowerWarning(DSLWarning):
    """A predicted standard error lies outside what its formula covers."""


class EvaluationWarning(DSLWarning):
    """Replications of an evaluation failed, or its intervals are not meant for its truth."""


class PlotWarning(DSLWarning):
    """Names in a plot have letters that no installed font has."""


class LogWarning(DSLWarning):
    """The last line of an adaptive design's log was incomplete and was cut off."""


class StatisticWarning(DSLWarning):
    """A user's statistic does not seem to use the weights that it is given."""


class UnequalPostsWarning(DSLWarning):
    """Posts of the same unit had different sampling probabilities: the mean of its labelled posts is biased."""


class AnnotationWarning(DSLWarning):
    """Many answers of a language model are missing or unreadable, or have little of their probability on the labels."""


class CacheWarning(DSLWarning):
    """Lines in the file of a model's answers are damaged."""
