"""Labels from language models, with what a correction needs: a probability for each label, and how they came about."""

from dsl.annotation.codebook import Codebook
from dsl.annotation.prompts import Prompt

__all__ = ["Codebook", "Prompt"]
