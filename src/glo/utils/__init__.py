"""Helpers that know nothing of GLO: files, random numbers, distributed processes, devices."""
