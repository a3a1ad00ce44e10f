"""A kit for teachers: handouts of the chapters' notebooks, and the grading of what comes back.

| Module | What it does |
|---|---|
| ``exercises`` | finds the exercises, their checks and solutions in a notebook |
| ``needs`` | finds the cells of a notebook that an exercise needs |
| ``handout`` | writes the teacher's copy and the handout: ``dlfs class export`` |
| ``submissions`` | finds the answers in what students hand in |
| ``worker`` | runs one submission, in a process with limits |
| ``grade`` | runs all submissions: ``dlfs class grade`` |
| ``pages`` | writes the table of grades and a page for each student |
| ``slides`` | makes slides of the notebooks: ``dlfs notebooks --slides`` |
"""
