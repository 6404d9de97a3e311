"""Settings of a run, presets, and how both are read from and written to TOML."""
