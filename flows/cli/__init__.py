"""`llm-reports`: a thin door to the flows.

Here: arguments, output on a terminal, `serve`, `view` and `verify`. Not here: the work of a run.
"""
