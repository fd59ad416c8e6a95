"""Keeps the cores awake while something is measured.

A core of a virtual machine that sleeps wakes when its host sees fit, and what
is measured is late by that. One endless loop on each core, of the class that
runs only while nobody else wants to, leaves it no time to sleep.
"""

import os
import sys

import children

LOOP = """
import os, sys
os.sched_setaffinity(0, [int(sys.argv[1])])
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


def keep(folder):
    """From now on, until children.stop_all()."""
    for core in os.sched_getaffinity(0):
        children.Child(f"awake-{core}", [sys.executable, "-B", "-c", LOOP,
                                         str(core)], folder)
