"""Print a script that completes commands, options and their values in a shell."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

HELP = "completion of commands and options in a shell"
EPILOG = """\
bash:  dsl completion bash > ~/.local/share/bash-completion/completions/dsl
zsh:   dsl completion zsh >> ~/.zshrc
fish:  dsl completion fish > ~/.config/fish/completions/dsl.fish
"""
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An option as a shell completes it."""

    names: tuple[str, ...]
    values: tuple[str, ...]
    """What it may be, if these are few. Otherwise file names are completed."""
    takes: bool
    """Whether a value follows."""
    help: str


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``dsl completion``."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(options: Namespace) -> None:
    """Print the script."""
    from dsl.cli.command import parser

    commands = dict(_commands(parser(), ()))
    print(_fish(commands) if options.shell == "fish" else _bash(commands, zsh=options.shell == "zsh"), end="")


def _commands(parser: ArgumentParser, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Known]]]:
    """Every command by its words, with its options, and the words that go on with it as an option without a name."""
    options = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            below_it = action._name_parser_map
            options += [Known(names=(), values=(name,), takes=False, help=helps[name]) for name in below_it]
            for name, below in below_it.items():
                yield from _commands(below, (*above, name))
        elif action.option_strings:
            names = tuple(name for name in action.option_strings if name.startswith("--"))
            options.append(Known(names=names, values=_values(action), takes=action.nargs != 0, help=action.help or ""))
        elif action.choices:
            options += [Known(names=(), values=(str(value),), takes=False, help="") for value in action.choices]
    yield above, options


def _values(action: argparse.Action) -> tuple[str, ...]:
    """What an option may be, where that is a short list."""
    if action.choices:
        return tuple(map(str, action.choices))
    return tuple(_registered().get(action.dest, ())) if action.nargs != 0 else ()


def _registered() -> Mapping[str, Sequence[str]]:
    """Names in the registries, by argument."""
    from dsl.data.arguments import TARGETS
    from dsl.data.refusals import REFUSALS
    from dsl.engine.models import MODELS
    from dsl.estimators.names import ESTIMATORS
    from dsl.estimators.options import VCOVS
    from dsl.estimators.short import SHORT
    from dsl.learners.names import available_method

    methods = tuple(available_method()["method"])
    return {
        "model": tuple(MODELS),
        "estimator": tuple(ESTIMATORS),
        "estimators": tuple(SHORT),
        "reference": tuple(SHORT),
        "target": TARGETS,
        "vcov": tuple(VCOVS),
        "refusals": tuple(REFUSALS),
        "sl_method": methods,
        "error_model": methods,
        "designs": ("srs", "bernoulli", "adaptive"),
    }


def _bash(commands: Mapping[tuple[str, ...], list[Known]], *, zsh: bool) -> str:
    """A function for bash, which zsh can use too."""
    paths = [path for path in commands if path]
    steps = "\n".join(
        f'            "{" ".join(path[:-1])}:{path[-1]}") command="{" ".join(path)}" ;;' for path in paths
    )
    values, words = [], []
    for path, options in commands.items():
        command = " ".join(path)
        for each in options:
            if each.values and each.names:
                shown = "|".join(f'"{command}:{name}"' for name in each.names)
                values.append(f'        {shown}) words="{" ".join(each.values)}" ;;')
        named = [name for each in options for name in (each.names or each.values)]
        words.append(f'            "{command}") words="{" ".join(named)}" ;;')
    head = "autoload -U +X bashcompinit && bashcompinit\n" if zsh else ""
    return f"""{head}_dsl() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$command:${{COMP_WORDS[i]}}" in
{steps}
        esac
    done
    case "$command:$previous" in
{chr(10).join(values)}
    esac
    if [[ -z "$words" && ( "$current" == -* || -z "$command" || "$command" == adaptive || "$command" == completion ) ]]; then
        case "$command" in
{chr(10).join(words)}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _dsl dsl
"""


def _fish(commands: Mapping[tuple[str, ...], list[Known]]) -> str:
    """Lines for fish."""
    lines = []
    for path, options in commands.items():
        below = [value for each in options if not each.names for value in each.values]
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in path)
        unseen = f"not __fish_seen_subcommand_from {' '.join(below)}" if below else ""
        for each in options:
            about = f" -d {_quoted(each.help)}" if each.help else ""
            if not each.names:
                when = "; and ".join(filter(None, (seen, unseen)))
                lines.append(f"complete -c dsl -n {_quoted(when)} -f -a {each.values[0]}{about}")
                continue
            names = " ".join(f"-l {name[2:]}" for name in each.names)
            more = f" -x -a {_quoted(' '.join(each.values))}" if each.values else " -r" if each.takes else ""
            when = f" -n {_quoted(seen)}" if seen else ""
            lines.append(f"complete -c dsl{when} {names}{more}{about}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
