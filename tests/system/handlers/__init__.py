"""Task types for the tests of the running service; each notes what it saw."""

from tests.system.handlers import ends, imports, isolated, leftovers, words

__all__ = ["ends", "imports", "isolated", "leftovers", "words"]
