"""Built-in families of attacks, named ``PREFIX:NAME``. One file is one family.

The file's stem is the family's prefix. They are imported as ``robench.attacks.families``.
"""
