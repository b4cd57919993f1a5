"""Tokenizers of several families, tiny language models and odd words for tests."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.implementations import ByteLevelBPETokenizer
from transformers import (
    BertTokenizer,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
)

TEXT = (
    "The film was good , but n't great : it 's a well-known story of love and war .",
    "A man plays the guitar while two women sleep on the old bench near the sea .",
    "I loved the acting ; the plot is thin , the music is wonderful , 10/10 would watch it again !",
    "Nobody outside the cinema knew why the director had left before the end ...",
    "A good movie makes people think , laugh and cry ; a bad one makes them sleep .",
)
ODD_WORDS = (
    *(
        "n't",
        "'s",
        "``",
        "''",
        "--",
        "...",
        "10/10",
        "don't",
        "well-known",
        "#@!",
        "naïve",
        "Éclair",
        "中文",
        "日本語のテキスト",
        "😀",
        "👩‍👩‍👧",
        "ﬁn",
        "İ",
        "ß",
        "½",
    ),
    *(
        "a" * 120,
        "-" * 80,
        "\u0301",
        "\u200b",
        "\ufeff",
        "\u00ad",
        "x\u200by",
        "3.14159",
        "1,000,000",
        "U.S.A.",
        "C++",
        "<br",
        "/>",
        "~",
        "\\",
        "_",
        "\x07",
        "Ａ",
        "Ġ",
        "’",
        "e\u0301",
    ),
)
WORDPIECE_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FAMILIES = (
    "wordpiece",
    "wordpiece-slow",
    "wordpiece-cased",
    "bytelevel",
    "bytelevel-prefix",
    "unigram",
)


def data_folder() -> Path | None:
    """Return the folder that ``ROBENCH_DATA`` names, or None."""
    named = os.environ.get("ROBENCH_DATA")
    return Path(named) if named else None


@cache
def published_file(name: str) -> bytes | None:
    """Return the content of a published vocabulary file, or None.

    The file is looked for under ``ROBENCH_DATA``, plain or in ``vocab.tar.xz``.
    """
    folder = data_folder()
    if folder is None:
        return None
    plain = sorted(folder.glob(f"**/{name}"))[:1] if (folder / "vocab").is_dir() else []
    if plain:
        return plain[0].read_bytes()
    archive = folder / "vocab.tar.xz"
    if not archive.is_file():
        return None
    with tarfile.open(archive) as opened:
        found = [member for member in opened if member.name.endswith(f"/{name}")]
        handle = opened.extractfile(found[0]) if found else None
        return handle.read() if handle else None


def wordpiece_vocabulary(folder: Path) -> None:
    """Write ``vocab.txt``: of bert-base-uncased if available, else of a small trained WordPiece."""
    content = published_file("vocab.txt")
    if content is None:
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.train_from_iterator(
            TEXT,
            trainers.WordPieceTrainer(
                vocab_size=300, special_tokens=list(WORDPIECE_SPECIALS), show_progress=False
            ),
        )
        vocabulary = tokenizer.get_vocab()
        content = "\n".join(sorted(vocabulary, key=lambda piece: vocabulary[piece])).encode()
    (folder / "vocab.txt").write_bytes(content)


def bytelevel(folder: Path, add_prefix_space: bool) -> Any:
    """Make a RoBERTa tokenizer, with GPT-2's pieces if available, else with a few trained ones."""
    vocabulary, merges = published_file("encoder.json"), published_file("vocab.bpe")
    if vocabulary is None or merges is None:
        trained = ByteLevelBPETokenizer()
        trained.train_from_iterator(TEXT, vocab_size=500, show_progress=False)
        trained.save_model(str(folder))
    else:
        (folder / "vocab.json").write_bytes(vocabulary)
        (folder / "merges.txt").write_bytes(merges)
    pieces = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    for special in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
        pieces.setdefault(special, len(pieces))
    (folder / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    return RobertaTokenizerFast.from_pretrained(
        folder, add_prefix_space=add_prefix_space, trust_remote_code=False
    )


def unigram() -> Any:
    """Train an ALBERT-like tokenizer.

    It is a lower-cased SentencePiece Unigram model with the template ``[CLS] A [SEP] B [SEP]``.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(" +"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    ends = [(special, tokenizer.token_to_id(special)) for special in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=ends
    )
    named = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **named)


def make_tokenizer(family: str, folder: Path) -> Any:
    """Make a tokenizer of one of ``FAMILIES``, with its files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    if family == "unigram":
        return unigram()
    if family.startswith("bytelevel"):
        return bytelevel(folder, family.endswith("prefix"))
    kind = BertTokenizer if family.endswith("slow") else BertTokenizerFast
    wordpiece_vocabulary(folder)
    return kind.from_pretrained(
        folder, do_lower_case=not family.endswith("cased"), trust_remote_code=False
    )


def whole_word_tokenizer(folder: Path, words: Iterable[str]) -> Any:
    """Make a WordPiece tokenizer that knows only these pieces and its special tokens."""
    (folder / "vocab.txt").write_text("\n".join([*WORDPIECE_SPECIALS, *words]), encoding="utf-8")
    return BertTokenizerFast.from_pretrained(folder, trust_remote_code=False)


def tiny_model(kind: str, vocabulary: int, tokenizer: Any, seed: int = 0) -> Any:
    """Make a language model of 2 small layers with random weights.

    The weights are larger than usual, so that scores differ.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    sizes: dict[str, Any] = {"vocab_size": vocabulary, "pad_token_id": tokenizer.pad_token_id}
    if kind == "gpt2":
        sizes |= {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 64}
    elif kind == "distilbert":
        sizes |= {
            "n_layers": 2,
            "dim": 32,
            "n_heads": 2,
            "hidden_dim": 64,
            "max_position_embeddings": 64,
        }
    else:
        sizes |= {
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 64,
        }
        sizes |= {"embedding_size": 32} if kind in ("albert", "electra") else {}
    if kind == "roberta":
        # Its positions begin after the padding id.
        sizes["max_position_embeddings"] = tokenizer.pad_token_id + 65
    config = AutoConfig.for_model(kind, initializer_range=0.3, **sizes)
    torch.manual_seed(seed)
    model = (AutoModelForCausalLM if kind == "gpt2" else AutoModelForMaskedLM).from_config(
        config, trust_remote_code=False
    )
    return model.eval()
