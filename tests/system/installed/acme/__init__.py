"""A package of tasks that knows nothing of taskq's tree."""
