"""One child: leases, reaping, promotion of due tasks, stop requests, retention. It reads and writes Redis only by verbs."""
