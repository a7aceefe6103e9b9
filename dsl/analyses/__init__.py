"""The calls that analyse data, and the results that they return."""
