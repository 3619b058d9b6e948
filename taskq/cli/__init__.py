"""The command line: options into calls, answers into tables. Data to stdout, talk to stderr, one meaning per exit code.

`app.py` has every command; `common.py` what they share; `output.py` how data looks on a terminal, in a pipe and as JSON.
"""
