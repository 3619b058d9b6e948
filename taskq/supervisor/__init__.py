"""The parent process: starts, watches, limits, drains and stops its children; it never talks to Redis."""
