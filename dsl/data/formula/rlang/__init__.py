"""R's formula language: syntax, terms, values and functions, evaluated on pandas columns.

``syntax`` reads text into expressions, and ``terms`` expands the operators of a formula. ``evaluate`` computes
expressions with the functions of ``functions``, ``factors`` and ``basis`` on the vectors of ``values``.
``matrix`` codes categories and multiplies columns. Together they do what R's ``terms``, ``model.frame`` and
``model.matrix`` do.

Works, with R's columns, order and names:

- operators ``+ - * / : ^ %in% .``, ``1``, ``0``, ``-1``, backticks, names with dots, ``stats::`` and ``splines::``,
- ``I()`` and any expression with ``+ - * / ^ %% %/% == != < > <= >= & | ! %in% from:to``,
- ``factor as.factor ordered as.ordered relevel cut interaction droplevels C`` (treatment, sum, helmert, poly, SAS),
- ``as.numeric as.integer as.double as.character as.logical ifelse xor c seq cbind paste paste0 nchar substr toupper``,
- dates, which are days (seconds, where there is a time of day) since 1970: ``as.Date format months weekdays quarters``,
  differences, comparisons with text,
- ``poly bs ns scale`` and ``mean sd var median min max sum quantile`` inside expressions, with their state kept,
- ``log log2 log10 log1p exp expm1 sqrt abs round floor ceiling trunc sign pmin pmax sin cos tan ...``, ``offset``,
- numpy's functions of rows, ``np.log1p(x)`` and the others in ``python.NUMPY``, and formulaic's ``C(g, Treatment('b'))``,
  ``center standardize cr cc cs Q {x + 1}``, ``x ** 2``,
- in calls made in Python, the functions, numbers and lists of the code that the formula stands in. Such a formula is code:
  it may call whatever that code can. A formula from a shell, a file or a log finds none of them.

Refused with the reason: ``functions.REFUSED`` and ``syntax.REFUSED`` (lags, survival, smooths, random effects,
fixest's ``i()``, ``$``, ``[``, ...), several outcomes, ``%o%``, unknown functions.

Different from R:

- Whole numbers never overflow (R makes them missing beyond 2^31 - 1).
- Rows with missing values go before anything is evaluated, as do unused levels. A variable that the formula removes
  again (``. - x``) may be missing.
- Text as first argument of ``relevel`` and ``C`` is a factor.
- Whole numbers of more than 15 digits are told apart as levels of ``factor()``.
- ``months`` and ``weekdays`` are English, times of day are written in full, ``cut`` is not for dates.
- A constant or undefined term is an error.
"""
