"""The client room: what those who submit tasks from Python hold. It speaks to Redis through `taskq.queue`, not to the API.

`Queue` submits tasks of any type, a `Sender` those of one handler, a `Receipt` stands for a task that was taken.
"""
