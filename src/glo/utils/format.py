"""Format of durations and sizes."""

__all__ = ["format_duration", "format_size"]


def format_duration(seconds: float) -> str:
    """Format a duration in seconds with its unit: 42 s, 12:04 min, 2:30 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d} h"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


def format_size(n_bytes: float) -> str:
    """Format a number of bytes with its unit, in powers of 1,024: 14 MiB, 1.3 GiB.

    Example:
        >>> format_size(14 * 2**20), format_size(1.3 * 2**30)
        ('14 MiB', '1.3 GiB')
    """
    size = n_bytes / 2**20
    return f"{size:,.0f} MiB" if size < 1024 else f"{size / 1024:,.1f} GiB"
