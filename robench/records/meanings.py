"""What the columns and sections of a table mean: texts that do not depend on its numbers."""

from __future__ import annotations

from robench.records.columns import Columns

_MEANINGS = """\
## What the columns mean

All accuracies are percentages of all n examples. The brackets hold a 95 % interval.

- **Clean accuracy**: examples that are right without an attack.
- **A column named after an attack**: accuracy under that attack. An example counts if it is right
  without the attack and the attack does not fool the victim. An example that is wrong without an
  attack counts as not robust.
{worst_case}
- **Seeds**: number of trainings, all judged on the same n examples. With one seed the interval is
  Wilson's for the choice of the examples, and it says nothing about another training. With several
  seeds a cell shows their mean ± their sample standard deviation. Its interval is then about other
  trainings and other examples: a bootstrap draws seeds and examples 1999 times. Two or three seeds
  that differ much make it too narrow.
- **`—`**: there is no record. **`error`**: at least one example ended in an error, so the cell has
  no number.
{more}"""

_CELLS = """\
- In the table of every cell, **under attack** is the accuracy under that attack with that seed.
  **Attack success rate** is the percentage of fooled examples among the attacked ones, which are
  those that are right without an attack. **Queries** are those of the search to the victim.
"""

_ORDER_OF_A_TABLE = f"""\
{_CELLS}
Rows are sorted by worst case, and the order is no ranking: read the groups. It says nothing about
the clean accuracy that a row gave up for its worst case."""

_ORDER_BY_CLEAN = f"""\
{_CELLS}
Rows are sorted by clean accuracy, and the order is no ranking. No test of this table compares them;
`robench compare` makes one for two rows."""

ORDER_OF_A_SWEEP = (
    "Rows stand in the order in which the values were given. No test compares them. Where "
    "intervals overlap widely, these runs cannot tell the values apart."
)

_WORST_OF_BOARD = """\
- **Worst case**: an example counts if it is right under every attack of the table. This is decided
  example by example, and for each seed separately."""

_WORST_OF_RUN = """\
- **Worst case**: an example counts if it is right under every attack that all rows of the table
  have. This is decided example by example, and for each seed separately. The heading names these
  attacks if the table has others."""


_NO_WORST_CASE = """\
- **Worst case**: it is about attacks that search for texts, and this table has none."""


def meanings_of_board(columns: Columns) -> str:
    """Return what the columns of a board's tables mean, as a section of Markdown."""
    if not columns.worst_over:
        return _MEANINGS.format(worst_case=_NO_WORST_CASE, more=_ORDER_BY_CLEAN)
    return _MEANINGS.format(worst_case=_WORST_OF_BOARD, more=_ORDER_OF_A_TABLE)


def meanings_of_run() -> str:
    """Return what the columns of a run's tables mean, as a section of Markdown."""
    return _MEANINGS.format(worst_case=_WORST_OF_RUN, more=_ORDER_OF_A_TABLE)


def meanings_of_sweep() -> str:
    """Return what the columns of a sweep's table mean, as a section of Markdown."""
    return _MEANINGS.format(worst_case=_WORST_OF_BOARD, more="\n" + ORDER_OF_A_SWEEP)


FLAGS = """\
These results do not fit together. Read the numbers of their rows with care."""

LABELS = """\
The same accuracies for the examples of each label, as percentages of these examples and as means
over the seeds. **Answered**: the label that the victim answers without an attack, as a percentage
of all n examples. A victim that answers one label too often is right on most texts of that label,
and attacks succeed less often there than on the other texts. Its accuracy then says less about the
words of a text."""

TRADE_OFF = """\
A row may stand high because it gave up clean accuracy. The table has the rows that have a worst
case. **Clean accuracy lost** is the number of points below the highest clean accuracy among them.
**Not better than**: this row is not higher than the named one in clean accuracy or worst case, and
it is lower in at least one of them. These are comparisons of the means. The intervals in the first
table say how sure they are."""

PAIRED = """\
The row with the highest worst case is compared with every other row on the same examples. **Clean
accuracy** and **worst case** are those of the first row minus those of the other, in points, with a
95 % interval. Where a row has several seeds, interval and p-value are about other trainings and
other examples: a bootstrap draws seeds and examples, and the test is Student's t with its standard
error. Where both rows have one seed, they are Tango's interval and the exact McNemar test, and they
are about these trainings only. The first row was chosen by these same numbers, and any other row
could have been the first. So the p-values are corrected by Holm's method for all pairs of rows,
also for those that are not shown. **Told apart**: the corrected p-value is at most 0.05."""

EXACT = """\
Some attack searched most of the spaces completely. The robustness itself is therefore known, except
for the examples that merely held. **Exact robustness** lies between the share of all n examples
that are proved robust and the share that no attack fools. **Above exact robustness** is the number
of points by which the accuracy under an attack is too high. The lower end takes every undecided
example as robust, the upper end takes none."""

UNKNOWN = """\
The victim reads some substitutes as its unknown token. **Allowed** is the accuracy under attack
with these substitutes, **forbidden** the one without them, for the same victims and examples.
**Needs unknown words** is the percentage of the fooled examples (with such substitutes, over all
seeds) that hold without them. This part of the fooling comes from the vocabulary of the victim."""

HEALTH = """\
What robench found on these victims. It may explain a number better than the defense does. The
checks look at dev examples, often at fewer than the table has, so what they say of accuracy is less
certain."""
