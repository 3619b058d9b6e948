"""The REST API: one process of the service, Falcon under waitress, on a socket that its parent bound.

`app.py` has every route, one file a resource; `errors.py` is the only place that knows the HTTP code of an error;
`server.py` and `wire.py` meet the network. Nothing here knows a worker: all that is known of tasks comes from `taskq.queue`.
"""
