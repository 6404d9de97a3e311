"""Readers of data files, one per format."""
