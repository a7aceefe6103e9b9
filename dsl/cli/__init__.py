"""The command line: ``dsl fit``, ``dsl compare``, ``dsl power``, ``dsl sample``, ``dsl collect``."""

from dsl.cli.command import main

__all__ = ["main"]
