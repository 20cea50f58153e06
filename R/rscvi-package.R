#' rscvi: scVI for R, on a native LibTorch core
#'
#' Start with [runSCVI()] for the one call, or with [GeneExpressionDataset()], [VAE()], [UnsupervisedTrainer()],
#' [train()] and [Posterior()] for scVI's own vocabulary.
#'
#' @section Linear algebra: half of the time or so goes to matrix products. Where LibTorch has oneDNN beside it, as
#' Debian's has, and the processor has AVX2, they are oneDNN's, which fit the processor. Elsewhere they are LibTorch's:
#' MKL's, or those of the system's BLAS. `library(rscvi)` says when they are slow: with the reference BLAS, or with an
#' OpenBLAS that is older than the processor and takes it for an ancient one. The second is mended by the environment
#' variable `OPENBLAS_CORETYPE` (`Haswell` for a processor with AVX2, `SkylakeX` with AVX-512), which has to be there
#' when R starts: in the shell, in `~/.profile` or `/etc/environment`; `.Renviron` is read too late. On an Intel Xeon of
#' 2023 with OpenBLAS 0.3.21 (Debian 12) its products ran at 41 Gflop/s without and at 180 with it.
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
    said <- tryCatch({
        kernels <- if (core(has_onednn_products_cpp())) "" else core(faster_openblas_kernels_cpp())
        blas_advice(core(matrix_product_gflops_cpp()), kernels)
    }, error = function(e) NULL)
    if (!is.null(said)) packageStartupMessage(said)
}

# `kernels`: what OPENBLAS_CORETYPE should be, or "". NULL where all is well.
blas_advice <- function(gflops, kernels) {
    if (nzchar(kernels)) {
        sprintf(paste("rscvi: matrix products run at %.0f Gflop/s here and could be several times as fast: OpenBLAS",
            "takes this processor for an old one. Start R with the environment variable OPENBLAS_CORETYPE=%s; see",
            "?rscvi."), gflops, kernels)
    } else if (gflops < slow_blas_gflops) {
        sprintf(paste("rscvi: matrix products run at %.1f Gflop/s here, which is slow. Either the machine is busy:",
            "num_threads(1) helps, or GOMP_SPINCOUNT=1000 in the environment that R starts in; or LibTorch uses the",
            "reference BLAS: install OpenBLAS (Debian, Ubuntu: apt-get install libopenblas0-openmp)."), gflops)
    }
}

# No .onUnload(): large results lie in memory that only the package's library can read (src/large_results.h), and must
# outlive its namespace.
