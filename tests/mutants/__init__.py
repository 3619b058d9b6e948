"""Whether the tests notice when a rule is taken out of the source; see `__main__`."""
