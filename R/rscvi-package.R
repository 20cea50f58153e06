#' rscvi: scVI for R, on a native LibTorch core
#'
#' Start with [runSCVI()] for the one call, or with [GeneExpressionDataset()], [VAE()], [UnsupervisedTrainer()],
#' [train()] and [Posterior()] for scVI's own vocabulary.
#' @useDynLib rscvi, .registration = TRUE
#' @import methods
#' @importFrom Rcpp evalCpp
#' @importFrom stats update
#' @importFrom utils history
#' @importClassesFrom Matrix dgCMatrix
#' @importClassesFrom S4Vectors DFrame
#' @keywords internal
"_PACKAGE"

# Known from the start, so that a fork can tell that it is one (see threads.R).
.onLoad <- function(libname, pkgname) start_process()

# The reference BLAS of a bare Debian makes training about 40 times slower, and nothing else would say why.
slow_blas_gflops <- 5

.onAttach <- function(libname, pkgname) {
    speed <- tryCatch(core(matrix_product_gflops_cpp()), error = function(e) Inf)
    if (speed < slow_blas_gflops) {
        packageStartupMessage(sprintf(paste(
            "rscvi: matrix products run at %.1f Gflop/s here, which is slow. Either the machine is busy, or LibTorch uses",
            "the reference BLAS: install OpenBLAS (Debian, Ubuntu: apt-get install libopenblas0-openmp)."
        ), speed))
    }
}

.onUnload <- function(libpath) library.dynam.unload("rscvi", libpath)
