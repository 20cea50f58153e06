#' rscvi: scVI for R, on a native LibTorch core
#'
#' Start with [runSCVI()] for the one call, or with [GeneExpressionDataset()], [VAE()], [UnsupervisedTrainer()],
#' [train()] and [Posterior()] for scVI's own vocabulary.
#' @useDynLib rscvi, .registration = TRUE
#' @import methods
#' @importFrom Rcpp evalCpp
#' @importFrom stats update
#' @importClassesFrom Matrix dgCMatrix
#' @importClassesFrom S4Vectors DFrame
#' @importClassesFrom SingleCellExperiment SingleCellExperiment
#' @keywords internal
"_PACKAGE"

.onUnload <- function(libpath) library.dynam.unload("rscvi", libpath)
