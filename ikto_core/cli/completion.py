"""`ikto completion`: print the script that completes commands in a shell; and the answers that such a script asks for.

The scripts ask the program itself, which prints a line per completion: `KIND<TAB>VALUE<TAB>HELP`. A KIND other than
`plain` leaves it to the shell to complete a path. click's own scripts differ from version to version.
"""

import os

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

from ikto_core.cli.examples import examples

BASH = r"""# Completion of ikto for bash (4.4 or later), as `ikto completion bash` prints it.
_ikto() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default; COMPREPLY=(); return ;;
            dir) compopt -o dirnames; COMPREPLY=(); return ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _IKTO_COMPLETE=ikto_complete "$1" 2>/dev/null)
}
complete -o nosort -F _ikto ikto
"""

ZSH = r"""#compdef ikto
# Completion of ikto for zsh, as `ikto completion zsh` prints it.
_ikto() {
    local kind value help
    local -a found
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) _files; return ;;
            dir) _files -/; return ;;
            plain) found+=("${value//:/\\:}:$help") ;;
        esac
    done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) _IKTO_COMPLETE=ikto_complete ikto 2>/dev/null)
    _describe -V 'ikto' found
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ikto "$@"
else
    compdef _ikto ikto
fi
"""

FISH = r"""# Completion of ikto for fish, as `ikto completion fish` prints it.
function __ikto_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l at (math (count $words) - 1)
    for line in (env COMP_WORDS="$words" COMP_CWORD=$at _IKTO_COMPLETE=ikto_complete ikto 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' $parts[2] "$parts[3]"
            case file dir
                __fish_complete_path (commandline -ct)
        end
    end
end
complete -c ikto -f -a '(__ikto_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@click.command(
    epilog=examples(
        "ikto completion bash > /etc/bash_completion.d/ikto",
        "ikto completion zsh > /usr/local/share/zsh/site-functions/_ikto",
        "ikto completion fish > ~/.config/fish/completions/ikto.fish",
    )
)
@click.argument("shell", type=click.Choice(tuple(SCRIPTS)))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    The packages of a distribution and the wheel install it: nothing is to be done then.
    """
    click.echo(SCRIPTS[shell], nl=False)


class IktoComplete(ShellComplete):
    """Answers the scripts: the command line is in COMP_WORDS, the number of the word to complete in COMP_CWORD."""

    name = "ikto"
    source_template = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the incomplete one, and that."""
        words, at = split_arg_string(os.environ.get("COMP_WORDS", "")), os.environ.get("COMP_CWORD", "")
        number = int(at) if at.isdecimal() else len(words)
        return words[1:number], words[number] if number < len(words) else ""

    def format_completion(self, item: CompletionItem) -> str:
        """Return one line for the script."""
        return "\t".join((item.type, str(item.value), " ".join(str(item.help or "").split())))


def answer_scripts() -> None:
    """Have click answer the scripts above."""
    add_completion_class(IktoComplete)


def top_level(names: dict[str, str], incomplete: str) -> list[CompletionItem]:
    """Return the commands that begin with a text; `names`: their help lines by name."""
    return [CompletionItem(name, help=text) for name, text in names.items() if name.startswith(incomplete)]
