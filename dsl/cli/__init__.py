"""The command line: ``dsl fit``, ``dsl compare``, ``dsl power``, ``dsl sample``, ``dsl collect``, ``dsl adaptive``,
``dsl annotate``."""

from dsl.cli.command import main

__all__ = ["main"]
