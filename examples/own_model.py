"""Attack a classifier that you fine-tuned yourself, as it is.

    python examples/own_model.py

The script first makes such a classifier with plain transformers, so that it runs anywhere. Put
the folder or the hub id of your own model in its place.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import robench
from robench.models.encoders import find_encoder


def fine_tune(folder: Path) -> None:
    """Fine-tune the embedded encoder on 600 texts with plain transformers, and save it."""
    source = find_encoder("tiny").location
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    torch.manual_seed(0)
    # The order of the labels is not that of the task. robench matches labels by their names.
    model = AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=2, id2label={0: "POSITIVE", 1: "NEGATIVE"}, trust_remote_code=False
    )
    train = robench.TASKS.get("mini-reviews")().load(robench.DataSource()).train[:600]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for start in range(0, len(train), 30):
        texts = [example.fields["text"] for example in train[start : start + 30]]
        labels = torch.tensor([1 - example.label for example in train[start : start + 30]])
        batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Fine-tune a model, attack it, and print what the attack changed."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "my-model"
        fine_tune(model)
        results = robench.evaluate(model, task="mini-reviews", attacks="pwws", limit=100)
        print(results)
        fooled = results.trials[results.trials["verdict"] == "fooled"]
        print(fooled[["original_text", "adversarial_text"]].head(3).to_string(index=False))


if __name__ == "__main__":
    main()
