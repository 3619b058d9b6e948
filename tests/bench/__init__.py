"""`python -m tests.bench`: how fast taskq is, beside its peers and beside what Redis allows.

    plan.py           how much of everything
    peers.py          who takes part: what each needs, how it is started, with which settings
    environments.py   an environment of its own for each peer
    stage.py          one run: a server, workers, producers, the file with what ran
    measures.py       what is measured on every peer; over_http.py, crowds.py: what is measured on taskq alone
    table.py          the results as text and as a picture
    programs/         what runs in the environments: the body of the task, and one program for each peer
    guard.py          what one task costs in commands, calls and bytes: exact, so it is compared with baseline.json

Peers are needed by this command only. Every peer gets the same server, the same body of a task, two worker processes, and
the settings that its documentation advises for throughput.
"""
