"""Settings of the test process: one OpenBLAS thread, as `serve` has it.

NumPy's OpenBLAS can lock up when two Python threads multiply matrices while it has threads of its own; a server's
inference and an enrolment are two such threads.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
