"""The command line: ``dsl fit``, ``compare``, ``power``, ``sample``, ``collect``, ``adaptive``, ``annotate``."""

from dsl.cli.command import main

__all__ = ["main"]
