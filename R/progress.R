# How long work shows where it is.

# NULL, the default everywhere, is "when somebody is looking": an interactive session that is not knitting.
resolve_verbose <- function(verbose) {
    if (!is.null(verbose)) return(check_flag(verbose, "verbose"))
    interactive() && !isTRUE(getOption("knitr.in.progress"))
}

# list(update = function(epoch, n_epochs, loss), done = function()); `update` is NULL where nothing is to be shown.
# A terminal gets a bar; a log file gets a line every tenth of the way.
training_progress <- function(n_epochs, verbose) {
    if (!verbose || n_epochs < 1L) return(list(update = NULL, done = function() invisible()))
    if (cli::is_dynamic_tty()) bar_progress(n_epochs) else line_progress()
}

# Ctrl-C while R draws would jump past the core, and leave the model between two states: it becomes a wish to stop.
interruptible <- function(update) {
    if (is.null(update)) return(NULL)
    function(...) tryCatch({
        update(...)
        TRUE
    }, interrupt = function(condition) FALSE)
}

bar_progress <- function(n_epochs) {
    owner <- new.env()
    id <- cli::cli_progress_bar(
        total = n_epochs, .envir = owner, clear = FALSE,
        format =
            "Training {cli::pb_bar} {cli::pb_current}/{cli::pb_total} epochs | {cli::pb_status} | ETA {cli::pb_eta}",
        format_done = "Trained {owner$epoch} epoch{?s} in {cli::pb_elapsed} | {owner$loss}"
    )
    owner$epoch <- 0L
    owner$loss <- ""
    list(
        update = function(epoch, n_epochs, loss) {
            # Where training ends before its time, the last line says how far it came.
            owner$epoch <- epoch
            if (is.finite(loss)) owner$loss <- sprintf("loss %.1f", loss)
            cli::cli_progress_update(id = id, set = epoch, status = sprintf("loss %.1f", loss), .envir = owner)
        },
        done = function() cli::cli_progress_done(id = id, .envir = owner)
    )
}

line_progress <- function() {
    started <- proc.time()[["elapsed"]]
    list(
        update = function(epoch, n_epochs, loss) {
            if (epoch != n_epochs && epoch %% max(1, n_epochs %/% 10) != 0) return(invisible())
            cli::cli_inform("Epoch {epoch}/{n_epochs} | loss {sprintf('%.1f', loss)} |
                {sprintf('%.0f', proc.time()[['elapsed']] - started)} s")
        },
        done = function() invisible()
    )
}
