"""The names of every key in Redis; they are built here and nowhere else.

All keys of one queue bear the hash tag `{<prefix>:<queue>}`, so that one queue lives in one cluster slot.

    after the tag            type    holds
    :pending                 list    ids of normal priority, and bells; claimed from the right
    :pending:high :pending:low  list ids of the two other priorities; claimed from the right
    :pending:paused ...      list    the same three while the queue is paused, out of reach of any claim
    :pending:gone ...        set     ids of which these lists have entries that stand for nothing; see `lua/lib/gone.lua`
    :schedule:<name>         hash    what is known of a schedule whose tasks this queue gets; `queue/schedules.py` knows it
    :paused                  hash    since when and why the queue is paused; absent while it is not
    :processing:<worker_id>  list    what that worker has claimed
    :scheduled               zset    id by the moment it is due, ms
    :completed :failed :cancelled  zset  id by the moment it ended, ms
    :expiring                zset    id by the moment after which it never starts, ms
    :unique:<key>            string  the id that took this unique key last; the task itself tells whether it still holds it
    :accepted:<id>           string  what a repeatable enqueue was answered, created_at and run_at; expires
    :tasks                   zset    every id by the moment it was created, ms
    :task:<id>               hash    the record; `queue/record.py` knows its fields
    :output:<id>             hash    what the task printed: `<attempt>:<offset>` to a block of bytes; missing without any
    :task:<id>:wake          list    what wakes those who wait for the end of the task; expires
    :leases                  zset    worker id by the end of its lease, ms
    :workers                 hash    worker id to a JSON object that tells where it runs
    :residents               hash    worker id to its resident size at the last heartbeat, bytes
    :types                   hash    digest to a catalog of task types as JSON; `taskq/catalog.py` knows its form
    :stops                   hash    worker id to the attempts it shall stop, a line each; `lost:<worker id>`: lease over
    :limits                  hash    type to its limits, `most count period`: running, starts in a period of ms; 0: no bound
    :limits:places:<type>    zset    worker id that runs a task of this type by the moment of its start, ms
    :limits:held             hash    worker id to the attempt for which it has a place: id, attempt, type
    :limits:starts:<type>    list    the moments of the last starts, ms, the newest first; no longer than the limit counts
    :limits:parked:<type>    zset    id of a pending task that its limits keep waiting, by priority and turn
    :limits:parked           set     the types that may have parked tasks
    :limits:ready            zset    type of whose parked tasks one may start now, by what that has as its score
    :limits:turns            string  the last turn that a task of a limited type was given
    :limits:known            hash    generations of the limits that were taken over, by the moment of that, ms
    :unreadable              zset    ids whose record this version cannot read, by the moment that was noticed
    :reply:<token>           string  what a call was answered, as JSON, in case that its reply was lost; expires
    :reaper                  string  when a reaper last looked, ms
    :stats                   hash    what happened since the last fold, by `<event>:<part>:<type>`; `queue/stats.py` knows it
    :stats:aside             hash    what is being folded, and the `minute` to which it belongs
    :stats:total             hash    what happened before, with the same fields
    :stats:minute            string  the last minute that was begun, from the epoch
    :stats:minute:<n> :stats:hour:<n>  hash  what happened then, `<event>:<type>`; `queue/history.py` knows it; they expire
    :counters                hash    how often: `stale` (writes of older attempts that were refused) and `lost` (leases)

    outside any queue
    {<prefix>}:queues        set     names of the queues that ever took a task or had a worker
    {<prefix>}:idempotency:<key>  string  what an Idempotency-Key, behind the name of a token and a line end if one was sent,
                                     was first used for: fingerprint, id, queue; expires
    {<prefix>}:schedules     hash    name to the definition of a schedule as JSON, as the machines publish it
    {<prefix>}:schedules:seen  zset  name of a schedule by the moment when a machine last published it, ms
    {<prefix>}:requests      hash    what the API has answered, `<method> <code> <route>` to how often
    {<prefix>}:requests:<process>  string  the number of the last addition of a process to it; expires
    {<prefix>}:operations    zset    id of an operation on many tasks by the moment it was asked for, ms
    {<prefix>}:operations:open  zset  the same, of those that have not ended
    {<prefix>}:operation:<id>  hash  an operation; `queue/operations.py` knows its fields; expires some time after its end
"""

from __future__ import annotations

from taskq.task import Status

PAUSED = ":paused"
"""What the scripts append to the three lists while the queue is paused."""

GONE = ":gone"
"""What they append to the name of a list for the set of those of its entries whose tasks do not wait any more."""

BELL = "!"
"""The entry of `pending` that wakes an idle worker for a task in `pending:high` or `pending:low`."""


PARKED_RANK = 1 << 51
"""What the scores of parked tasks of one priority have more than those of the next higher one; below that is the turn."""


class Keys:
    """The keys of one queue."""

    def __init__(self, prefix: str, queue: str) -> None:
        tag = f"{{{prefix}:{queue}}}"
        self.prefix = prefix
        self.queue = queue
        self._tag = tag
        self.pending = f"{tag}:pending"
        self.high = f"{tag}:pending:high"
        self.low = f"{tag}:pending:low"
        self.scheduled = f"{tag}:scheduled"
        self.completed = f"{tag}:completed"
        self.failed = f"{tag}:failed"
        self.cancelled = f"{tag}:cancelled"
        self.expiring = f"{tag}:expiring"
        self.unique_prefix = f"{tag}:unique:"
        self.accepted_prefix = f"{tag}:accepted:"
        self.tasks = f"{tag}:tasks"
        self.task_prefix = f"{tag}:task:"
        self.output_prefix = f"{tag}:output:"
        self.processing_prefix = f"{tag}:processing:"
        self.leases = f"{tag}:leases"
        self.workers = f"{tag}:workers"
        self.residents = f"{tag}:residents"
        self.types = f"{tag}:types"
        self.stops = f"{tag}:stops"
        self.limits = f"{tag}:limits"
        self.unreadable = f"{tag}:unreadable"
        self.reply_prefix = f"{tag}:reply:"
        self.reaper = f"{tag}:reaper"
        self.paused = f"{tag}:paused"
        self.counters = f"{tag}:counters"
        self.stats = f"{tag}:stats"
        self.stats_aside = f"{self.stats}:aside"
        self.stats_total = f"{self.stats}:total"
        self.queues = queues_key(prefix)
        self.schedules = schedules_key(prefix)
        self.seen = f"{self.schedules}:seen"
        self.requests = f"{{{prefix}}}:requests"
        self.operations = f"{{{prefix}}}:operations"
        self.open_operations = f"{self.operations}:open"
        self.operation_prefix = f"{{{prefix}}}:operation:"

    def task(self, task_id: str) -> str:
        """The record of a task."""
        return self.task_prefix + task_id

    def schedule(self, name: str) -> str:
        """What is known of a schedule whose tasks this queue gets."""
        return f"{self._tag}:schedule:{name}"

    @property
    def parked_types(self) -> str:
        """The types that may have parked tasks."""
        return f"{self.limits}:parked"

    def parked(self, type_: str) -> str:
        """The pending tasks of a type that its limits keep waiting."""
        return f"{self.limits}:parked:{type_}"

    def places(self, type_: str) -> str:
        """The workers that run a task of a limited type."""
        return f"{self.limits}:places:{type_}"

    def minute(self, number: int) -> str:
        """What was counted in a minute since the epoch."""
        return f"{self.stats}:minute:{number}"

    def hour(self, number: int) -> str:
        """What was counted in an hour since the epoch."""
        return f"{self.stats}:hour:{number}"

    def counted(self, process: str) -> str:
        """The number of the last addition of a process to `requests`."""
        return f"{self.requests}:{process}"

    def wake(self, task_id: str) -> str:
        """The list that has an entry once the task has ended, if anybody waits for that."""
        return f"{self.task_prefix}{task_id}:wake"

    def processing(self, worker_id: str) -> str:
        """The list of what a worker has claimed."""
        return self.processing_prefix + worker_id

    @property
    def waiting(self) -> tuple[str, ...]:
        """Every list in which pending tasks wait: those that claims look into, then those of a pause."""
        lists = (self.high, self.pending, self.low)
        return (*lists, *(key + PAUSED for key in lists))

    @property
    def gone(self) -> tuple[str, ...]:
        """For each priority the entries of its lists, of either kind, that stand for nothing."""
        return tuple(key + GONE for key in (self.high, self.pending, self.low))

    def ended(self, status: Status) -> str:
        """The set of the tasks that ended as `status`, which must be final."""
        return {Status.COMPLETED: self.completed, Status.FAILED: self.failed, Status.CANCELLED: self.cancelled}[status]


def queues_key(prefix: str) -> str:
    """The set of the known queues."""
    return f"{{{prefix}}}:queues"


def idempotency_key(prefix: str, key: str) -> str:
    """Where it is kept what an Idempotency-Key was used for."""
    return f"{{{prefix}}}:idempotency:{key}"


def schedules_key(prefix: str) -> str:
    """The hash of the known schedules."""
    return f"{{{prefix}}}:schedules"
