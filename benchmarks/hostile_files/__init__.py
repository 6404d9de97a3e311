"""Hostile files by family: each family is a name and a function that makes the next one of it."""
