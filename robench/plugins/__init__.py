"""How a name becomes a class: registries, options, and which option belongs to which plugin."""
