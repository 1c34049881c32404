"""A benchmark that comes as one folder, as any other would."""
