"""Helpers independent of GLO: files, random numbers, distributed processes, devices."""
