"""Task types for the tests of the running service; each notes what it saw."""

from tests.system.handlers import ends, isolated, leftovers, words

__all__ = ["ends", "isolated", "leftovers", "words"]
