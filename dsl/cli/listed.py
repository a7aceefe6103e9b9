"""Options with several values: repeated, divided by commas, or both."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

OPENING, CLOSING = "([{", ")]}"


class Listed(argparse.Action):
    """Values of ``--feature a --feature b``, of ``--feature a,b`` and, with ``nargs="+"``, of ``--feature a b``, in one list.

    Parameters
    ----------
    convert : function
        Makes a value of each piece of text. It raises ValueError for what is none.
    """

    def __init__(self, *args: Any, convert: Callable[[str], object] = str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.convert = convert

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        """Add what was given to what was given before."""
        found = list(getattr(namespace, self.dest) or ())
        for text in [values] if isinstance(values, str) else values or ():
            # nothing at all, as a shell's variable that was not set leaves behind, is an empty name, of which the call tells
            if text == "" and self.convert is str:
                found.append("")
                continue
            for part in parts(str(text)):
                found.append(self._converted(part, str(text)))
        setattr(namespace, self.dest, found)

    def _converted(self, part: str, text: str) -> object:
        if not part:
            raise argparse.ArgumentError(self, f"one of the values in {text!r} is empty")
        try:
            return self.convert(part)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        except ValueError:
            name = {int: "a whole number", float: "a number"}.get(self.convert, "a value")  # type: ignore[call-overload]
            raise argparse.ArgumentError(self, f"{part!r} is not {name}") from None


def parts(text: str) -> list[str]:
    """Pieces between commas, but for commas in brackets and in double quotes, which are taken off.

    Examples
    --------
    >>> parts("a, C(g, contr.sum)[T.x],b")
    ['a', 'C(g, contr.sum)[T.x]', 'b']
    >>> parts('"last, first",age')
    ['last, first', 'age']
    """
    out, piece, depth, quoted = [], "", 0, False
    for sign in text:
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign in OPENING) - (sign in CLOSING)
        if sign == "," and not quoted and depth <= 0:
            out.append(piece)
            piece = ""
        else:
            piece += sign
    return [_unquoted(each.strip()) for each in (*out, piece)]


def _unquoted(text: str) -> str:
    whole = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1] if whole else text
