# The way into the core: whatever in the glue can fail is called through core().

# Runs a call of the glue, with the threads that are due; an exception of the core becomes an rscvi error of the
# matching class.
core <- function(expr) {
    tryCatch(with_threads(expr), "C++Error" = function(e) {
        text <- conditionMessage(e)
        kind <- c("rscvi::InvalidArgument" = "invalid_argument", "rscvi::DeviceError" = "device_error",
            "rscvi::Diverged" = "diverged", "rscvi::BadFile" = "bad_save", "rscvi::WriteError" = "save_failed")
        kind <- kind[intersect(names(kind), class(e))]
        kind <- if (length(kind)) unname(kind) else "internal_error"
        if (kind == "internal_error" && grepl("fork-based multiprocessing", text, fixed = TRUE)) {
            text <- "LibTorch cannot train in a process that was forked from one that has trained."
            kind <- "forked"
        }
        abort_rscvi(c("{text}", if (kind %in% names(remedies)) c(i = remedies[[kind]])), class = kind)
    })
}

# What the core cannot know: who made the file, and where else there is one.
remedies <- c(
    bad_save = "Take it from a backup, or save it anew.",
    forked = "Train in processes of their own: {.code BiocParallel::SnowParam()} instead of {.code MulticoreParam()}.",
    save_failed = "Free some space on that disk, or give a place that you may write to."
)

# The core's object behind an environment that holds what it is made from; `make` makes it anew when the pointer is
# dead, as it is after readRDS() and in a SnowParam worker.
alive_handle <- function(cache, make) {
    if (!handle_is_alive_cpp(cache$handle)) cache$handle <- make()
    cache$handle
}

dataset_handle <- function(dataset) {
    alive_handle(dataset@cache, function() {
        core(dataset_handle_cpp(
            dataset@counts, dataset@corrupted, as.integer(dataset@batch), as.integer(dataset@labels),
            dataset@local_means, dataset@local_vars, nlevels(dataset@batch), nlevels(dataset@labels),
            unname(covariate_codes(dataset@covariates)), unname(covariate_values(dataset@covariates))
        ))
    })
}

model_handle <- function(model) {
    alive_handle(model@state, function() {
        handle <- new_core_model(model, 0)
        core(model_load_state_cpp(handle, model@state$weights))
        handle
    })
}

# After the core changed a model: its weights as R data, which is what saveRDS() writes.
sync_weights <- function(model) {
    model@state$weights <- core(model_state_cpp(model_handle(model)))
    invisible(model)
}

# A call of the glue that changes a model. If it fails, the core's half-changed object is dropped, and the model is as
# it was.
change_model <- function(model, expr) {
    changed <- FALSE
    on.exit(if (!changed) model@state$handle <- NULL)
    value <- core(expr)
    sync_weights(model)
    changed <- TRUE
    value
}
