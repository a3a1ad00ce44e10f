"""``dlfs class``: handouts of the notebooks for a class, and the grading of what comes back."""

import argparse
import os
from collections import Counter
from pathlib import Path

from dlfs.classroom.grade import Limits, grade
from dlfs.classroom.handout import export
from dlfs.classroom.pages import table, write_pages
from dlfs.classroom.worker import UNGRADED
from dlfs.utils.files import write_atomically

HELP = "write handouts of the notebooks for a class, and grade what comes back"
DESCRIPTION = """
Write the notebooks of a class into a folder (export), and grade what students hand in (grade).
docs/teaching.md in the sources describes a course of 14 weeks.
"""
EXPORTED = """{handouts} handouts are in {folder}/release.
{new} teacher's copies, with solutions, are new in {folder}/source{kept}.

Next: give the handouts to the students, collect their notebooks in {folder}/submitted/STUDENT,
and run:  dlfs class grade {folder}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = actions.add_parser(
        "export",
        help="write teacher's copies and handouts",
        description="Write teacher's copies with solutions into DIR/source, and from them the "
        "handouts into DIR/release. Copies that exist are kept, with your changes.",
    )
    made.add_argument("folder", metavar="DIR", help="the folder of the class")
    made.add_argument(
        "--chapters", metavar="N,N", type=_chapters, help="for example 3,5; default: all"
    )
    made.add_argument(
        "--nbgrader", action="store_true", help="also write the metadata and settings of nbgrader"
    )
    made.add_argument("--force", action="store_true", help="overwrite the teacher's copies")
    graded = actions.add_parser(
        "grade",
        help="grade the notebooks in DIR/submitted",
        description="Grade the notebooks in DIR/submitted/STUDENT: write DIR/grades.csv, and a "
        "page for each student into DIR/feedback. Each submission runs in its own process. The "
        "limits are for accidents, they do not protect you from code written to do harm.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    usual = Limits()
    graded.add_argument("folder", metavar="DIR", help="the folder of the class")
    graded.add_argument(
        "--seconds",
        type=_positive,
        default=usual.seconds,
        help="processor time that an answer may use",
    )
    graded.add_argument(
        "--memory", type=_positive, default=usual.memory, help="limit of memory, in megabytes"
    )
    graded.add_argument(
        "--processes",
        type=_positive,
        default=os.cpu_count() or 1,
        help="submissions that run at the same time",
    )


def _chapters(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, got {text!r}"
        ) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the action; the status is 1 if an exercise could not be graded."""
    folder = Path(arguments.folder)
    if arguments.action == "export":
        new, handouts = export(folder, arguments.chapters, arguments.nbgrader, arguments.force)
        old = len(handouts) - len(new)
        kept = f"; {old} were kept as they are" if old else ""
        print(EXPORTED.format(handouts=len(handouts), new=len(new), kept=kept, folder=folder))
        return 0
    limits = Limits(arguments.seconds, arguments.memory)
    grades, submissions = grade(
        folder, limits, arguments.processes, lambda line: print(line, flush=True)
    )
    write_atomically(folder / "grades.csv", table(grades))
    write_pages(folder / "feedback", grades, submissions)
    for submission in submissions:
        for note in submission.notes:
            print(f"{submission.student}: {note}")
    print(f"\nWrote {folder / 'grades.csv'} and {folder / 'feedback' / 'index.html'}")
    counts = Counter(grade.outcome for grade in grades)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return int(counts[UNGRADED] > 0)
