"""Random analyses against an oracle of dense matrices, and random bad input."""
