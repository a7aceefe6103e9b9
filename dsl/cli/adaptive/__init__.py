"""Adaptive annotation in batches, each of which goes to the coders as a file: the log is all that is remembered in between."""

from dsl.cli.adaptive import collect, estimate, next, start, status

HELP = "label in batches, each where labels tell most"
EPILOG = """\
examples:
  dsl adaptive start posts.csv "y ~ x" --predicted y --prediction llm_y --confidence llm_confidence --n-labels 1000 \\
      --log study.log --columns text --codebook 0=no 1=yes --coder batch-1.csv
  dsl adaptive collect posts.csv --log study.log --coder batch-1.csv
  dsl adaptive next posts.csv --log study.log --columns text --coder batch-2.csv
  dsl adaptive status posts.csv --log study.log
  dsl adaptive estimate posts.csv --log study.log --json fit.json --table fit.docx

The data, and how they are read (--id, --sep, ...), must be the same each time: the log knows them by their hash.
"""
STEPS = (start, collect, next, status, estimate)
"""The commands below ``dsl adaptive``."""
