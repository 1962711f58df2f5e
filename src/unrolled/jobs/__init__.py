"""Whole jobs, from files to files: what the command line and a service call.

A job wires the rooms below it. It prints nothing: it yields what happened, and its caller shows it.
"""
