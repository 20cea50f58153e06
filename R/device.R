# Where a model computes.

#' Is there a GPU that rscvi can use?
#'
#' `use_cuda = NULL`, the default of trainers and posteriors, means "if this is `TRUE`".
#' @return `TRUE` if the LibTorch that rscvi was built with has CUDA and sees a GPU.
#' @examples
#' cuda_is_available()
#' @export
cuda_is_available <- function() core(cuda_is_available_cpp())

check_use_cuda <- function(use_cuda, arg = "use_cuda") {
    if (is.null(use_cuda)) return(NULL)
    check_flag(use_cuda, arg)
    if (use_cuda && !cuda_is_available()) {
        abort_rscvi(c(
            "{.arg {arg}} is TRUE, but this LibTorch sees no GPU.",
            i = "Use {.code {arg} = NULL} (a GPU if there is one) or {.code FALSE} (the CPU); for a GPU, install a
                 LibTorch with CUDA and reinstall rscvi."
        ), class = "device_error")
    }
    use_cuda
}
