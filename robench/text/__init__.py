"""Words, tokens, substitutions, language models, and the frozen surface that they make."""
