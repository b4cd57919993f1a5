"""A small board with everything that the pages of the site show, for tests of the site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certified import make_certificate
from records import make_record, sha, verified_entry

from robench._base.seals import file_sha256
from robench.figures.geometry_points import GeometryPoints
from robench.records.certificate_files import write_certificate
from robench.records.curves import CurvesPart
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.verified import write_verified

TOML = """\
title = "A toy board"
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = ["pwws", "genetic"]
defenses = ["standard", "missing"]
records = "records"
about = "Made by `hand`."
"""


def with_curves(record: Record) -> Record:
    """Return the record with curves that end at its fooled examples."""
    fooled = record.counts.fooled
    queries = {"at_most": (1, 10, 100), "fooled": (0, fooled // 2, fooled)}
    words = {"at_most": (1, 2), "fooled": (fooled // 2, fooled)}
    curves = CurvesPart.model_validate({"queries": queries, "words": words})
    return record.model_copy(update={"curves": curves})


def cell(outcomes: str, defense: str, attack: str, seed: int = 0, **more: Any) -> Record:
    """Return the record of a cell of the board."""
    surface = {"rules": sha("rules")}
    made = make_record(outcomes, defense=defense, attack=attack, seed=seed, surface=surface, **more)
    return with_curves(made)


def cells(third: str = "mixout") -> dict[str, Record]:
    """Return file -> record: three rows, of which one has two seeds."""
    findings = {"findings": ["saturated on 3 of 10 examples"]}
    return {
        "rift-genetic-0.json": cell("WFHHHHHHHH", "rift", "genetic", victim=findings),
        "rift-genetic-1.json": cell("WWFFHHHHHH", "rift", "genetic", 1),
        "rift-pwws-0.json": cell("WFFHHHHHHH", "rift", "pwws"),
        "rift-pwws-1.json": cell("WWHHHHHHHF", "rift", "pwws", 1),
        "standard-genetic.json": cell("HFFFFFHHHP", "standard", "genetic"),
        "standard-pwws.json": cell("HFFFFFFHHH", "standard", "pwws"),
        "third-genetic.json": cell("WWWFFFHHHH", third, "genetic"),
        "third-pwws.json": cell("WWWFFFFHHH", third, "pwws"),
    }


def write_sweep(run: Path) -> None:
    """Write records and training logs of three values of beta, as ``robench sweep`` leaves them."""
    for beta, outcomes in ((1.0, "WFFFFHHHHH"), (5.0, "WFFHHHHHHH"), (20.0, "WWFHHHHHHH")):
        label = f"rift(beta={beta})"
        made = cell(outcomes, "rift", "pwws", label=label, options={"alpha": 0.1, "beta": beta})
        write_record(run / "records" / made.file_name, made)
        key = made.victim.configuration
        assert key is not None
        folder = run / "victims" / f"rift-toy-tiny-s0-{key[:8]}"
        folder.mkdir(parents=True)
        epochs = [{"epoch": n, "distance": n / (10 + beta), "dev_accuracy": 0.8} for n in (1, 2)]
        (folder / "training.json").write_text(json.dumps({"key": key, "epochs": epochs}))


def geometry_points() -> GeometryPoints:
    """Return points of four texts and one victim."""
    square = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
    victim = {"name": "rift-toy-tiny-s0-01234567", "after": square, "outer": square}
    return GeometryPoints.model_validate(
        {
            "task": "toy",
            "encoder": "tiny",
            "split": "test",
            "seed": 0,
            "classes": ("negative", "positive"),
            "labels": (0, 1, 0, 1),
            "before": square,
            "victims": ({**victim, "inner": square},),
        }
    )


def write_toy_board(folder: Path, records: Mapping[str, Record] | None = None) -> Path:
    """Write the board, its records, a certificate and what was verified; return the TOML file."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "records"
    for name, record in (cells() if records is None else records).items():
        write_record(place / name, record)
    certificate = make_certificate("CFUUUUUCCC")
    write_certificate(place / "certificates" / "standard.json", certificate)
    checked = sorted(place.glob("standard-*.json"))
    entries = {}
    for path in checked:
        record = cells()[path.name]
        entry = verified_entry(record).model_copy(update={"file": path.name})
        entries[file_sha256(path)] = entry
    write_verified(place, entries)
    path = folder / "toy.toml"
    path.write_text(TOML)
    return path
