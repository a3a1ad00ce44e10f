"""Writes the table of grades, and a page for each student."""

import csv
import html
import io
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from dlfs.classroom.grade import Grade
from dlfs.classroom.submissions import Submission
from dlfs.classroom.worker import UNGRADED
from dlfs.exercises import OPEN, RIGHT, WRONG
from dlfs.utils.files import write_atomically

COLUMNS = ("student", "notebook", "exercise", "right", "outcome", "first hint", "note")

WORDS = {
    RIGHT: "right",
    WRONG: "not right yet",
    OPEN: "not yet done",
    "missing": "not handed in",
    "time": "stopped: too slow",
    "memory": "stopped: too much memory",
    "output": "stopped: too much output",
    "crashed": "stopped: it crashed",
    UNGRADED: "not graded",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ccc;
         vertical-align: top }
pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; font-size: .85rem }
.right { color: #1a6e2e } .wrong { color: #a3301a } .open { color: #666 }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd } pre { background: #262626 }
  th, td { border-color: #444 }
  .right { color: #6fcf84 } .wrong { color: #f08d77 } .open { color: #aaa } a { color: #8ab8ff }
}
"""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def table(grades: Sequence[Grade]) -> str:
    r"""Return the grades as CSV, a row for each student and exercise.

    ``right`` is 1 or 0, or empty where the exercise could not be graded. A cell that a spreadsheet
    would take for a formula begins with an apostrophe.

    Examples
    --------
    >>> print(table([Grade("ada", "03_dlfs/Code", "tanh", "right")]).replace("\r", ""))
    student,notebook,exercise,right,outcome,first hint,note
    ada,03_dlfs/Code,tanh,1,right,,
    <BLANKLINE>
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for grade in grades:
        right = "" if grade.outcome == UNGRADED else int(grade.right)
        texts = (grade.student, grade.notebook, grade.exercise)
        after = (grade.outcome, grade.hint, grade.note)
        writer.writerow([*map(_cell, texts), right, *map(_cell, after)])
    return written.getvalue()


def _cell(text: str) -> str:
    plain = _CONTROL.sub(" ", text).replace("\n", " ").strip()
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


def write_pages(
    folder: Path, grades: Sequence[Grade], submissions: Sequence[Submission]
) -> list[Path]:
    """Write a page for each student and an index into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written, rows = [], []
    for submission in submissions:
        own = [grade for grade in grades if grade.student == submission.student]
        path = folder / f"{submission.student}.html"
        write_atomically(path, page(submission, own))
        written.append(path)
        right = sum(grade.right for grade in own)
        link = urllib.parse.quote(path.name)
        name = _text(submission.student)
        stopped = sum(grade.outcome in WORDS and "stopped" in WORDS[grade.outcome] for grade in own)
        rows.append(
            f'<tr><td><a href="./{link}">{name}</a></td><td>{right} of {len(own)}</td>'
            f"<td>{stopped or ''}</td></tr>"
        )
    index = _document(
        "Grades",
        "<table><tr><th>Student</th><th>Right</th><th>Stopped by a limit</th></tr>"
        + "".join(rows)
        + "</table>",
    )
    write_atomically(folder / "index.html", index)
    return [folder / "index.html", *written]


def page(submission: Submission, grades: Sequence[Grade]) -> str:
    """Return a student's page; everything a student wrote is escaped."""
    right = sum(grade.right for grade in grades)
    parts = [f"<p>{right} of {len(grades)} exercises are right.</p>"]
    parts += [f"<p>{_text(note)}.</p>" for note in submission.notes]
    parts.append("<table><tr><th>Notebook</th><th>Exercise</th><th>Result</th><th>Hint</th></tr>")
    for number, grade in enumerate(grades):
        kind = {RIGHT: "right", OPEN: "open", "missing": "open", UNGRADED: "open"}
        name = _text(grade.exercise)
        link = f'<a href="#answer-{number}">{name}</a>' if grade.answer else name
        hint = _text(" ".join(filter(None, (grade.hint, grade.note))))
        parts.append(
            f"<tr><td>{_text(grade.notebook)}</td><td>{link}</td>"
            f'<td class="{kind.get(grade.outcome, "wrong")}">'
            f"{WORDS.get(grade.outcome, _text(grade.outcome))}</td><td>{hint}</td></tr>"
        )
    parts.append("</table>")
    for number, grade in enumerate(grades):
        if grade.answer:
            title = _text(f"{grade.notebook}: {grade.exercise}")
            parts.append(f'<h2 id="answer-{number}">{title}</h2>')
            parts.append(f"<pre><code>{_text(grade.answer)}</code></pre>")
            if grade.said:
                parts.append(f"<p>Printed:</p><pre>{_text(grade.said)}</pre>")
    return _document(submission.student, "\n".join(parts))


def _text(text: str) -> str:
    """Return a text as HTML, with signs instead of control characters."""
    return html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def _document(title: str, body: str) -> str:
    name = _text(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n<body><h1>{name}</h1>\n{body}\n</body></html>\n"
    )
