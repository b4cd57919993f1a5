from __future__ import annotations

import pytest
import torch
from victim_cases import CARD, classifier, planted, tokenizer

from robench._base.errors import RobenchError
from robench.models.classifier import TextClassifier
from robench.models.health_checks import check_victim
from robench.models.victim import Victim
from robench.text.words import split_words


class Scripted(TextClassifier):
    """A classifier that looks its answers up by token ids."""

    answers: dict[tuple[int, ...], torch.Tensor]
    noise = 0.0

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        answers = torch.stack([self.answers[tuple(row)] for row in input_ids.tolist()])
        return answers + self.noise * torch.randn(len(input_ids), 2)


def scripted(answers: torch.Tensor, noise: float = 0.0) -> Victim:
    """Return a victim that answers each of ``EXAMPLES`` with its row of ``answers``."""
    model = Scripted(classifier().encoder, 2)
    victim = Victim(model, tokenizer(), CARD)
    model.answers = {}
    for example, answer in zip(EXAMPLES, answers, strict=True):
        row = victim.encoder_fields.encode({"text": split_words(example.fields["text"])})
        model.answers[tuple(row.ids.tolist())] = answer
    model.noise = noise
    return victim


EXAMPLES = planted("dev", 32, 2)
LABELS = torch.tensor([example.label for example in EXAMPLES])
RIGHT = torch.nn.functional.one_hot(LABELS, 2).float() * 3


def test_a_good_victim_gets_no_red_flag() -> None:
    assert check_victim(scripted(RIGHT), EXAMPLES) == []


def test_a_victim_that_guesses_gets_red_flags() -> None:
    flags = check_victim(scripted(torch.tensor([[0.0, 1.0]]).repeat(32, 1)), EXAMPLES)
    assert [flag.name for flag in flags] == ["chance", "one-class"]
    assert flags[0].message == (
        f"'{CARD['name']}' is right on 50.0% of 32 dev examples (95% interval 33.6% to 66.4%), no "
        "better than guessing (50.0%)."
    )
    assert "'positive'" in flags[1].message


def test_a_victim_that_may_have_been_lucky_is_not_called_a_guess() -> None:
    """20 of 32 are more than half of them, and a guess has as many in one of ten such samples."""
    answers = RIGHT.clone()
    answers[:12] = answers[:12].flip(1)
    (flag,) = check_victim(scripted(answers), EXAMPLES)
    assert flag.name == "chance"
    assert "is right on 62.5% of 32 dev examples" in flag.message
    assert flag.message.endswith(", not clearly better than guessing (50.0%).")


def test_a_victim_whose_labels_are_swapped_gets_a_red_flag() -> None:
    (flag,) = check_victim(scripted(RIGHT.flip(1)), EXAMPLES)
    assert flag.name == "swapped"
    assert "far below guessing (50.0%). Its two labels are probably swapped." in flag.message


def test_a_victim_with_saturated_probabilities_gets_a_red_flag() -> None:
    assert [flag.name for flag in check_victim(scripted(RIGHT * 20), EXAMPLES)] == ["saturated"]


def test_the_message_about_saturation_says_which_attacks_it_concerns() -> None:
    (flag,) = check_victim(scripted(RIGHT * 20), EXAMPLES)
    assert "above 1 - 1e-6 on 100% of dev. Attacks that compare probabilities" in flag.message
    assert "--temperature dev" in flag.message


# Two of 32 examples are wrong.
MOSTLY = torch.cat([RIGHT[:2].flip(1), RIGHT[2:]])


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.1])
def test_a_victim_with_tiny_logits_gets_a_red_flag(scale: float) -> None:
    (flag,) = check_victim(scripted(MOSTLY * scale), EXAMPLES)
    assert flag.name == "underconfident"
    assert "its logits are too small by a factor of about" in flag.message


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_a_victim_with_usual_logits_gets_none(scale: float) -> None:
    assert check_victim(scripted(MOSTLY * scale), EXAMPLES) == []


@pytest.mark.parametrize("smoothing", [0.1, 0.2, 0.3, 0.45])
@pytest.mark.parametrize("answers", [RIGHT, MOSTLY], ids=["all right", "94 % right"])
def test_label_smoothing_is_no_finding(smoothing: float, answers: torch.Tensor) -> None:
    """The likelier label gets 1 - smoothing / 2, as a victim trained with it converges to."""
    top = 1 - smoothing / 2
    smoothed = answers / 3 * float(torch.tensor(top / (1 - top)).log())
    assert check_victim(scripted(smoothed), EXAMPLES) == []


def test_a_weak_victim_of_usual_confidence_is_not_underconfident() -> None:
    weak = torch.cat([RIGHT[:9].flip(1), RIGHT[9:]])  # 72 % are right
    assert check_victim(scripted(weak / 3), EXAMPLES) == []


def test_a_victim_that_answers_at_random_is_refused() -> None:
    with pytest.raises(RobenchError, match="when asked twice"):
        check_victim(scripted(RIGHT, noise=0.1), EXAMPLES)


def test_a_victim_in_train_mode_is_refused() -> None:
    victim = scripted(RIGHT)
    victim.model.head.train()
    with pytest.raises(RobenchError, match="train mode"):
        check_victim(victim, EXAMPLES)


def test_a_victim_whose_answers_are_not_finite_is_refused() -> None:
    with pytest.raises(RobenchError, match="not finite"):
        check_victim(scripted(RIGHT * torch.nan), EXAMPLES)
