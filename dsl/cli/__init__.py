"""The command line: ``dsl fit``, ``compare``, ``power``, ``sample``, ``collect``, ``adaptive``, ``annotate``, ``validate``."""

from dsl.cli.command import main

__all__ = ["main"]
