"""Words, tokens, substitutions and language models, which together make the frozen surface."""
