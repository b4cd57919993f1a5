"""Built-in defenses. One file is one way of fine-tuning, and its stem is the defense's name.

They are imported as ``robench.defenses``.
"""

if not __name__.startswith("robench."):
    raise ImportError(
        "Import the built-in defenses as 'robench.defenses': a bare 'defenses' would register"
        " each of them a second time."
    )
