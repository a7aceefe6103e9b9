"""One analysis with the labels of many models: estimates side by side, and whether they agree."""

from dsl.reports.multiverse.results import Multiverse, Universe

__all__ = ["Multiverse", "Universe"]
