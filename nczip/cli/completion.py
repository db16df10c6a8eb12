"""Shell completions, made from the commands that the parser and --help are made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import click

from nczip.cli import commands

_BASH = r"""
_nczip() {
    local program=${1##*/} cur=${COMP_WORDS[COMP_CWORD]} first= options words= only=
    [[ $program == nczip && $COMP_CWORD -gt 1 ]] && first=${COMP_WORDS[1]}
    compopt -o filenames 2>/dev/null
    case ${COMP_WORDS[COMP_CWORD-1]} in
        @FILE@) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        @DIR@) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
        @VALUE@) return ;;
    esac
    case $first in
@CASES@
        *) options='@OPTIONS@' ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
        return
    fi
    [[ $program == nczip && $COMP_CWORD -eq 1 ]] && words='@SUBCOMMANDS@'
    [[ $program != nczip || $first == decompress ]] && only='!*.ncz'
    local archives='\ (-[a-zA-Z0-9]*[dtl][a-zA-Z0-9]*|--decompress|--test|--list)\ '
    [[ " ${COMP_WORDS[*]} " =~ $archives ]] && only='!*.ncz'
    mapfile -t COMPREPLY < <(
        compgen -W "$words" -- "$cur"
        [[ $only ]] && compgen -d -- "$cur"
        compgen -f ${only:+-X "$only"} -- "$cur"
    )
}
complete -F _nczip @PROGRAMS@
"""

_ZSH = r"""
_nczip_files() {
    local archives='(-[a-zA-Z0-9]#[dtl]*|--decompress|--test|--list|decompress)'
    if [[ $service != nczip || -n ${words[(r)$~archives]} ]]; then
        _files -g '*.ncz'
    else
        _files
    fi
}

_nczip_first() {
    [[ $service == nczip && $CURRENT -eq 2 ]] && _values command @SUBCOMMANDS@
    _nczip_files
}

_nczip() {
    setopt local_options extended_glob
    if [[ $service == nczip && $CURRENT -gt 2 ]]; then
        case $words[2] in
@CASES@
        esac
    fi
    _arguments -s -S : @OPTIONS@ '1: :_nczip_first' '*: :_nczip_files'
}

_nczip "$@"
"""


@dataclass(frozen=True)
class Word:
    """One option as a shell needs it. ``takes`` is the kind of its value, empty for a flag."""

    names: tuple[str, ...]
    help: str
    takes: str


def script(shell: str) -> str:
    """The completion script for ``bash``, ``zsh`` or ``fish``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _options(command: click.Command) -> list[Word]:
    return [
        Word(
            names=tuple(param.opts),
            help=(param.help or "").split("\n")[0].replace("'", ""),
            takes="" if param.is_flag or param.count else param.metavar or param.type.name,
        )
        for param in command.get_params(click.Context(command, **command.context_settings))
        if isinstance(param, click.Option) and not param.hidden
    ]


def _follow(command: click.Command) -> list[str]:
    """The words that may follow a command: the commands of a group, or the choices of an argument."""
    if isinstance(command, click.Group):
        return command.list_commands(click.Context(command))
    arguments = (param.type for param in command.params if isinstance(param, click.Argument))
    return [str(choice) for kind in arguments if isinstance(kind, click.Choice) for choice in kind.choices]


def _subcommands() -> Iterator[tuple[str, click.Command]]:
    return ((name, commands.load(name)) for name in commands.SUBCOMMANDS)


def _fill(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def _bash() -> str:
    def names(command: click.Command) -> str:
        return " ".join(name for word in _options(command) for name in word.names)

    def taking(*kinds: str) -> str:
        return "|".join(
            name for word in _options(commands.files) if word.takes in kinds for name in word.names
        )

    cases = [
        f"        {name}) options='{names(command)}' words='{' '.join(_follow(command))}' ;;"
        for name, command in _subcommands()
    ]
    return "# bash completion for nczip\n" + _fill(
        _BASH,
        FILE=taking("FILE"),
        DIR=taking("DIR"),
        VALUE=taking("N", "SIZE", "NAME"),
        CASES="\n".join(cases),
        OPTIONS=names(commands.files),
        SUBCOMMANDS=" ".join(commands.SUBCOMMANDS),
        PROGRAMS=" ".join(commands.PROGRAMS),
    )


def _zsh() -> str:
    actions = {"FILE": "_files", "DIR": "_directories"}

    def specs(command: click.Command) -> str:
        return " ".join(spec(word) for word in _options(command))

    def spec(word: Word) -> str:
        text = word.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
        value = f":{word.takes}:{actions.get(word.takes, ' ')}" if word.takes else ""
        others = " ".join(word.names)
        return " ".join(
            f"'({others}){name}{_joint(name) if word.takes else ''}[{text}]{value}'" for name in word.names
        )

    cases = []
    for name, command in _subcommands():
        follow = _follow(command)
        rest = f"'1: :({' '.join(follow)})'" if follow else "'*: :_nczip_files'"
        arguments = f"_arguments -s -S : {specs(command)} {rest}"
        cases.append(f"            {name}) shift words; (( CURRENT-- )); {arguments}; return ;;")
    subcommands = " ".join(f"'{name}[{text}]'" for name, (_, text) in commands.SUBCOMMANDS.items())
    return f"#compdef {' '.join(commands.PROGRAMS)}\n" + _fill(
        _ZSH, CASES="\n".join(cases), OPTIONS=specs(commands.files), SUBCOMMANDS=subcommands
    )


def _joint(name: str) -> str:
    """How zsh writes that a value may be joined to the option: ``-T4``, ``--threads=4``."""
    return "=" if name.startswith("--") else "+"


def _fish() -> str:
    lines = ["# fish completion for nczip"]

    def add(program: str, condition: str, word: Word) -> None:
        flags = " ".join(
            f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in word.names
        )
        value = {"": "", "FILE": " -rF", "DIR": " -xa '(__fish_complete_directories)'"}.get(word.takes, " -x")
        lines.append(f"complete -c {program}{condition} {flags}{value} -d '{word.help}'")

    elsewhere = f" -n 'not __fish_seen_subcommand_from {' '.join(commands.SUBCOMMANDS)}'"
    for program in commands.PROGRAMS:
        for word in _options(commands.files):
            add(program, elsewhere if program == "nczip" else "", word)
    for name, command in _subcommands():
        text = commands.SUBCOMMANDS[name][1].replace("'", "")
        lines.append(f"complete -c nczip -n __fish_use_subcommand -a {name} -d '{text}'")
        inside = f" -n '__fish_seen_subcommand_from {name}'"
        for word in _options(command):
            add("nczip", inside, word)
        if follow := _follow(command):
            lines.append(f"complete -c nczip{inside} -xa '{' '.join(follow)}'")
    return "\n".join(lines) + "\n"
