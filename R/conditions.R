# Errors, warnings and messages that users see. Every one has a class of its own and the parent
# class "rscvi_error" ("rscvi_warning", "rscvi_message"), so that code can catch what it can mend.
#
# A message names the argument, the value it had and the remedy; `message` is a cli character vector
# (`c("what is wrong", i = "what to do")`), interpolated where it was written.

abort_rscvi <- function(message, class = "invalid_argument", ..., call = NULL, .envir = parent.frame()) {
    cli::cli_abort(
        message,
        class = c(paste0("rscvi_", class), "rscvi_error"),
        ..., call = call, .envir = .envir
    )
}

warn_rscvi <- function(message, class, ..., .envir = parent.frame()) {
    cli::cli_warn(message, class = c(paste0("rscvi_", class), "rscvi_warning"), ..., .envir = .envir)
}

inform_rscvi <- function(message, class = "message", ..., .envir = parent.frame()) {
    cli::cli_inform(message, class = c(paste0("rscvi_", class), "rscvi_message"), ..., .envir = .envir)
}
