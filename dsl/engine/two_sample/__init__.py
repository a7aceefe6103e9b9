"""Prediction-powered inference: surrogates of the unlabelled rows, corrected by labelled ones.

References
----------
Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science 382 (2023).
Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference" (2023).
Kluger, Lu, Zrnic, Wang and Bates, "Prediction-powered inference with imputed covariates and nonuniform sampling" (2025).
"""

from dsl.engine.two_sample.fit import TwoSampleFit, two_sample

__all__ = ["TwoSampleFit", "two_sample"]
