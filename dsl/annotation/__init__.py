"""Labels from language models, with what a correction needs: a probability for each label, and how they came about."""

from dsl.annotation.batch import read_batch, write_batch
from dsl.annotation.client import CallableModel
from dsl.annotation.codebook import Codebook
from dsl.annotation.estimate import CostEstimate, estimate_cost
from dsl.annotation.prompts import Prompt
from dsl.annotation.publish import pack_cache
from dsl.annotation.validate import validate
from dsl.annotation.validation import Validation
from dsl.data.trail import Trail

__all__ = [
    "CallableModel",
    "Codebook",
    "CostEstimate",
    "Prompt",
    "Trail",
    "Validation",
    "estimate_cost",
    "pack_cache",
    "read_batch",
    "validate",
    "write_batch",
]
