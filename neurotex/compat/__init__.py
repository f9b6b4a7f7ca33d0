"""Other renderers' languages: what speaks them lies here, and nothing below knows of it."""
