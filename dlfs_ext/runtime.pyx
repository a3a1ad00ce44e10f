"""Chooses the instruction set and the number of threads.

Whether a second thread helps depends on the machine's load and on the caches that its processors
share, not only on the number of multiply-adds. So both ways are timed, for each kernel and amount
of work: `gather` chooses the one that was faster recently, and occasionally tries the other. The
results are bit-identical. Waking an idle thread takes as long as a small kernel: a call on several
threads counts only if the previous one used them as well.

Data written by one thread must be fetched from its cache by the threads of the next kernel. Where
that is slow, each kernel alone may be faster on several threads, because half of its data is in
each cache, although the whole step is slower than on one thread. So there is a second choice, the
`Mood`: for some time all small kernels run on one thread, and the time between kernels is counted
as well.
"""

from libc.stdint cimport uint64_t, uintptr_t

import os
import threading
import warnings

cdef extern from "simd.h" nogil:
    int dlfs_best_level()

cdef extern from "threads.h" nogil:
    int DLFS_OPENMP
    int dlfs_max_threads()
    int dlfs_in_parallel()
    int dlfs_processors()
    double dlfs_seconds()

_LEVELS = ("generic", "avx2", "avx512")

# Below this number of multiply-adds (about 10 microseconds of one thread) waking a second thread
# costs more than it saves.
cdef double WORTH_A_THREAD = 3e5

cdef enum:
    HABITS = 1024
    TRIALS = 8  # calls before the first choice: both ways, in the order of `together`
    WAKING = 3  # calls on several threads in one trial of that way
    SHORT_PAUSE = 16  # calls until the other way is tried again, after a doubtful choice
    LONG_PAUSE = 1024  # the same, after the choice has been confirmed many times


cdef struct Habit:
    # The kernel, its work, and its maximum number of threads.
    const void *who
    double work
    int threads
    # The seconds that it takes on one thread, and on all threads.
    double alone
    double together
    # Numbers of calls: so far (up to TRIALS); until the other way is tried again; between trials;
    # left in the present trial. Whether the last call was on several threads.
    int calls
    int wait
    int pause
    int left
    bint awake
    # Consecutive recent calls that came right after a break.
    int skipped

# For kernels that take longer than this on one thread, in seconds, only their habit decides.
cdef double SMALL = 1e-3
# After a break as long as this the other threads sleep, and the data may be in any cache: calls do
# not count for some time, unless breaks are the rule.
cdef double BREAK = 1e-3
cdef double RETURN = 5e-4

cdef enum:
    WINDOW = 48  # calls that are judged together
    SETTLING = 12  # calls before a window, while data move to the threads that now use them
    SHORT_WAIT = 4  # windows until the other mood is tried
    LONG_WAIT = 256


cdef struct Mood:
    # Whether all small kernels run on one thread; whether this is a trial.
    bint alone
    bint trial
    # Calls of this window (negative: not counted yet), and windows until the next trial.
    int calls
    int wait
    int pause
    # Seconds in this window; the sum of its kernels' times; the smallest recent quotient of the
    # two: the smallest, because interruptions do not count.
    double spent
    double worth
    double usual

cdef Mood mood
cdef double last_end = 0
cdef double returned = 0  # when calls count again

cdef int isa_level = DLFS_GENERIC
cdef int wanted_threads = 1
# More are not useful; starting them only takes memory.
MOST_THREADS = 1024
# The number of threads that could be started together at the last attempt.
cdef int proven_threads = 1
# In a forked child: the parent's number of threads, until the user has been warned.
cdef int lost_threads = 0
cdef bint forked = False


cdef int threads_for(double multiply_adds) noexcept nogil:
    cdef double worth = multiply_adds / WORTH_A_THREAD
    if wanted_threads == 1:
        if lost_threads > 1 and worth >= 2.0:
            with gil:
                tell_of_lost_threads()
        return 1
    if worth < 2.0 or dlfs_in_parallel():
        return 1
    return wanted_threads if worth > wanted_threads else <int>worth


cdef Habit[HABITS] habits


cdef Team gather(double multiply_adds, const void *who) noexcept nogil:
    global returned
    cdef Team team
    cdef Habit *habit
    team.threads = threads_for(multiply_adds)
    team.habit = -1
    team.small = team.alone = False
    team.started = team.gap = 0
    if team.threads > 1:
        team.habit = place_of(multiply_adds, who)
        habit = &habits[team.habit]
        if habit.who != who or habit.work != multiply_adds or habit.threads != team.threads:
            begin(habit, multiply_adds, who, team.threads)
            start(&mood)  # new work: start again
        team.small = habit.calls >= TRIALS and habit.alone < SMALL
        team.alone = team.small and mood.alone
        if team.alone or not together(habit):
            team.threads = 1
        team.started = dlfs_seconds()
        team.gap = team.started - last_end
        if team.gap > BREAK:
            returned = team.started + RETURN
    return team


cdef void dismiss(const Team *team) noexcept nogil:
    global last_end
    cdef Habit *habit
    cdef double end
    cdef bint settled = team.started > returned
    if team.habit < 0:
        return
    habit = &habits[team.habit]
    end = dlfs_seconds()
    last_end = end
    habit.skipped = 0 if settled else habit.skipped + 1
    if team.small and settled:
        observe(&mood, habit.alone, end - team.started + team.gap)
    if team.alone or 0 < habit.skipped < TRIALS:
        habit.awake = team.threads > 1
    else:
        learn(habit, team.threads > 1, end - team.started)


cdef int place_of(double multiply_adds, const void *who) noexcept nogil:
    cdef uint64_t mixed = <uint64_t>multiply_adds ^ (<uint64_t><uintptr_t>who >> 4)
    return <int>((mixed * <uint64_t>0x9E3779B97F4A7C15) >> 54)  # 10 bits: HABITS


cdef void begin(Habit *habit, double multiply_adds, const void *who, int threads) noexcept nogil:
    habit.who = who
    habit.work = multiply_adds
    habit.threads = threads
    habit.alone = habit.together = 0
    habit.calls = habit.left = habit.skipped = 0
    habit.wait = habit.pause = SHORT_PAUSE
    habit.awake = False


cdef bint together(const Habit *habit) noexcept nogil:
    """Whether this call runs on several threads."""
    if habit.calls < TRIALS:
        return habit.calls != 3 and habit.calls != 4
    return (habit.together < habit.alone) != (habit.left > 0)


cdef void learn(Habit *habit, bint several, double seconds) noexcept nogil:
    """Record how long a call took."""
    cdef double *known = &habit.together if several else &habit.alone
    cdef bint counts = habit.awake or not several
    cdef bint liked = habit.together < habit.alone, trial = several != liked
    habit.awake = several
    if habit.calls < TRIALS:
        habit.calls += 1
        if counts:
            known[0] = seconds if known[0] == 0 else min(known[0], seconds)
        return
    if counts:
        # One interruption must not affect many calls; few trials must have an effect.
        known[0] += (min(seconds, 4 * known[0]) - known[0]) * (0.5 if trial else 0.125)
    if (habit.together < habit.alone) != liked:
        rest(habit, SHORT_PAUSE)
    elif not trial:
        habit.wait -= 1
        if habit.wait <= 0:
            habit.left = 1 if liked else WAKING
    else:
        habit.left -= 1
        if habit.left <= 0:
            if seconds < min(habit.together, habit.alone):
                rest(habit, SHORT_PAUSE)
            else:
                rest(habit, min(2 * habit.pause, LONG_PAUSE))


cdef void rest(Habit *habit, int pause) noexcept nogil:
    habit.left = 0
    habit.wait = habit.pause = pause


cdef void start(Mood *mood) noexcept nogil:
    mood.alone = mood.trial = False
    mood.calls = 0
    mood.wait = mood.pause = SHORT_WAIT
    mood.spent = mood.worth = mood.usual = 0


cdef void observe(Mood *mood, double worth, double seconds) noexcept nogil:
    """Record a small kernel, and the time since the last one."""
    cdef double ratio
    mood.calls += 1
    if mood.calls <= 0:
        return
    mood.spent += seconds
    mood.worth += worth
    if mood.calls < WINDOW:
        return
    ratio = mood.spent / mood.worth
    mood.calls = 0
    mood.spent = mood.worth = 0
    if not mood.trial:
        mood.usual = min(ratio, 1.1 * mood.usual) if mood.usual > 0 else ratio
        mood.wait -= 1
        if mood.wait <= 0:
            mood.trial = True
            change(mood)
    else:
        mood.trial = False
        if ratio < 0.93 * mood.usual:
            mood.usual = ratio
            mood.wait = mood.pause = SHORT_WAIT
        else:
            mood.wait = mood.pause = min(2 * mood.pause, LONG_WAIT)
            change(mood)


cdef void change(Mood *mood) noexcept nogil:
    mood.alone = not mood.alone
    mood.calls = -SETTLING


def _practise(calls, seconds):
    """For tests: return the way that each call took, if it takes `seconds(together)`."""
    cdef Habit habit
    cdef bint several
    begin(&habit, 0, NULL, 2)
    taken = []
    for _ in range(calls):
        several = together(&habit)
        learn(&habit, several, seconds(several))
        taken.append("together" if several else "alone")
    return taken


def _feel(calls, seconds):
    """For tests: return the mood of each call, if it takes `seconds(alone)`."""
    cdef Mood mood
    start(&mood)
    felt = []
    for _ in range(calls):
        felt.append("alone" if mood.alone else "together")
        observe(&mood, 1.0, seconds(<bint>mood.alone))
    return felt


def isa():
    """Return the instruction set in use: "avx512", "avx2" or "generic"."""
    return _LEVELS[isa_level]


def available_isas():
    """Return the instruction sets of this processor, slowest first."""
    return _LEVELS[:dlfs_best_level() + 1]


def set_isa(name):
    """Use a lower instruction set than the best one (for tests and comparisons).

    Raises
    ------
    ValueError
        If this processor or this build does not have it.
    """
    global isa_level
    if name not in available_isas():
        raise ValueError(
            f"set_isa: name must be one of {', '.join(available_isas())} on this processor and "
            f"build, got {name!r}"
        )
    isa_level = _LEVELS.index(name)


def set_num_threads(n):
    """Set the maximum number of threads of every kernel; results are bit-identical for every `n`.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is below 1 or above 1024.

    Warns
    -----
    UserWarning
        If fewer threads can be started, or only one may be used because this process was forked.
    """
    global wanted_threads, lost_threads
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads: n must be an integer, got {n!r}")
    if not 1 <= n <= MOST_THREADS:
        raise ValueError(f"set_num_threads: n must be from 1 to {MOST_THREADS}, got {n}")
    lost_threads = 0
    wanted_threads = 1
    start(&mood)
    if DLFS_OPENMP and n > 1:
        if forked:
            warnings.warn(f"set_num_threads({n}): {FORKED}", UserWarning, stacklevel=2)
        else:
            wanted_threads = startable(int(n))


FORKED = (
    "this process was forked, and the threads of OpenMP's library do not survive a fork, so the "
    "kernels use one thread here; with multiprocessing's start method 'spawn' a child has its "
    "own threads"
)


cdef int tell_of_lost_threads() noexcept:
    global lost_threads
    lost_threads = 0
    try:
        warnings.warn(FORKED, UserWarning, stacklevel=1)
    except UserWarning as warning:
        # Where warnings are errors: a kernel's arithmetic cannot raise one.
        os.write(2, f"dlfs: {warning}\n".encode())
    return 0


cdef int startable(int n) except -1:
    """Return how many of n threads can be started; libgomp ends the process if one fails."""
    global proven_threads
    if n <= proven_threads:
        return n
    hold = threading.Event()
    helpers = []
    try:
        for _ in range(n - 1):
            helper = threading.Thread(target=hold.wait, daemon=True)
            helper.start()
            helpers.append(helper)
    except RuntimeError:
        warnings.warn(
            f"set_num_threads({n}): only {len(helpers) + 1} threads can be started here, so the "
            f"kernels use {max(1, len(helpers) // 2)}; the cause is a limit on processes or memory "
            f"(ulimit -u, ulimit -v)", UserWarning, stacklevel=2)
        # Leave some for other programs.
        n = max(1, len(helpers) // 2)
    finally:
        hold.set()
        for helper in helpers:
            helper.join()
    proven_threads = n
    return n


def get_num_threads():
    """Return the maximum number of threads of a kernel."""
    return wanted_threads


def _threads_from_environment():
    own = os.environ.get("DLFS_NUM_THREADS", "").strip()
    # Longer numbers are out of range, and may be too long for int().
    if own and not (own.isascii() and own.isdecimal() and len(own) <= 9
                    and 1 <= int(own) <= MOST_THREADS):
        raise ValueError(f"environment variable DLFS_NUM_THREADS must be an integer from 1 to "
                         f"{MOST_THREADS}, got {own[:40]!r}")
    if own:
        return int(own)
    # OpenMP's variable also serves other libraries: an unusual value is not refused.
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= 1:
        return min(int(text), MOST_THREADS)
    return min(dlfs_processors(), MOST_THREADS)


def _after_fork():
    # libgomp's threads do not survive a fork, and waiting for them would hang the child.
    global wanted_threads, lost_threads, forked
    forked = True
    lost_threads = max(wanted_threads, lost_threads)
    wanted_threads = 1


isa_level = dlfs_best_level()
if os.environ.get("DLFS_ISA"):
    try:
        set_isa(os.environ["DLFS_ISA"].lower())
    except ValueError as error:
        raise ValueError(f"environment variable DLFS_ISA: {error}") from None
set_num_threads(_threads_from_environment())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
