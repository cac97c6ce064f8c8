"""Where outside data becomes our types, or a clear error."""
