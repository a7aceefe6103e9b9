"""Sphinx configuration: executed MyST pages and the API reference, built offline and readable offline."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

import dsl

project = "dsl"
author = "the dsl developers"
copyright = "2026, the dsl developers"
release = dsl.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "dsl"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "deflist"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
autodoc_typehints = "none"
autosummary_generate = True
templates_path = ["_templates"]
# words of types, such as the rows and columns of a shape, are no references
suppress_warnings = ["ref.python"]
napoleon_numpy_docstring = True
exclude_patterns = ["_build", "_texts", "_templates", "jupyter_execute"]


def inline_formula(self: Any, node: nodes.math) -> None:
    """A formula in a line, as MathML, which browsers draw without a script or the network."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def display_formula(self: Any, node: nodes.math_block) -> None:
    """A formula of its own, which scrolls where it is wider than the page."""
    self.body.append(f'<div class="formula" tabindex="0">{convert(node.astext().strip(), display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (display_formula, None))
