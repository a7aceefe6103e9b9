"""The command line: ``dsl --help`` lists its commands, and ``dsl fit --help`` the options of one."""

from dsl.cli.command import main

__all__ = ["main"]
