"""The large libraries that the fork server imports for its children.

They are imported in the order and in the way in which a child would import them itself.
"""

from __future__ import annotations

import gc

from robench._base.lean_imports import import_nltk, import_transformers

import_transformers()
import_nltk()

import torch  # noqa: E402, F401
import transformers.modeling_utils  # noqa: E402, F401

# What is imported stays. A child that does not look at it does not copy it either.
gc.freeze()
