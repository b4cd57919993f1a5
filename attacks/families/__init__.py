"""Built-in families of attacks, ``PREFIX:NAME``: one file = one family, the file's stem is its prefix. Imported as ``robench.attacks.families``."""
