"""Small random classifiers of many families, each with a tokenizer of its own kind, in folders.

The tokenizers are trained on a few texts here, so nothing is downloaded. ``plain_probs`` asks a
folder's model as any user of transformers does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from robench import Example
from robench.models.given.source import GivenSource
from robench.search.jobs import Job
from robench.text.space import SearchSpace
from robench.text.words import split_words

SYNONYMS = {
    "good": ("great", "fine", "nice"),
    "bad": ("awful", "poor", "dull"),
    "film": ("movie", "picture"),
    "plot": ("story", "tale"),
    "actors": ("players", "performers"),
    "the": ("this",),
    "it": ("that",),
}
CORPUS = (
    "The film is good, and its plot isn't bad at all.",
    "A dull movie: awful actors, poor story, nothing I'd call great!",
    "It's a nice picture \"of\" fine players; this tale can't be that poor (10/10).",
    "Performers were well-known, but the music was naïve and the ending weak...",
    "I saw it twice in 1999 and I cannot recommend that awful story to anybody.",
)
AWKWARD = (
    "The film isn't good.",
    "\"Good\" film -- the plot's naïve, I can't say it's bad!",
    "  the   film\twas\n\ngood , and\u00a0the plot bad ",
    "Ｆｕｌｌ ｗｉｄｔｈ 映画 😀 film é e\u0301 \u200bgood",
    "film",
    "!",
    "it is the good bad film with actors and a plot, " * 12,
    "<br /><br />The end. I cannot say [UNK] or <unk> or <s>.",
)
MAX_TOKENS = 48

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.3,
}


def _trained(tokenizer: Tokenizer, trainer: Any, template: tuple[str, str] | None) -> Tokenizer:
    tokenizer.train_from_iterator([*CORPUS, *AWKWARD[:2]], trainer)
    if template is not None:
        names = {
            part.partition(":")[0]
            for form in template
            for part in form.split()
            if not part.startswith("$")
        }
        tokenizer.post_processor = TemplateProcessing(
            single=template[0],
            pair=template[1],
            special_tokens=[(name, tokenizer.token_to_id(name)) for name in sorted(names)],
        )
    return tokenizer


_BERT_TEMPLATE = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
_BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_BERT_NAMES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def _wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=_BERT_SPECIAL)
    return _trained(made, trainer, _BERT_TEMPLATE)


def _byte_level(special: list[str], template: tuple[str, str] | None) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    return _trained(made, trainer, template)


def _qwen() -> Tokenizer:
    made = Tokenizer(models.BPE())
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    return _trained(made, trainer, None)


def _unigram(special: list[str], template: tuple[str, str], unknown: str, lower: bool) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    steps: list[Any] = [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    made.normalizer = normalizers.Sequence(steps + ([normalizers.Lowercase()] if lower else []))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=special, unk_token=unknown, show_progress=False
    )
    return _trained(made, trainer, template)


def _llama() -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # Training needs words, which the finished tokenizer does not split.
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special)
    made = _trained(made, trainer, ("<s> $A", "<s> $A <s>:1 $B:1"))
    made.pre_tokenizer = None
    return made


def _bert_like(kind: str) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        tokenizer = getattr(transformers, f"{kind}TokenizerFast")(
            tokenizer_object=_wordpiece(), **_BERT_NAMES
        )
        sizes = dict(SIZES)
        if kind == "DistilBert":
            sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48}
            sizes["initializer_range"] = 0.3
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, **sizes
        )
        return tokenizer, config

    return make


def _roberta() -> tuple[Any, Any]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made = _byte_level(special, ("<s> $A </s>", "<s> $A </s> </s> $B </s>"))
    tokenizer = transformers.RobertaTokenizerFast(tokenizer_object=made)
    return tokenizer, transformers.RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS + 2, **SIZES
    )


def _modernbert() -> tuple[Any, Any]:
    made = _byte_level(_BERT_SPECIAL, ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, model_input_names=["input_ids", "attention_mask"], **_BERT_NAMES
    )
    return tokenizer, transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
        global_attn_every_n_layers=2,
        local_attention=16,
        **SIZES,
    )


def _deberta() -> tuple[Any, Any]:
    made = _unigram(_BERT_SPECIAL, _BERT_TEMPLATE, "[UNK]", lower=False)
    tokenizer = transformers.DebertaV2TokenizerFast(tokenizer_object=made, **_BERT_NAMES)
    return tokenizer, transformers.DebertaV2Config(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS,
        type_vocab_size=0,
        relative_attention=True,
        position_biased_input=False,
        pos_att_type=["c2p", "p2c"],
        pooler_hidden_size=32,
        **SIZES,
    )


def _albert() -> tuple[Any, Any]:
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    made = _unigram(special, _BERT_TEMPLATE, "<unk>", lower=True)
    tokenizer = transformers.AlbertTokenizerFast(tokenizer_object=made)
    return tokenizer, transformers.AlbertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS,
        embedding_size=16,
        **SIZES,
    )


def _xlnet() -> tuple[Any, Any]:
    special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    template = ("$A <sep> <cls>:2", "$A <sep> $B:1 <sep>:1 <cls>:2")
    made = _unigram(special, template, "<unk>", lower=False)
    tokenizer = transformers.XLNetTokenizerFast(tokenizer_object=made)
    return tokenizer, transformers.XLNetConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        n_layer=2,
        n_head=2,
        d_inner=48,
        initializer_range=0.3,
        pad_token_id=5,
    )


def _gpt2() -> tuple[Any, Any]:
    made = _byte_level(["<|endoftext|>"], None)
    tokenizer = transformers.GPT2TokenizerFast(tokenizer_object=made)
    return tokenizer, transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=MAX_TOKENS,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )


def _qwen2() -> tuple[Any, Any]:
    tokenizer = transformers.Qwen2TokenizerFast(tokenizer_object=_qwen())
    return tokenizer, transformers.Qwen2Config(
        vocab_size=len(tokenizer) + 3,
        max_position_embeddings=MAX_TOKENS,
        num_key_value_heads=1,
        **SIZES,
    )


def _llama_model() -> tuple[Any, Any]:
    tokenizer = transformers.LlamaTokenizerFast(tokenizer_object=_llama())
    return tokenizer, transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        **SIZES,
    )


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "bert": _bert_like("Bert"),
    "distilbert": _bert_like("DistilBert"),
    "electra": _bert_like("Electra"),
    "roberta": _roberta,
    "modernbert": _modernbert,
    "deberta-v2": _deberta,
    "albert": _albert,
    "xlnet": _xlnet,
    "gpt2": _gpt2,
    "qwen2": _qwen2,
    "llama": _llama_model,
}
"""Family -> makes its tokenizer and its configuration."""


def save_model(
    folder: Path,
    family: str = "bert",
    labels: Mapping[int, str] | None = None,
    change: Callable[[Any], None] | None = None,
    seed: int = 0,
    sharpen: bool = True,
    **settings: Any,
) -> Path:
    """Save a random classifier with its tokenizer and return the folder.

    Args:
        labels: the model's ``id2label``.
        change: changes the configuration.
        seed: of the random weights.
        sharpen: whether the head is scaled, so that probabilities are neither even nor certain.
        settings: further entries of the configuration.
    """
    tokenizer, config = FAMILIES[family]()
    config.id2label = dict(labels or {0: "negative", 1: "positive"})
    config.label2id = {name: number for number, name in config.id2label.items()}
    for name, value in settings.items():
        setattr(config, name, value)
    if change is not None:
        change(config)
    torch.manual_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_config(
        config, trust_remote_code=False
    )
    if sharpen:
        _sharpen(model.eval(), tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _sharpen(model: Any, tokenizer: Any) -> None:
    """Scale the head so that the model is neither indifferent nor certain."""
    head = [one for one in model.modules() if isinstance(one, torch.nn.Linear)][-1]
    accepted = inspect.signature(model.forward).parameters
    with torch.no_grad():
        logits = []
        for text in (*CORPUS, *AWKWARD[:3]):
            inputs = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            inputs = {name: value for name, value in inputs.items() if name in accepted}
            logits.append(model(**inputs).logits[0])
        found = torch.stack(logits)
        if head.bias is not None:
            head.bias.sub_(found.mean(dim=0))
            found = found - found.mean(dim=0)
        factor = 2 / (found - found.mean(dim=1, keepdim=True)).abs().max().clamp(min=1e-6)
        for parameter in head.parameters():
            parameter.mul_(factor)


def source(
    folder: Path, fields: tuple[str, ...] = ("text",), attackable: str = "", **rest: Any
) -> GivenSource:
    """Return the source of a model for a task of two labels."""
    labels = rest.pop("labels", ("negative", "positive"))
    return GivenSource(str(folder), labels, fields, attackable or fields[-1], **rest)


@cache
def _plain(folder: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False
    )
    return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False), model.eval()


def plain_ids(folder: Path, texts: Sequence[str], max_tokens: int) -> Any:
    """Return the inputs that the folder's tokenizer makes of a text or a pair."""
    return _plain(folder)[0](
        *texts, truncation=True, max_length=max_tokens, return_tensors="pt", verbose=False
    )


def plain_probs(folder: Path, texts: Sequence[str], max_tokens: int) -> np.ndarray:
    """Return the probabilities of one text or pair, in the model's own order of labels."""
    inputs = dict(plain_ids(folder, texts, max_tokens))
    if "distil" in type(_plain(folder)[1]).__name__.lower():
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        logits = _plain(folder)[1](**inputs).logits[0].double()
    return np.asarray(logits.softmax(-1))


def make_job(
    texts: Mapping[str, str],
    attackable: str,
    label: int,
    number: int = 0,
    visible: int | None = None,
) -> Job:
    """Return a job whose substitutes are ``SYNONYMS``."""
    words = {name: tuple(split_words(text)) for name, text in texts.items()}
    own = words[attackable]
    seen = len(own) if visible is None else visible
    options = tuple(
        (word, *(SYNONYMS.get(word.lower(), ()) if at < seen else ()))
        for at, word in enumerate(own)
    )
    example = Example(id=f"given/{number}", fields=dict(texts), label=label)
    return Job(example, words, SearchSpace(own, options, seen))
