"""Attack any function that gives probabilities: an API, scikit-learn, rules.

python examples/own_function.py
"""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import robench


def main() -> None:
    """Fit a bag-of-words classifier, attack it, and print the result."""
    train = robench.TASKS.get("mini-reviews")().load(robench.DataSource()).train
    texts = [example.fields["text"] for example in train]
    labels = [example.label for example in train]
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)).fit(texts, labels)

    def predict(texts: list[str]) -> np.ndarray:
        """Return the probabilities of the labels, (texts, 2)."""
        return classifier.predict_proba(texts)

    results = robench.evaluate(
        predict,
        labels=["negative", "positive"],
        name="bag of words",
        task="mini-reviews",
        attacks=["greedy", "pwws"],
        limit=100,
    )
    print(results)


if __name__ == "__main__":
    main()
