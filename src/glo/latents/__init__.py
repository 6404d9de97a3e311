"""Latent codes: the table, its optimizers, initial codes, interpolation, directions, neighbours."""
