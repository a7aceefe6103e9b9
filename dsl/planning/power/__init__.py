"""Planning: standard errors at other numbers of labels, and what follows from them.

- `power_dsl`: from a fit, a pilot's for instance (DSL-2024, power analysis).
- `plan_dsl`: before anything is labelled, from an assumed accuracy of the surrogates.
- `PowerResults`: what both return.
- `power_stages`, `plan_stages`: the same for a crowd's labels and experts' on some of its rows. They return a `StagePower`.
- `learning_curve`: from a fit, the learner trained anew on fewer labels.
"""

from dsl.planning.power.before import plan_dsl
from dsl.planning.power.from_fit import power_dsl
from dsl.planning.power.learning import LearningCurve, learning_curve
from dsl.planning.power.results import PowerResults
from dsl.planning.power.stages import StagePower, plan_stages, power_stages

__all__ = [
    "LearningCurve",
    "PowerResults",
    "StagePower",
    "learning_curve",
    "plan_dsl",
    "plan_stages",
    "power_dsl",
    "power_stages",
]
