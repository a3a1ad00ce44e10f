"""Runs the answers of one submission, in a process of its own: ``python -m dlfs.classroom.worker``.

The job comes as JSON on standard input, and a line of JSON goes to standard output when something
happens, so that the caller (``grade``) knows which exercise was running if this process ends or
must be ended. Limits hold while an answer and its checks run. They limit accidents: code that
wants to get around them can.

- Time of the processor, and memory: a thread looks at what is used, and ends the process.
  On Linux the operating system also limits the memory; on Windows nothing does.
- What is printed: kept up to a limit, then an error.
- Processes, connections, and changes of files outside the process's own folder: refused.
"""

import ast
import io
import json
import linecache
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import dlfs.exercises
from dlfs.classroom.needs import plain_python
from dlfs.exercises import OPEN, RIGHT, WRONG, Verdict

TIME, MEMORY, OUTPUT, CRASHED, UNGRADED = "time", "memory", "output", "crashed", "ungraded"
"""The outcomes that are not states of a verdict; ``grade`` adds others."""

MOST_FILES = 100
"""The number of files that an answer may open to write."""
FILE_BYTES = 10_000_000
"""The size that such a file may have."""
KEPT_OUTPUT = 2000
"""The number of printed characters that a page shows."""


class TooMuchOutput(BaseException):
    """Ends an answer that prints without end; not an Exception, which answers catch."""


class _Output(io.TextIOBase):
    """Keeps what is printed, up to a limit."""

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self.parts: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.size += len(text)
        if self.size > self.most:
            raise TooMuchOutput(f"it prints more than {self.most:,} characters")
        self.parts.append(text)
        return len(text)


class _Guard:
    """Refuses what no answer needs, while it is active; an audit hook cannot be removed."""

    PROCESSES = (
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
        "os.system", "pty.spawn", "subprocess.Popen",
    )  # fmt: skip
    SIGNALS = ("os.kill", "os.killpg", "signal.pthread_kill")
    CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.bind")
    CHANGES: ClassVar[dict[str, tuple[int, ...]]] = {
        "os.chmod": (0,), "os.chown": (0,), "os.link": (1,), "os.mkdir": (0,), "os.remove": (0,),
        "os.rename": (0, 1), "os.rmdir": (0,), "os.symlink": (1,), "os.truncate": (0,),
        "os.utime": (0,), "shutil.rmtree": (0,),
    }  # fmt: skip

    def __init__(self) -> None:
        self.active = False
        self.files = 0
        self.folder = os.path.realpath(".")
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in self.PROCESSES:
            self._refuse("it starts a process")
        if event in self.SIGNALS:
            self._refuse("it sends a signal to a process")
        if event in self.CONNECTIONS:
            self._refuse("it opens a connection")
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            writes = writes or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not isinstance(path, int):
                self._change(path)
                self.files += 1
                if self.files > MOST_FILES:
                    self._refuse(f"it writes more than {MOST_FILES} files")
        for place in self.CHANGES.get(event, ()):
            self._change(arguments[place])

    def _change(self, path: Any) -> None:
        if isinstance(path, int) or os.fspath(path) in (os.devnull, os.fsencode(os.devnull)):
            return
        full = os.path.realpath(os.fsdecode(path))
        if full != self.folder and not full.startswith(self.folder + os.sep):
            self._refuse(f"it changes a file outside its own folder ({Path(full).name})")

    def _refuse(self, what: str) -> None:
        raise PermissionError(f"refused: {what}")


class _Limits:
    """Limits the processor time and the memory, on top of what is used when the limits are set."""

    def __init__(self, tell: Callable[..., None]) -> None:
        try:
            import resource  # noqa: PLC0415 - not on Windows
        except ImportError:
            resource = None  # type: ignore[assignment]
        self.resource: Any = resource
        self.tell = tell
        self.seconds, self.most_seconds = 0.0, math.inf
        self.megabytes, self.most_bytes = 0, math.inf
        threading.Thread(target=self._watch, daemon=True).start()

    def set(self, seconds: float, megabytes: int) -> None:
        """Set the limits."""
        self._limit_addresses(2 * megabytes)  # a thread's stack uses addresses and no memory
        self.seconds, self.megabytes = seconds, megabytes
        self.most_bytes = self._peak() + megabytes * 2**20
        self.most_seconds = time.process_time() + seconds

    def remove(self) -> None:
        """Remove the limits."""
        self.most_seconds = self.most_bytes = math.inf
        self._limit_addresses(0)

    def _limit_addresses(self, megabytes: int) -> None:
        pages = Path("/proc/self/statm")
        if self.resource is None or not pages.exists():
            return  # the system has no such limit, or does not heed it
        kind = self.resource.RLIMIT_AS
        hard = self.resource.getrlimit(kind)[1]
        used = int(pages.read_text().split()[0]) * self.resource.getpagesize()
        soft = used + megabytes * 2**20 if megabytes else hard
        if hard != self.resource.RLIM_INFINITY:
            soft = min(soft, hard)
        self.resource.setrlimit(kind, (soft, hard))

    def _peak(self) -> int:
        if self.resource is None:
            return 0
        peak = self.resource.getrusage(self.resource.RUSAGE_SELF).ru_maxrss
        return int(peak if sys.platform == "darwin" else peak * 1024)

    def _watch(self) -> None:
        while True:
            time.sleep(0.05)
            if self._peak() > self.most_bytes:
                self._end(MEMORY, needs_memory(self.megabytes))
            if time.process_time() > self.most_seconds:
                self._end(TIME, takes_longer(self.seconds))

    def _end(self, outcome: str, hint: str) -> None:
        self.tell("end", outcome=outcome, hint=hint, said="")
        os._exit(0)


def takes_longer(seconds: float) -> str:
    """Return the hint about an answer that was stopped."""
    return f"It takes longer than {seconds:.0f} seconds."


def needs_memory(megabytes: int) -> str:
    """Return the hint about an answer that needs too much memory."""
    return f"It needs more than {megabytes:,} MB of memory."


class _Checks:
    """Stands in for ``dlfs.exercises.check``: keeps the verdicts of an exercise's own checks."""

    def __init__(self) -> None:
        self.check = dlfs.exercises.check
        self.verdicts: list[Verdict] | None = None

    def __call__(self, name: str, *arguments: Any, **options: Any) -> Verdict:
        if self.verdicts is None:  # the checks of an earlier exercise, or of the student
            return Verdict(str(name), RIGHT)
        verdict = self.check(name, *arguments, **{**options, "raises": False})
        self.verdicts.append(verdict)
        return verdict


class Worker:
    """Runs the exercises of a job, one after the other.

    Parameters
    ----------
    job : dict
        ``exercises``, a list of dictionaries (``name``, ``setup``, ``answer``, ``checks``,
        ``binds``, and ``seconds``, the limit of processor time), and the limits ``memory`` in
        megabytes and ``output`` in characters.
    tell : callable
        Called with what happens, as keyword arguments of a message.
    """

    def __init__(self, job: dict[str, Any], tell: Callable[..., None]) -> None:
        self.job, self.tell = job, tell
        self.guard, self.limits, self.checks = _Guard(), _Limits(tell), _Checks()
        dlfs.exercises.check = self.checks

    def run(self) -> None:
        """Run all exercises."""
        for number, exercise in enumerate(self.job["exercises"]):
            self.tell("setup", number=number)
            names: dict[str, Any] = {"__name__": "__main__", "display": _nothing}
            try:
                for place, code in enumerate(exercise["setup"], 1):
                    _execute(code, f"setup {place}", names)
            except BaseException as error:  # noqa: BLE001 - the notebook's own fault
                self.tell("end", outcome=UNGRADED, hint=_described(error), said="")
                continue
            self.tell("start", number=number)
            self.tell("end", **self._answer(exercise, names))

    def _answer(self, exercise: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
        output = _Output(self.job["output"])
        before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = output
        self.limits.set(exercise["seconds"], self.job["memory"])
        self.guard.files, self.guard.active = 0, True
        try:
            outcome, hint = self._judge(exercise, names)
        except TooMuchOutput as error:
            outcome, hint = OUTPUT, f"It is not finished: {error}."
        except MemoryError:
            outcome, hint = MEMORY, needs_memory(self.job["memory"])
        except BaseException as error:  # noqa: BLE001 - SystemExit and whatever else
            outcome = WRONG if isinstance(error, Exception) else CRASHED
            hint = _described(error)
        finally:
            self.guard.active = False
            self.limits.remove()
            sys.stdout, sys.stderr = before
            self.checks.verdicts = None
        if outcome == WRONG and "MemoryError" in hint:  # a check caught it
            outcome, hint = MEMORY, needs_memory(self.job["memory"])
        return {"outcome": outcome, "hint": hint, "said": "".join(output.parts)[:KEPT_OUTPUT]}

    def _judge(self, exercise: dict[str, Any], names: dict[str, Any]) -> tuple[str, str]:
        answer = dict(names)
        _execute(exercise["answer"], "answer", answer)
        for name in exercise["binds"]:
            if name not in answer:
                return WRONG, f"The answer must define {name}."
            names[name] = answer[name]
        self.checks.verdicts = []
        for number, code in enumerate(exercise["checks"], 1):
            _execute(code, f"check {number}", names)
        own = [verdict for verdict in self.checks.verdicts if verdict.name == exercise["name"]]
        if not own:
            return UNGRADED, f"No check says anything about {exercise['name']}."
        worst = next((v for v in own if v.state == OPEN), next((v for v in own if not v), own[0]))
        return worst.state, worst.first_hint


def _nothing(*things: Any, **options: Any) -> None:
    """Stand in for IPython's ``display``."""


def _execute(code: str, name: str, names: dict[str, Any]) -> None:
    """Run a cell. Its lines can be found afterwards, for hints that quote them."""
    text = plain_python(code)
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(ast.parse(text, file), file, "exec", dont_inherit=True), names)


def _described(error: BaseException) -> str:
    """Return the error in one line, and the line of the answer that raised it."""
    message = str(error).partition("\n")[0]
    if isinstance(error, SyntaxError):
        return f"It is not Python: {error.msg} (line {error.lineno})."
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<answer>"]
    where = f" (line {lines[-1]})" if lines else ""
    return f"It raises {type(error).__name__}{': ' * bool(message)}{message}{where}"


def main() -> None:
    """Run the job on standard input; the caller has made an empty folder the current one."""
    job = json.loads(sys.stdin.buffer.read())
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    lock = threading.Lock()

    def tell(event: str, **facts: Any) -> None:
        with lock:
            messages.write(json.dumps({"event": event, **facts}) + "\n")
            messages.flush()

    _limit_files()
    Worker(job, tell).run()
    tell("done")
    os._exit(0)  # threads of an answer may still be running


def _limit_files() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
