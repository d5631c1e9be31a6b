"""The helpers of multiprocessing, the forks' server and the tracker of shared memory, end when they
find their pipe at its end, a moment after the suite. Here they are waited for, so that they aren't
among what is left."""
from multiprocessing import forkserver, resource_tracker


def pytest_sessionfinish():
    forkserver._forkserver._stop()  # it has the tracker's pipe
    resource_tracker._resource_tracker._stop()
