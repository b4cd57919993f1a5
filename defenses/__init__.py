"""Built-in defenses: one file = one way of fine-tuning, the file's stem is its name. Imported as ``robench.defenses``."""

if not __name__.startswith("robench."):
    raise ImportError(
        "Import the built-in defenses as 'robench.defenses': a bare 'defenses' would register each of them a second time."
    )
