"""The ground that every other room stands on; it knows nothing of robench's subject."""
