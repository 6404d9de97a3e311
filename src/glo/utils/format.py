"""Format of durations."""

__all__ = ["format_duration"]


def format_duration(seconds: float) -> str:
    """Format a duration in seconds with its unit: 42 s, 12:04 min, 2:30 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d} h"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
