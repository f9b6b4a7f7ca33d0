"""Pictures: the one door in and out, and the colours in them."""
