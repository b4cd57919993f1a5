"""Trials with their texts as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from robench._base.escaping import MESSAGE, NAME, html
from robench.records.marked_text import Piece
from robench.records.trial_plain import cell_words, fields_of
from robench.records.trial_texts import TrialText
from robench.records.trial_words import cost_words, outcome_words

# Light and dark follow the reader's system. A change is marked by a line and by brackets as well,
# because colours alone do not reach every reader.
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --page: #fff; --card: #f5f5f7; --dim: #5c5c63;
  --line: #d2d2d7; --old: #9b1c1c; --old-back: #fde8e8; --new: #14532d; --new-back: #dcfce7; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --page: #17171a; --card: #222226;
  --dim: #a5a5ad; --line: #3a3a40; --old: #fca5a5; --old-back: #4a1d1d; --new: #86efac;
  --new-back: #123a22; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 52rem; background: var(--page);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  margin: 1rem 0; padding: .9rem 1.1rem; }
p { margin: .35rem 0; } .dim { color: var(--dim); font-size: .9rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.field { color: var(--dim); }
.verdict { border: 1px solid; border-radius: .3rem; padding: 0 .35rem; font-size: .8rem; }
del { color: var(--old); background: var(--old-back); text-decoration: line-through; }
ins { color: var(--new); background: var(--new-back); text-decoration: underline;
  font-weight: 600; }
del::before, ins::before { content: "["; } del::after, ins::after { content: "]"; }
"""


def to_html(trials: Sequence[TrialText], title: str) -> str:
    """Return a whole page. It needs no other file and no script, and every text is escaped.

    Args:
        trials: the trials, in the order of the page.
        title: the heading.
    """
    counts = Counter(str(trial.verdict) for trial in trials)
    summary = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no trials"
    body = "\n".join(_article(trial) for trial in trials)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html(title)}</h1>\n<p class=dim>{html(summary)}. "
        "<del>Struck</del> words were replaced by <ins>underlined</ins> ones.</p>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _article(trial: TrialText) -> str:
    lines = [
        f'<h2><span class="verdict">{html(str(trial.verdict))}</span> '
        f"{html(outcome_words(trial))}</h2>",
        *_fields(trial),
        f'<p class="dim">{html(cost_words(trial))}</p>',
    ]
    if trial.problem:
        lines.append(f"<p>{html(trial.problem, MESSAGE)}</p>")
    lines.append(f'<p class="dim">{html(cell_words(trial))}</p>')
    return "<article>\n" + "\n".join(lines) + "\n</article>"


def _fields(trial: TrialText) -> Iterator[str]:
    for name, parts in fields_of(trial):
        label = f'<span class="field">{html(name, NAME)}: </span>' if name else ""
        yield f'<p class="text" dir="auto">{label}{"".join(map(_piece, parts))}</p>'


def _piece(piece: Piece) -> str:
    if not piece.changed:
        return html(piece.old, lines=True)
    old = f"<del>{html(piece.old, lines=True)}</del>" if piece.old else ""
    new = f"<ins>{html(piece.new, lines=True)}</ins>" if piece.new else ""
    return old + new
