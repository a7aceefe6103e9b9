"""``python -m dsl``: the command line."""

import sys

from dsl.cli import main

if __name__ == "__main__":
    sys.exit(main())
