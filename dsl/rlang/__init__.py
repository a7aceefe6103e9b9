"""R's formula language: syntax, terms, values and functions, evaluated on pandas columns.

``syntax`` reads text into expressions, ``terms`` expands the operators of a formula, ``evaluate`` computes
expressions with the functions of ``functions`` and ``basis`` on the vectors of ``values``, and ``matrix`` codes
categories and multiplies columns, as R's ``terms``, ``model.frame`` and ``model.matrix`` do.
"""
