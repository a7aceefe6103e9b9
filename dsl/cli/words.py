"""Messages in the words of the command line: options for Python's arguments, and no Python code.

The package's messages speak to people who write Python: ``sample_prob=``, ``data.dropna(...)``. One translation stands
between them and the terminal, made from the command's own parser.
"""

import re
from argparse import ArgumentParser
from collections.abc import Mapping

INSIDE = r"(?:[^()\[\]{}]|\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\})*"
PIECE = rf"(?:\.\w+|\[{INSIDE}\]|\({INSIDE}\))"
CODE = rf"\bdata{PIECE}+"
"""An expression of a frame called data, brackets balanced two deep."""
BEFORE = r"(?:,? (?:e\.g\.|as|with|such as)|[:,])? ?"
ASSIGNED = rf" = (?:pd\.\w+\({INSIDE}\)|(?:[\d.]+ / )?{CODE}(?: / [\d.]+)?)"
ADVICE = re.compile(rf"{BEFORE}{CODE}(?:{ASSIGNED})?(?: does where it can)?")
CODES = re.compile(rf"{BEFORE}\bdata{PIECE}*?\.map\(\{{(?P<codes>[^{{}}.]+)\}}\)")
RESUMING = {
    "AdaptiveDesign.resume(log, data, recompute=False)": "--no-recompute",
    "go on with AdaptiveDesign.resume": "run the command again",
}
"""What the functions call, and what a command that goes on with a log does."""
QUOTED = "\ue000"
VALUE = r"'[^']*'|\"[^\"]*\"|\{[^{}]*\}|\[[^\[\]]*\]|-?[\w.+]+|(?=\s|$|[;,)])"


def arguments_of(parser: ArgumentParser) -> dict[str, str]:
    """The option of a command for each argument of the functions behind it."""
    return {
        action.dest: action.option_strings[0]
        for action in parser._actions
        if action.option_strings and action.option_strings[0].startswith("--") and action.dest != "help"
    }


def in_words_of(options: Mapping[str, str], message: str, said: str = "") -> str:
    """A message of the package as the command line says it.

    Parameters
    ----------
    options : mapping
        The option for each argument.
    message : str
    said : str
        What the user wrote (the formula), which is quoted as it is.

    Examples
    --------
    >>> options = {"sample_prob": "--sample-prob", "predicted_var": "--predicted", "labeled": "--labeled", "tune": "--tune"}
    >>> in_words_of(options, "sample_prob holds weights; pass tune='coef', or leave `labeled` out (predicted_var)")
    '--sample-prob holds weights; pass --tune coef, or leave --labeled out (--predicted)'
    >>> in_words_of(options, "Recode it, e.g. data['t'].map({'no': 0, 'yes': 1}), keeping missing values missing")
    "Recode it in the file ('no': 0, 'yes': 1), keeping missing values missing"
    >>> in_words_of(options, "leave these rows out, data.dropna(subset=['x']), if they are few")
    'leave these rows out in the file, if they are few'
    """
    # a character for private use in its place, which nothing below knows
    text = message.replace(said, QUOTED) if said else message
    for code, words in RESUMING.items() if "recompute" in options else ():
        text = text.replace(code, words)
    text = ADVICE.sub(" in the file", CODES.sub(lambda found: f" in the file ({found['codes']})", text))
    if "na" in options:
        text = text.replace("Make it missing in the file", f"Make it missing ({options['na']} CODE, or in the file)")
    # longer names first, so that none is taken for the end of another
    for name in sorted(options, key=len, reverse=True):
        text = _with_option(text, name, options[name])
    return text.replace(QUOTED, said)


def _with_option(text: str, name: str, option: str) -> str:
    """A message with an option in the place of one argument."""
    # sample_prob='pi', then `labeled` and (labeled), then "seed must be", then what no sentence has: an underscore
    text = re.sub(rf"(?<![\w'.-]){name}=({VALUE})", lambda found: _given(option, found[1]), text)
    # behind a word brackets hold a function's argument: a column in factor(text)
    text = re.sub(rf"(?<!\w)\({name}\)", f"({option})", text.replace(f"`{name}`", option))
    text = re.sub(rf"(?<![\w'./-]){name}(?= must\b)", option, text)
    return re.sub(rf"(?<![\w'./-]){name}(?![\w'])", option, text) if "_" in name else text


def _given(option: str, code: str) -> str:
    """An option with what stands behind it for Python's value: text without quotes, pairs as NAME=VALUE."""
    if code in ("True", "False", "None"):
        return option if code == "True" else f"no {option}"
    return f"{option} {_value(code)}".rstrip()


def _value(code: str) -> str:
    if code[:1] in ("'", '"'):
        return code[1:-1]
    if code[:1] in ("{", "["):
        return ", ".join(re.sub(r"['\"]", "", part).replace(": ", "=") for part in code[1:-1].split(", "))
    return code
