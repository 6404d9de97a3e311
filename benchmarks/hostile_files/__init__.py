"""Hostile files by family: each family is a name and a generator function."""
