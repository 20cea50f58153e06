"""A process that does the jobs of jobs_pytorch.py when bench/run.R asks it to.

    worker_pytorch.py FOLDER PORT [--untrained]

FOLDER holds the data sets that simulate.R wrote. Requests are lines "job data_set"; answers are lines
"ok <seconds> <bytes of the result> <bytes that the peak memory is above the memory before>" or "error <why>".
The number of threads is that of OMP_NUM_THREADS.
"""

import gc
import os
import re
import socket
import sys
import time

import scipy
import sklearn
import torch

from jobs_pytorch import Counts, Latent


def memory(field):
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(field + r":\s+(\d+)", file.read()).group(1))


def n_bytes(result):
    if isinstance(result, dict):
        return n_bytes(list(result.values()))
    if isinstance(result, (list, tuple)):
        return sum(map(n_bytes, result))
    return getattr(result, "nbytes", 8)


def measure(job):
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew from what the process takes now
    before = memory("VmRSS")
    begin = time.perf_counter()
    result = job()
    seconds = time.perf_counter() - begin
    return "ok %.6f %d %d" % (seconds, n_bytes(result), memory("VmHWM") - before)


def versions():
    with open("/proc/self/maps") as file:
        paths = set(re.findall(r"/\S*/lib(?:openblas|blas|blis|mkl_core)[^/\s]*", file.read()))
    blas = sorted({os.path.basename(os.path.realpath(path)) for path in paths})
    return "ok Python %s, PyTorch %s, scipy %s, scikit-learn %s, BLAS %s" % (
        sys.version.split()[0], torch.__version__, scipy.__version__, sklearn.__version__, " ".join(blas))


def main():
    folder, port, trained = sys.argv[1], int(sys.argv[2]), "--untrained" not in sys.argv
    data = {}
    lines = socket.create_connection(("127.0.0.1", port)).makefile("rw")
    for request in lines:
        try:
            job, name = request.split()
            if job == "versions":
                answer = versions()
            else:
                if name not in data:
                    kind = Latent if name.startswith("latent") else Counts
                    data[name] = kind(os.path.join(folder, name), trained)
                answer = measure(getattr(data[name], job))
        except Exception as error:
            answer = "error %s: %s" % (type(error).__name__, " ".join(str(error).split()))
        print(answer, file=lines, flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
