"""ppi-python with its loops interpreted: compiling them takes longer than the tests that call them.

Whoever imports ``ppi_py`` first decides; tests import it from here.
"""

import numba

_compiled, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
try:
    import ppi_py
finally:
    numba.config.DISABLE_JIT = _compiled

__all__ = ["ppi_py"]
