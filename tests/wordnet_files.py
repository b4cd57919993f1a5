"""A WordNet of a few words, in the files that NLTK reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
SYNSETS: Mapping[str, Sequence[Sequence[str]]] = {
    "noun": [["film", "movie", "motion_picture", "Movie", "pic"], ["film", "layer"]],
    "verb": [["film", "shoot", "take"], ["watch", "see", "be"]],
    "adj": [["good", "solid", "well"]],
}


def write_wordnet(folder: Path, synsets: Mapping[str, Sequence[Sequence[str]]] = SYNSETS) -> None:
    """Write WordNet's files for ``synsets`` (part of speech -> lemmas of each) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("index.sense", "cntlist.rev"):
        (folder / name).write_text("")
    (folder / "lexnames").write_text("00\tall\t1\n")
    for part, sign in PARTS.items():
        (folder / f"{part}.exc").write_text("movies movie\n" if part == "noun" else "")
        data, places = "", dict[str, list[str]]()
        for lemmas in synsets.get(part, ()):
            place = f"{len(data):08d}"
            words = " ".join(f"{lemma} 0" for lemma in lemmas)
            data += f"{place} 00 {sign} {len(lemmas):02x} {words} 000 | a gloss  \n"
            for lemma in dict.fromkeys(each.lower() for each in lemmas):
                places.setdefault(lemma, []).append(place)
        index = [
            f"{lemma} {sign} {len(found)} 0 {len(found)} 0 {' '.join(found)}  \n"
            for lemma, found in sorted(places.items())
        ]
        (folder / f"data.{part}").write_text(data)
        (folder / f"index.{part}").write_text("".join(index))
