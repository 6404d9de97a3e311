"""Image grids, previews and videos."""
