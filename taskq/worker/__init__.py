"""One worker child: claim a task, execute its handler, settle the outcome; one task at a time."""
