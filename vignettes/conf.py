"""Sphinx configuration: executed MyST pages and the API reference, built offline."""

import dsl

project = "dsl"
author = "the dsl developers"
release = dsl.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = "dsl"
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
autodoc_typehints = "none"
napoleon_numpy_docstring = True
exclude_patterns = ["_build", "_texts", "jupyter_execute"]
