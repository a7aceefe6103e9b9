"""How many labels are needed, and what they will bring."""
