"""Built-in attacks: one file = one attack, the file's stem is its name. Imported as ``robench.attacks``."""

if not __name__.startswith("robench."):
    raise ImportError(
        "Import the built-in attacks as 'robench.attacks': a bare 'attacks' would register each of them a second time."
    )
