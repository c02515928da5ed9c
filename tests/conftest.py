"""Settings of the test process: OpenBLAS and OpenMP have one thread, as films and `serve` have it.

NumPy's OpenBLAS can lock up when two Python threads multiply matrices while it has threads of its own; a server's
inference and an enrolment are two such threads. OpenMP's threads, which are torch's, wait for each other by spinning:
where other programs want the processor too, that takes several times as long as doing the work alone.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
