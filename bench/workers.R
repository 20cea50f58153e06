# Processes that do the jobs when asked to (jobs.R, worker_pytorch.py), and how they are asked. Sourced by run.R.

first_port <- 20000L
to_start <- 120  # seconds that a worker may take
to_answer <- 3600

# A worker with so many threads. A BLAS reads their number when it is loaded: it is set for the process.
start_worker <- function(side, folder, options, threads, trained = TRUE) {
    listening <- listen()
    on.exit(close(listening$socket))
    script <- file.path(script_folder(), if (side == "rscvi") "jobs.R" else "worker_pytorch.py")
    # -B: no compiled Python beside the scripts.
    program <- if (side == "rscvi") file.path(R.home("bin"), "Rscript") else c(options$python, "-B")
    variables <- c("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    system2(program[1L], c(program[-1L], shQuote(script), shQuote(folder), listening$port, if (!trained) "--untrained"),
        env = paste0(variables, "=", threads), wait = FALSE)
    worker <- tryCatch(socketAccept(listening$socket, blocking = TRUE, open = "r+", timeout = to_start),
        error = function(e) stop("the worker ", script, " did not start"))
    socketTimeout(worker, to_answer)
    worker
}

# Both sides are measured with OpenBLAS's kernels for this processor, see ?rscvi: processes inherit the variable. What
# was asked for by hand stays.
use_fitting_kernels <- function() {
    if (nzchar(Sys.getenv("OPENBLAS_CORETYPE"))) return(invisible())
    program <- c("-e", shQuote("cat(rscvi:::faster_openblas_kernels_cpp())"))
    kernels <- system2(file.path(R.home("bin"), "Rscript"), program, stdout = TRUE)
    if (length(kernels) && nzchar(kernels)) Sys.setenv(OPENBLAS_CORETYPE = kernels)
}

listen <- function() {
    for (port in first_port + (Sys.getpid() + seq_len(100L)) %% 20000L) {
        socket <- tryCatch(serverSocket(port), error = function(e) NULL)
        if (!is.null(socket)) return(list(socket = socket, port = port))
    }
    stop("no port of this machine is free")
}

ask <- function(worker, job, data_set) {
    writeLines(paste(job, data_set), worker)
    answer <- readLines(worker, 1L)
    if (length(answer) == 0L) stop("the worker that was asked for ", job, " of ", data_set, " has died")
    if (!startsWith(answer, "ok ")) stop(job, " of ", data_set, ": ", answer)
    sub("^ok ", "", answer)
}

ask_versions <- function(folder, options) {
    vapply(sides, function(side) {
        worker <- start_worker(side, folder, options, options$threads[1L])
        on.exit(close(worker))
        ask(worker, "versions", "-")
    }, "")
}

# Seconds, bytes of the result, and bytes by which the peak memory was above the memory before.
ask_job <- function(worker, job, data_set) {
    stats::setNames(as.numeric(strsplit(ask(worker, job, data_set), " ")[[1L]]), c("seconds", "bytes", "peak"))
}

# Peak memory of a process that does one job alone, of a model that was never trained: nothing that an earlier job gave
# back, but the process still holds, hides what this one takes. What a process loads when it computes for the first time
# counts.
measure_memory <- function(jobs, folder, options) {
    rows <- lapply(jobs, function(job) {
        do.call(rbind, lapply(sides, function(side) {
            worker <- start_worker(side, folder, options, options$threads[1L], trained = FALSE)
            on.exit(close(worker))
            answer <- ask_job(worker, if (side == "rscvi") job$name else job$asked, job$set$name)
            data.frame(title = job$title, side = side, bytes = answer[["bytes"]], peak = answer[["peak"]])
        }))
    })
    do.call(rbind, rows)
}
