"""Built-in attacks. One file is one attack, and its stem is the attack's name.

They are imported as ``robench.attacks``.
"""

if not __name__.startswith("robench."):
    raise ImportError(
        "Import the built-in attacks as 'robench.attacks': a bare 'attacks' would register"
        " each of them a second time."
    )
