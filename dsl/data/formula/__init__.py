"""From a formula to design matrices."""
