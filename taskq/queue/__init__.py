"""The queue room: the only one that speaks to Redis. `Queue` writes, `Inspector` reads."""
