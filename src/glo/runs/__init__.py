"""The run folder: checkpoint, metrics log, data record, summary."""
