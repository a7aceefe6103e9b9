"""Evaluation of designs and estimators on data whose gold labels are all known."""

from dsl.planning.evaluation.evaluate import evaluate
from dsl.planning.evaluation.results import EvaluationResults
from dsl.planning.evaluation.strategies import Adaptive

__all__ = ["Adaptive", "EvaluationResults", "evaluate"]
