"""Joint training of decoder and codes."""
