"""Checks that call a defense's hooks themselves, for a few steps on small models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robench._base.errors import UsageError
from robench.models.batch import Batch
from robench.models.classifier import TextClassifier
from robench.models.victim import Victim
from robench.tasks.example import Example
from robench.testing.defense_subject import DefenseSubject
from robench.testing.opinions import BAD, GOOD, NEUTRAL, Opinions, Pairs, examples, tokenizer
from robench.testing.random_models import classifier
from robench.training.defense import Defense
from robench.training.setup import StepLoss, adamw, parameter_groups

FAMILIES = ("bert", "roberta", "distilbert", "electra")
STEPS = 12


def trained_parts(model: TextClassifier, defense: Defense) -> list[nn.Parameter]:
    """Return the parameters of the model and of the defense's own modules."""
    parts = list(model.parameters())
    for module in defense.modules():
        parts += module.parameters()
    return parts


def trainable_parts(model: TextClassifier, defense: Defense) -> list[nn.Parameter]:
    """Return those of ``trained_parts`` that ask for gradients."""
    return [part for part in trained_parts(model, defense) if part.requires_grad]


def check_loss(subject: DefenseSubject) -> None:
    """Check that steps on one batch lower its loss, with two and with three classes."""
    for classes in (2, 3):
        with subject.on(f"steps with {classes} classes"):
            model = classifier(classes=classes)
            defense = subject.make(model)
            texts, losses = subject.random_batch(rows=6, classes=classes), []
            optimizer = torch.optim.AdamW(trained_parts(model, defense), lr=1e-3)
            for _ in range(STEPS):
                # Every step has the same dropout and the same start of an inner search.
                torch.manual_seed(1)
                loss = subject.loss(defense, model, texts)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
        subject.require(
            losses[-1] < losses[0],
            f"{STEPS} steps on one batch of {classes} classes take its loss"
            f" from {losses[0]:.4f} to {losses[-1]:.4f}",
        )


def check_gradients(subject: DefenseSubject) -> None:
    """Check that the loss gives a gradient to every parameter that asks for one."""
    model = classifier()
    defense = subject.make(model)
    with subject.on("one step"):
        subject.loss(defense, model, subject.random_batch(rows=6)).backward()
    missed = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    subject.require(
        not missed,
        f"its loss does not reach {_some(missed)}:"
        " freeze in prepare() (requires_grad_(False)) what is not to be trained",
    )


def check_reduced_precision(subject: DefenseSubject) -> None:
    """Check a step under bf16 autocast: the loss and the gradients must be finite.

    Autocast rounds to about three digits and keeps copies of parameters.
    """
    model = classifier()
    defense = subject.make(model)
    with subject.on("a step in bf16"):
        with torch.autocast("cpu", torch.bfloat16):
            loss = subject.loss(defense, model, subject.random_batch(rows=6))
        loss.backward()
    spoilt = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not _finite(parameter.grad)
    ]
    subject.require(not spoilt, f"a step in bf16 leaves {_some(spoilt)} without a finite gradient")


def _finite(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.isfinite().all())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _texts(*rows: tuple[str, int]) -> list[Example]:
    return [
        Example(id=f"toy-opinions/{number}", fields={"text": text}, label=label)
        for number, (text, label) in enumerate(rows)
    ]


def odd_batches(subject: DefenseSubject) -> Iterable[tuple[str, Batch]]:
    """Yield batches as they occur at the edges of real data, each with its name."""
    usual = examples(Opinions, "train", 8)
    yield "a usual batch", subject.encoded(usual)
    yield "a batch of one text", subject.encoded(usual[:1])
    yield (
        "a batch without one of the classes",
        subject.encoded([example for example in usual if example.label == 1]),
    )
    yield "texts of one word", subject.encoded(_texts((GOOD[0], 1), (BAD[0], 0), (NEUTRAL[0], 1)))
    yield "texts without a word", subject.encoded(_texts(("", 1), ("", 0)))
    yield (
        "texts without substitutes",
        subject.encoded(_texts((" ".join(NEUTRAL[:4]), 0), (" ".join(NEUTRAL[4:]), 1))),
    )
    long = " ".join([*NEUTRAL, *GOOD] * 20)
    yield (
        "a text of 300 words beside one of one word",
        subject.encoded(_texts((" ".join(long.split()[:300]), 1), (BAD[0], 0))),
    )
    yield "token types", subject.encoded(usual, "subword")
    yield "pairs", subject.encoded(examples(Pairs, "train", 2), "subword", Pairs)


def check_odd_texts(subject: DefenseSubject) -> None:
    """Check that the loss and its gradients are finite at the edges of real data.

    These are single texts, a missing class, texts of no or one word, texts without substitutes,
    300 words, token types and pairs of texts.
    """
    model = subject.small_model()
    defense = subject.make(model)
    for what, texts in odd_batches(subject):
        with subject.on(what):
            loss = subject.loss(defense, model, texts)
            loss.backward()
            spoilt = [
                name
                for name, parameter in model.named_parameters()
                if parameter.grad is not None and not _finite(parameter.grad)
            ]
            subject.require(not spoilt, f"the gradient of {_some(spoilt)} is not finite")
        model.zero_grad()


def check_families(subject: DefenseSubject) -> None:
    """Check a step on random encoders of four families.

    A defense may refuse a family with a UsageError.
    """
    for family in FAMILIES:
        model = classifier(family)
        with subject.on(f"a random encoder of the family '{family}'"):
            try:
                defense = subject.make_or_refuse(model)
            except UsageError:
                continue
            subject.loss(defense, model, subject.random_batch(rows=4)).backward()
            defense.finish(model)


def check_batches(subject: DefenseSubject) -> None:
    """Check the defense's own batches.

    They hold indices of training examples, are never empty and follow from ``rng`` alone.
    """
    defense = subject.make(classifier())
    balanced = [number % 2 for number in range(20)]
    lengths = [5 + number % 7 for number in range(20)]
    for what, labels in (
        ("20 examples", balanced),
        ("20 examples of one class", [1] * 20),
        ("one example", [0]),
    ):
        drawn = []
        for state in (1, 2):
            np.random.seed(state)
            torch.manual_seed(state)
            with subject.on(f"batches of {what}"):
                found = defense.batches(labels, lengths[: len(labels)], 8, np.random.default_rng(5))
                drawn.append(
                    None if found is None else [list(map(int, chosen)) for chosen in found]
                )
        if drawn[0] is None:
            continue
        subject.require(
            bool(drawn[0]) and all(drawn[0]),
            f"batches() makes no batch, or an empty one, of {what}",
        )
        subject.require(
            all(0 <= index < len(labels) for chosen in drawn[0] for index in chosen),
            f"batches() names an index that none of {what} has",
        )
        subject.require(
            drawn[0] == drawn[1],
            f"batches() of {what} differ with the same rng: it draws from another generator",
        )


def check_optimizer(subject: DefenseSubject) -> None:
    """Check that the defense's own optimiser holds every parameter that it is given."""
    model = classifier()
    defense = subject.make(model)
    groups = parameter_groups(StepLoss(model, defense), 1e-3, 1e-4)
    with subject.on("its optimiser"):
        optimizer = defense.optimizer(groups)
    if optimizer is not None:
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        lost = [
            names.get(id(parameter), "one of its own")
            for group in groups
            for parameter in group["params"]
            if id(parameter) not in held
        ]
        subject.require(not lost, f"its optimiser leaves out {_some(lost)}")


def check_shares(subject: DefenseSubject) -> None:
    """Check a claim of ``parallel``: processes that share a batch make the loss of the whole batch.

    The losses of the shares, weighted by their rows, and their gradients must add up to those of
    the whole batch.
    """
    if not subject.cls.parallel:
        return
    for rows, processes in ((7, 2), (2, 3)):
        whole = subject.random_batch(rows=rows, seed=3)
        expected = _loss_and_gradients(subject, whole)
        shares = [whole.share(rank, processes) for rank in range(processes)]
        weights = [len(range(rank, rows, processes)) / rows for rank in range(processes)]
        found = [_loss_and_gradients(subject, share) for share in shares]
        total = []
        for parts in zip(*found, strict=True):
            weighted = [weight * part for weight, part in zip(weights, parts, strict=True)]
            total.append(torch.stack(weighted).sum(0))
        for one, other in zip(total, expected, strict=True):
            same = torch.allclose(
                one, other, atol=2e-3 * float(other.abs().max()) + 1e-6, rtol=1e-2
            )
            subject.require(
                same,
                f"{processes} processes that share {rows} texts do not make the loss of one"
                " process: it must not say parallel = True",
            )


def _loss_and_gradients(subject: DefenseSubject, texts: Batch) -> list[Tensor]:
    model = classifier()
    defense = subject.make(model)
    # An inner search begins with the same numbers in every process.
    torch.manual_seed(7)
    with subject.on("a shared batch"):
        loss = subject.loss(defense, model, texts)
        parts = trainable_parts(model, defense)
        gradients = torch.autograd.grad(loss, parts, allow_unused=True)
    return [loss.detach(), *(gradient for gradient in gradients if gradient is not None)]


def check_saved(subject: DefenseSubject) -> None:
    """Check that the model is a plain one after ``finish`` and can be saved and loaded.

    The victim that is loaded from its folder, in the Hugging Face layout, must give exactly the
    same probabilities.
    """
    model, plain = subject.small_model(), subject.small_model()
    defense = subject.make(model)
    texts = examples(Opinions, "train", 16)
    optimizer = adamw([{"params": trainable_parts(model, defense), "lr": 5e-3}])
    with subject.on("two steps and finish()"):
        for start in (0, 8):
            subject.loss(defense, model, subject.encoded(texts[start : start + 8])).backward()
            optimizer.step()
            optimizer.zero_grad()
        defense.finish(model)
    for what, one, other in (
        ("layers", _layer_names(model), _layer_names(plain)),
        ("tensors", set(model.state_dict()), set(plain.state_dict())),
    ):
        odd = sorted(one ^ other)
        subject.require(
            not odd,
            f"after finish() the model's {what} are not those of a plain one: {_some(odd)}."
            " Put back there what prepare() swapped",
        )
    card = {
        "name": subject.name,
        "task": "toy-opinions",
        "labels": Opinions.labels,
        "attackable": "text",
        "fields": ["text"],
        "max_tokens": 32,
    }
    card["protocol"] = "rift2021"
    trained = Victim(model, tokenizer(), card, smoother=subject.smoother(defense))
    with subject.on("saving and loading"):
        trained.save(subject.folder / "saved")
        loaded = Victim.load(subject.folder / "saved")
    read = [example.fields for example in texts]
    same = np.array_equal(trained.probs_of_texts(read), loaded.probs_of_texts(read))
    subject.require(
        same,
        "the loaded victim gives other answers than the one that was saved:"
        " something of it is outside its weights",
    )


def _layer_names(model: TextClassifier) -> set[str]:
    return {f"{name} ({type(module).__name__})" for name, module in model.named_modules()}
