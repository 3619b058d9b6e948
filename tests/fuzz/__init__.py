"""schemathesis against a real service over HTTP: data that fits the document, data that does not, and walks along its links.

`python -m tests.fuzz` is the long form, `tests/system/test_fuzz.py` the short one. `hooks.py` is loaded by schemathesis.
"""
