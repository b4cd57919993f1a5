"""What a certification does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from robench._base.errors import UsageError
from robench.records.certificate import Method

Space = Literal["constrained", "all"]

SPACES: tuple[Space, ...] = get_args(Space)


@dataclass(frozen=True)
class CertificationSettings:
    """How victims are certified.

    Attributes:
        methods: ``"bounds"`` (enumeration of small spaces, interval bounds of larger ones) and
            ``"smoothing"`` (randomised smoothing).
        spaces: ``"constrained"``: the texts that the language model allows; ``"all"``: all texts of
            the surface.
        texts: bounds: most texts that are enumerated for one example.
        parts: bounds: most parts of a space that get interval bounds.
        draws: smoothing: variants of a text from which its certificate is computed.
        guess: smoothing: further variants that only choose the label.
        alpha: smoothing: probability that one example is certified wrongly.
        neighbours: smoothing of a victim that has none of its own: the largest perturbation set.
    """

    methods: tuple[Method, ...] = ("bounds",)
    spaces: tuple[Space, ...] = ("constrained",)
    texts: int = 10_000
    parts: int = 32
    draws: int = 1000
    guess: int = 100
    alpha: float = 0.01
    neighbours: int = 100

    def __post_init__(self) -> None:
        if not self.methods or not self.spaces:
            raise UsageError("Name at least one --method and one --space.")
        for name in ("texts", "draws", "guess"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} must be at least 1, got {getattr(self, name)}.")
        if self.parts < 0:
            raise UsageError(f"--parts must be at least 0, got {self.parts}.")
        if self.neighbours < 2:
            raise UsageError(f"--neighbours must be at least 2, got {self.neighbours}.")
        if not 0 < self.alpha < 1:
            raise UsageError(f"--alpha must lie between 0 and 1, got {self.alpha:g}.")

    def options(self, method: Method) -> dict[str, Any]:
        """Return the options of one method, as a certificate stores them."""
        names = {"bounds": ("texts", "parts"), "smoothing": ("draws", "guess", "alpha")}[method]
        return {name: getattr(self, name) for name in names}
