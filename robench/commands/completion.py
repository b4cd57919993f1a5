"""``robench completion``: the script that completes commands, options and names in a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from robench._base.escaping import NAME, terminal
from robench.commands.saying import say_data
from robench.commands.shell import COMPLETION_VARIABLE, emit, global_flags, session_of

UNSAFE = frozenset(" ,;&|<>()$`\\\"'*?![]{}#~")
"""Characters that a shell or click's own lines would read as something else."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command("completion", short_help="Print the script that completes names in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_flags
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL: commands, options, and the names of plugins, tasks and encoders.

    \b
    eval "$(robench completion bash)"                                # in ~/.bashrc
    eval "$(robench completion zsh)"                                 # in ~/.zshrc
    robench completion fish > ~/.config/fish/completions/robench.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    program = found(ctx.find_root().command, {}, "robench", COMPLETION_VARIABLE)
    # Not ``source()``: it starts the shell to look at its version.
    text = program.source_template % program.source_vars()
    if session_of(ctx).json:
        emit({"shell": shell, "script": text})
    else:
        say_data(text, nl=True)


def complete_kind(kind: str, *more: str) -> Completer:
    """Return a completer for the names of one kind, and for the words ``more``.

    A joint name is completed after its last ``+``.
    """

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from robench.inspection.catalogue import names_of

        joined, plus, _ = incomplete.rpartition("+")
        before = f"{joined}{plus}"
        return _beginning(incomplete, (before + name for name in [*names_of(kind), *more]))

    return complete


def complete_option(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete ``KIND.NAME=``, first the kind or a chosen plugin, then its options."""
    from robench.inspection.option_names import option_names

    chosen = {
        "defense": list(ctx.params.get("defenses") or ()),
        "attack": list(ctx.params.get("attacks") or ()),
    }
    owner, dot, _ = incomplete.partition(".")
    if not dot:
        names = [*chosen, *(name for names in chosen.values() for name in names)]
        return _beginning(incomplete, (f"{name}." for name in names))
    plugins = [
        (kind, name)
        for kind, names in chosen.items()
        for name in (names if owner == kind else [owner])
    ]
    found = [f"{owner}.{option}=" for kind, name in plugins for option in option_names(kind, name)]
    return _beginning(incomplete, found)


def _beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    """Return the words that begin so. A shell reads them line by line, so none has a blank."""
    return [
        CompletionItem(word)
        for word in dict.fromkeys(words)
        if word.startswith(incomplete) and word == terminal(word, NAME) and not set(word) & UNSAFE
    ]
