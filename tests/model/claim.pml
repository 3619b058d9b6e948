/*
 * How a task is claimed, leased, reaped and settled, with everything that may go wrong between two steps.
 *
 * One statement marked SCRIPT is what Redis performs in one piece: one Lua script, or BLMOVE. Between two of them every
 * process may be delayed for any time, killed or stopped.
 *
 *   worker     CHECK: claim, its own list first, and start what is found; IDLE: BLMOVE into its own list, which starts
 *              nothing (the gap); BUSY: complete, retry or fail, sent again until an answer is read. Two seats; each
 *              process that sits in one has an id that no other process ever had.
 *   reaper     looks for a worker that is dead or lapsed, and in a second step takes what its list holds; promotes.
 *   keeper     extends the leases of workers that run; one that is late, or whose worker is stopped, ends. A worker that
 *              was found lapsed is not revived but killed. (extend is the absence of a lapse: time is not modelled.)
 *   network    delivers one command late: after its sender has given it up, sent it again, gone on or died.
 *   faults     kills a worker, stops one and continues it later, or keeps a lease from being extended; FAULTS in all.
 *              Besides, LOSSES replies are lost or commands delayed.
 *
 * Not modelled: order and priority of pending, time (a lease ends whenever it may), cancel, delete, requeue, release, crash,
 * expire, pause.
 * A worker's list is watched for ever; LEAVE_AT_ONCE shows why for at least as long as a command can be on its way.
 *
 * Properties, checked after every script:
 *   NO_STALE_WRITE   a settle that is accepted comes from the process that started the task last, from that start, and
 *                    nobody has taken the task from it
 *   COUNTED_ONCE     it is accepted once for each start
 *   TOLD_THE_TRUTH   a settle that was accepted is not answered stale while nobody has started the task again
 *   ONE_END          a final state never changes
 *   ONE_PLACE        a task is in exactly one of pending, the workers' lists, scheduled, completed, failed
 *   OWN_PLACE        that place fits its status; one that runs is in the list of the worker that its record names
 *   CRASHES_HAPPENED no more crashes are counted than faults have happened
 * and, with weak fairness, eventually_final: every task reaches a final state.
 *
 * Each of these flags takes one rule away, and each must be found out:
 *   NO_FENCE                  a settle is not checked at all
 *   NO_ATTEMPT_CHECK          the fence compares the worker, not the attempt
 *   REAP_WITHOUT_LEASE_CHECK  a reaper takes from any worker
 *   REAP_NOT_ATOMIC           a reaper reads the list in one step and moves what it has read in another
 *   NO_OWN_LIST_CHECK         a worker starts what BLMOVE answered or what waits, never what its own list holds
 *   REUSED_WORKER_ID          the next process in a seat has the id of the last one
 *   SETTLE_NOT_IDEMPOTENT     a settle that is repeated is refused
 *   SETTLE_COUNTS_TWICE       a settle that is repeated is performed again
 *   LEAVE_AT_ONCE             a worker that ends with an empty list is forgotten, whatever of it is on its way
 * ONLY_STATES leaves NO_STALE_WRITE and COUNTED_ONCE out, so that what they prevent shows in the task itself.
 */
#ifndef TASKS
#define TASKS 1
#endif
#ifndef REAPERS
#define REAPERS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#define SEATS 2
#define IDS (SEATS + FAULTS) /* every process but the first ones takes the seat of one that a fault ended */
#define MAX_CRASHES 2
#define MAX_RETRY 1
#define LAST (TASKS - 1)
#define NOBODY 255

#if TASKS > 2 || FAULTS > 2
#error "two tasks and two faults at most: some choices are written out"
#endif

mtype = { pending_, processing_, scheduled_, completed_, failed_, none, complete, retry, fail, move }
mtype:lease = { unborn, held, lapsed }

/* What Redis holds. */
mtype status[TASKS] = pending_;
byte owner[TASKS] = NOBODY;
byte attempt[TASKS];
mtype settled[TASKS] = none;
byte retries[TASKS];
byte crashes[TASKS];
byte pending[TASKS] = 1;
byte list[IDS * TASKS];
bit scheduled[TASKS], completed[TASKS], failed[TASKS];
mtype:lease leases[IDS] = unborn;

/* What processes and network hold. */
byte born;              /* processes so far; the number of the next one */
bit killed[IDS];        /* by number of the process */
bit dead[IDS];          /* by id */
#ifdef LEAVE_AT_ONCE
bit forgotten[IDS];
#endif
#ifdef REUSED_WORKER_ID
byte process[IDS];
#define PROCESS(id) process[id]
#else
#define PROCESS(id) id
#endif
byte stopped = NOBODY;
byte faults, losses;
mtype late_verb = none; /* the command that is on its way */
byte late_me, late_id, late_task, late_attempt, late_start;

/* What only the properties know. */
byte starts[TASKS];             /* how often the task was really started */
byte starter[TASKS] = NOBODY;   /* and by which process the last time */
bit accepted[TASKS];            /* the last start has been settled */
mtype end[TASKS] = none;

hidden byte i_, j_, places_, here_;

#define AT(w, t) list[(w) * TASKS + (t)]
#define RUNS(me) (stopped != me)
#define WAITING (pending[0] > 0 || pending[LAST] > 0)
#define HOLDS(w) (AT(w, 0) > 0 || AT(w, LAST) > 0)
#define FINAL(t) (status[t] == completed_ || status[t] == failed_)
#define DONE (FINAL(0) && FINAL(LAST))
#define LATEST(me, t, s) (starter[t] == me && starts[t] == s)

/* Properties that hold after every script. */
inline check() {
  i_ = 0;
  do
  :: i_ < TASKS ->
    assert(end[i_] == none || end[i_] == status[i_] /* ONE_END */);
    places_ = pending[i_] + scheduled[i_] + completed[i_] + failed[i_];
    j_ = 0;
    do
    :: j_ < IDS -> places_ = places_ + AT(j_, i_); j_++
    :: else -> break
    od;
    assert(places_ == 1 /* ONE_PLACE */);
    if
    :: status[i_] == pending_ -> here_ = !scheduled[i_] && !completed[i_] && !failed[i_]
    :: status[i_] == processing_ -> here_ = (AT(owner[i_], i_) == 1)
    :: status[i_] == scheduled_ -> here_ = scheduled[i_]
    :: status[i_] == completed_ -> here_ = completed[i_]
    :: status[i_] == failed_ -> here_ = failed[i_]
    fi;
    assert(here_ /* OWN_PLACE */);
    if
    :: FINAL(i_) -> end[i_] = status[i_]
    :: else
    fi;
    i_++
  :: else -> break
  od;
  assert(crashes[0] + (TASKS - 1) * crashes[LAST] <= faults /* CRASHES_HAPPENED */);
  i_ = 0; j_ = 0; places_ = 0; here_ = 0
}

/* One task for which a list holds an entry; any of them, since order is not modelled. */
inline some_task(t, holds_first, holds_last) {
  if
  :: holds_first -> t = 0
  :: holds_last -> t = LAST
  fi
}

/* SCRIPT start, of a task in the list of `id`, for process `me`; the start is told by `a` and `s`, or a is 0: dropped. */
inline start(me, id, t, a, s) {
  d_step {
    if
    :: status[t] == pending_ ->
      attempt[t]++;
      status[t] = processing_; owner[t] = id; settled[t] = none;
      starts[t]++; starter[t] = me; accepted[t] = 0;
      a = attempt[t]; s = starts[t]
    :: status[t] == processing_ && owner[t] == id ->
      if
      :: starter[t] != me -> starts[t]++; starter[t] = me; accepted[t] = 0
      :: else
      fi;
      a = attempt[t]; s = starts[t]
    :: else -> AT(id, t) = 0; a = 0
    fi;
    check()
  }
}

/* SCRIPT BLMOVE pending processing:<id>, of any entry. */
inline block_move(id, t) {
  some_task(t, pending[0] > 0, pending[LAST] > 0);
  d_step { pending[t]--; AT(id, t)++; check() }
}

/* The fence: verdict is true when this settle may write. */
#ifdef NO_FENCE
#define OWNS(id, t, a) true
#elif defined(NO_ATTEMPT_CHECK)
#define OWNS(id, t, a) (owner[t] == id && status[t] == processing_ && AT(id, t) > 0)
#elif defined(SETTLE_COUNTS_TWICE)
#define OWNS(id, t, a) (owner[t] == id && attempt[t] == a)
#else
#define OWNS(id, t, a) (owner[t] == id && attempt[t] == a && status[t] == processing_ && AT(id, t) > 0)
#endif
#ifdef SETTLE_NOT_IDEMPOTENT
#define REPEATED(id, t, a, verb) false
#else
#define REPEATED(id, t, a, verb) (owner[t] == id && attempt[t] == a && settled[t] == verb)
#endif

/* SCRIPT complete, retry or fail, by start number `s` of process `me`. */
inline settle(me, id, t, a, s, verb) {
  d_step {
    if
    :: OWNS(id, t, a) ->
#ifndef ONLY_STATES
      assert(!(accepted[t] && LATEST(me, t, s)) /* COUNTED_ONCE */);
      assert(LATEST(me, t, s) && status[t] == processing_ /* NO_STALE_WRITE */);
#endif
      accepted[t] = 1;
      if
      :: AT(id, t) > 0 -> AT(id, t) = AT(id, t) - 1
      :: else
      fi;
      settled[t] = verb;
      if
      :: verb == complete -> status[t] = completed_; completed[t] = 1
      :: verb == retry -> status[t] = scheduled_; scheduled[t] = 1; retries[t]++
      :: verb == fail -> status[t] = failed_; failed[t] = 1
      fi
    :: else ->
      assert(REPEATED(id, t, a, verb) || !(accepted[t] && LATEST(me, t, s)) /* TOLD_THE_TRUTH */)
    fi;
    check()
  }
}

/* What reap does with one entry of the list of `w`. */
inline take_back(w, t) {
  if
  :: AT(w, t) > 0 -> AT(w, t) = AT(w, t) - 1
  :: else
  fi;
  if
  :: status[t] == pending_ -> pending[t]++
  :: status[t] == processing_ && owner[t] == w ->
    crashes[t]++;
    if
    :: crashes[t] < MAX_CRASHES -> status[t] = pending_; pending[t]++
    :: else -> status[t] = failed_; failed[t] = 1
    fi
  :: else
  fi
}

/* A process of its own number `me` that sits in one of the seats; when it ends, the next one takes its place. */
proctype Worker(byte seat) {
  byte me, id, t, a, s;
  mtype verb = none;
#ifdef NO_OWN_LIST_CHECK
  byte moved = NOBODY; /* what BLMOVE answered */
#endif

join:
  atomic {
    born == seat || born >= SEATS;
    me = born;
    born++;
#ifdef REUSED_WORKER_ID
    id = seat;
    dead[id] = 0; process[id] = me;
#else
    id = me;
#endif
    leases[id] = held;
    t = 0; a = 0; s = 0; verb = none
  }

CHECK:
  {
    atomic {
      RUNS(me);
      if
      :: leases[id] == lapsed -> goto lost
      :: else
      fi;
#ifdef NO_OWN_LIST_CHECK
      if
      :: moved != NOBODY -> t = moved; moved = NOBODY; start(me, id, t, a, s)
      :: moved == NOBODY && WAITING -> block_move(id, t); start(me, id, t, a, s)
      :: else -> goto IDLE
      fi;
#else
      if
      :: HOLDS(id) -> some_task(t, AT(id, 0) > 0, AT(id, LAST) > 0); start(me, id, t, a, s)
      :: !HOLDS(id) && WAITING -> block_move(id, t); start(me, id, t, a, s)
      :: else -> goto IDLE
      fi;
#endif
      if
      :: losses < LOSSES -> losses++; t = 0; a = 0; s = 0; goto CHECK
      :: a == 0 -> t = 0; s = 0; goto CHECK
      :: a > 0 -> verb = complete
      :: a > 0 && retries[t] < MAX_RETRY -> verb = retry
      :: a > 0 && retries[t] >= MAX_RETRY -> verb = fail
      fi;
      goto BUSY
    };

IDLE:
end_idle:
    atomic {
      if
      :: WAITING -> block_move(id, t) /* by the server, whatever the worker does meanwhile */
#ifdef NO_OWN_LIST_CHECK
        ;
        if
        :: moved = t
        :: losses < LOSSES -> losses++
        fi
#endif
      :: RUNS(me) && losses < LOSSES && late_verb == none ->
        losses++; late_verb = move; late_me = me; late_id = id /* its end is cut off, the server's not */
      :: RUNS(me) && (HOLDS(id) || leases[id] == lapsed) -> skip
      fi;
      t = 0;
      goto CHECK
    };

BUSY:
    atomic {
      RUNS(me);
      if
      :: losses < LOSSES && late_verb == none ->
        losses++;
        late_verb = verb; late_me = me; late_id = id; late_task = t; late_attempt = a; late_start = s;
        goto BUSY
      :: settle(me, id, t, a, s, verb);
        if
        :: losses < LOSSES -> losses++; goto BUSY
        :: t = 0; a = 0; s = 0; verb = none; goto CHECK
        fi
      fi
    }
  } unless { killed[me] };

lost:
  atomic {
    dead[id] = 1; killed[me] = 1; leases[id] = lapsed;
#ifdef LEAVE_AT_ONCE
    forgotten[id] = !HOLDS(id);
#endif
    t = 0; a = 0; s = 0; verb = none;
#ifdef NO_OWN_LIST_CHECK
    moved = NOBODY;
#endif
    goto join
  }
}

#ifdef LEAVE_AT_ONCE
#define KNOWN(w) (!forgotten[w])
#else
#define KNOWN(w) true
#endif
#ifdef REAP_WITHOUT_LEASE_CHECK
#define GONE(w) (leases[w] != unborn)
#else
#define GONE(w) (dead[w] || leases[w] == lapsed)
#endif
#define DUE(w) (KNOWN(w) && GONE(w) && HOLDS(w))

/* Maintenance of one machine: takes back what workers that are gone hold, and promotes. */
proctype Reaper() {
  byte w, t;
  bit read[TASKS];

LOOK:
end_look:
  do
  :: atomic { DUE(0) -> w = 0; goto READ }
  :: atomic { DUE(1) -> w = 1; goto READ }
#if FAULTS > 0
  :: atomic { DUE(2) -> w = 2; goto READ }
#endif
#if FAULTS > 1
  :: atomic { DUE(3) -> w = 3; goto READ }
#endif
  :: atomic {
      scheduled[0] || scheduled[LAST] ->
      some_task(t, scheduled[0], scheduled[LAST]);
      d_step { scheduled[t] = 0; status[t] = pending_; pending[t]++; t = 0; check() } /* SCRIPT promote */
    }
  od;

READ:
  atomic {
    true;
    d_step {
      do
      :: t < TASKS -> read[t] = GONE(w) && AT(w, t) > 0; t++
      :: else -> t = 0; break
      od
    }
#ifdef REAP_NOT_ATOMIC
  }
  atomic {
    true;
#endif
    d_step {
      do
      :: t < TASKS ->
        if
        :: read[t] -> take_back(w, t); read[t] = 0
        :: else
        fi;
        t++
      :: else -> t = 0; break
      od;
      w = 0;
      check()
    };
    goto LOOK
  } /* SCRIPT reap */
}

/* The supervisors: a lease is held for as long as it is extended, which is done for workers that run, and may be late. */
proctype Keeper() {
  byte w;

end_keep:
  do
  :: atomic {
      do
      :: w < IDS - 1 -> w++
      :: break
      od;
      if
      :: leases[w] == held && !RUNS(PROCESS(w)) -> leases[w] = lapsed
      :: leases[w] == held && RUNS(PROCESS(w)) && faults < FAULTS -> faults++; leases[w] = lapsed
      :: leases[w] == lapsed && !dead[w] -> killed[PROCESS(w)] = 1 /* SCRIPT extend said so: it does not revive */
      :: else
      fi;
      w = 0
    }
  od
}

/* The command that is late. */
proctype Network() {
  byte t;

end_late:
  do
  :: atomic {
      late_verb != none && (late_verb != move || WAITING) ->
      if
      :: late_verb == move -> block_move(late_id, t)
      :: else -> settle(late_me, late_id, late_task, late_attempt, late_start, late_verb)
      fi;
      t = 0;
      late_verb = none; late_me = 0; late_id = 0; late_task = 0; late_attempt = 0; late_start = 0
    }
  od
}

proctype Faults() {
  byte w;

end_faults:
  do
  :: atomic {
      faults < FAULTS && born > 0 ->
      do
      :: w < born - 1 -> w++
      :: break
      od;
      if
      :: !killed[w] -> faults++; killed[w] = 1
      :: !killed[w] -> faults++; stopped = w
      :: else
      fi;
      w = 0
    };
    stopped = NOBODY
  od
}

init {
  atomic {
    run Worker(0); run Worker(1);
    run Reaper();
#if REAPERS > 1
    run Reaper();
#endif
    run Keeper();
    run Network();
    run Faults()
  }
}

ltl eventually_final { <> DONE }
