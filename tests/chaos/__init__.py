"""Minutes of faults under load, and a checker that counts what came of them: `python -m tests.chaos`.

    plan         how long each phase lasts, and how many faults must hit
    phase_*      one function a phase: what runs, under which load, with which faults
    stage        what every phase stands on
    services     the service under test, and a server of our own
    load         clients that submit tasks and ask at the end
    dropper      a proxy that drops the replies of an API
    faults       signals that we send, failpoints that we hear of
    handlers     the task types; the service imports them
    seen, logs   what the processes noted in files of their own, and what the service said
    checker      counts from those files alone, with the times from recovery
    soak         minutes of all of it at once, and what has grown then; soak_load has its clients
    report       the bounds, and the table

A phase is bad when a task was lost, ended unexpectedly, was overwritten, or ran again and no fault explains it.
"""
