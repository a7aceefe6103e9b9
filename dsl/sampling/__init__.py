"""Which rows to label: designs with known probabilities, drawn, saved, sent to coders and read back.

Every function here returns a `LabelDesign`, which carries each row's probability of being drawn, the rows drawn,
and how: all that ``dsl.dsl(design=...)`` needs.
"""

from dsl.sampling.clusters import clustered, two_stage
from dsl.sampling.design import LabelDesign
from dsl.sampling.nested import nested
from dsl.sampling.schemes import bernoulli, proportional_to_size, simple_random, stratified
from dsl.sampling.targeted import targeted

__all__ = [
    "LabelDesign",
    "bernoulli",
    "clustered",
    "nested",
    "proportional_to_size",
    "simple_random",
    "stratified",
    "targeted",
    "two_stage",
]
