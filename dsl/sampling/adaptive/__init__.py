"""Adaptive annotation: label in batches, each drawn where the labels before it say that labels tell most."""

from dsl.sampling.adaptive.loop import AdaptiveDesign

__all__ = ["AdaptiveDesign"]
