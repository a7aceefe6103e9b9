"""Numbers in sentences and tables."""

import numpy as np


def p_text(p: float) -> str:
    """A p value in words.

    Examples
    --------
    >>> p_text(0.00012), p_text(0.0416)
    ('p < 0.001', 'p = 0.042')
    """
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def number(value: float) -> str:
    """Three significant digits, without a power of ten where none is needed.

    Examples
    --------
    >>> number(-0.012345), number(1234.5), number(0.5), number(-1e-9)
    ('-0.0123', '1234', '0.500', '-1e-09')
    """
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    # decimals that leave three significant digits
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{value:.{max(digits, 0)}f}" if -3 <= digits <= 6 else f"{value:.3g}"
