"""Completions for bash, zsh and fish, made of the table of options."""

from __future__ import annotations

from .. import _bulk
from . import bulk
from .items import KNOWN_METHODS
from .options import OPTIONS, Option

#: What values of options may be completed with, by what they are called in the help.
_FILES = ("FILE", "FILENAME", "FILE[:PASSWORD]")


def completion(shell: str) -> str:
    """Return the script for a shell: "bash", "zsh" or "fish"."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _choices(option: Option) -> tuple[str, ...]:
    """Return the words that may be the value of an option."""
    known = {"METHOD": tuple(sorted(KNOWN_METHODS)), "SHELL": ("bash", "zsh", "fish"), "cold,warm": ("cold,warm",)}
    known["KIND"] = _bulk.BODIES
    return known.get(option.values[0], ()) if option.values else ()


def _takes_file(option: Option) -> bool:
    return bool(option.values) and option.values[-1] in _FILES


def _names(options: list[Option]) -> list[str]:
    return sorted({name for option in options for name in option.names})


def _bash() -> str:
    return "\n".join(
        [
            "# bash completion of httpx-fast: source <(httpx-fast --completion bash)",
            "_httpx_fast() {",
            "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}",
            "  COMPREPLY=()",
            "  if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == bulk ]]; then",
            *(f"  {line}" for line in _bash_cases(bulk.options())),
            "    return 0",
            "  fi",
            *_bash_cases(list(OPTIONS)),
            "  [[ $COMP_CWORD == 1 && -n $word && bulk == $word* ]] && COMPREPLY=(bulk)",
            "  return 0",
            "}",
            "complete -o default -F _httpx_fast httpx-fast",
            "",
        ]
    )


def _bash_cases(options: list[Option]) -> list[str]:
    """Return the lines that complete the value of an option, or an option."""
    cases: list[str] = []
    for option in options:
        words = _choices(option)
        if words:
            cases.append(
                f'    {"|".join(option.names)}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")); return ;;'
            )
    files = "|".join(_names([option for option in options if _takes_file(option)]))
    others = "|".join(
        _names([each for each in options if each.values and not _choices(each) and not _takes_file(each)])
    )
    return [
        '  case "$before" in',
        *cases,
        f'    {files}) COMPREPLY=($(compgen -f -- "$word")); return ;;',
        f"    {others}) return ;;",
        "  esac",
        f'  [[ $word == -* ]] && COMPREPLY=($(compgen -W "{" ".join(_names(options))}" -- "$word"))',
    ]


def _zsh() -> str:
    lines = ["#compdef httpx-fast", "# zsh completion of httpx-fast: put it into a folder of $fpath as _httpx-fast"]
    lines += ["if [[ $words[2] == bulk ]]; then", "  shift words", "  (( CURRENT-- ))"]
    lines += [f"  {line}" for line in _zsh_arguments(bulk.options(), "1:file of URLs:_files")]
    lines += ["  return", "fi"]
    # --json stands there with its value
    options = [option for option in OPTIONS if option.kind != "listed"]
    lines += [*_zsh_arguments(options, "*:URL, item, or bulk:_default"), ""]
    return "\n".join(lines)


def _zsh_arguments(options: list[Option], rest: str) -> list[str]:
    lines = ["_arguments -s -S \\"]
    for option in options:
        for name in option.names:
            repeated = "*" if option.kind in ("append", "data") else ""
            values = "".join(f":{_zsh_quoted(value)}:{_zsh_action(option)}" for value in option.values)
            lines.append(f"  '{repeated}{name}[{_zsh_quoted(option.help)}]{values}' \\")
    return [*lines, f"  '{rest}'"]


def _zsh_action(option: Option) -> str:
    words = _choices(option)
    return f"({' '.join(words)})" if words else "_files" if _takes_file(option) else " "


def _zsh_quoted(text: str) -> str:
    escaped = "".join(f"\\{each}" if each in "\\:[]" else each for each in text)
    return escaped.replace("'", "'\\''")


def _fish() -> str:
    lines = ["# fish completion of httpx-fast: httpx-fast --completion fish | source"]
    lines.append(f"complete -c httpx-fast -n __fish_use_subcommand -a bulk -d {_fish_quoted(bulk.INTRODUCTION)}")
    lines += [_fish_line(option, "not __fish_seen_subcommand_from bulk") for option in OPTIONS]
    lines += [_fish_line(option, "__fish_seen_subcommand_from bulk") for option in bulk.options()]
    return "\n".join([*lines, ""])


def _fish_line(option: Option, condition: str) -> str:
    parts = [f"complete -c httpx-fast -n {_fish_quoted(condition)}"]
    for name in option.names:
        parts.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
    words = _choices(option)
    if words:
        parts.append(f"-x -a '{' '.join(words)}'")
    elif option.values:
        parts.append("-r" if _takes_file(option) else "-x")
    parts.append(f"-d {_fish_quoted(option.help)}")
    return " ".join(parts)


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
