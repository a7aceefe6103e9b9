# Tables of texreg, where it is installed. (modelsummary and broom take tidy() and glance().)

setOldClass(c("dslpy", "dsl"))

.onLoad <- function(libname, pkgname) {
  if (requireNamespace("texreg", quietly = TRUE)) {
    setGeneric("extract", function(model, ...) standardGeneric("extract"), package = "texreg")
    setMethod("extract", signature = className("dslpy", pkgname), definition = extract_dslpy)
  }
}

# A fit as texreg takes it, with confidence intervals on demand.
extract_dslpy <- function(model, include.ci = FALSE, level = 0.95, ...) {
  interval <- if (isTRUE(include.ci)) confint.dslpy(model, level = level)
  spec <- model$internal
  texreg::createTexreg(
    coef.names = names(model$coefficients), coef = unname(model$coefficients), se = unname(model$standard_errors),
    pvalues = unname(p_value(model)), ci.low = as.numeric(interval[, 1]), ci.up = as.numeric(interval[, 2]),
    gof.names = c("Num. obs.", "Num. labelled", if (!is.null(spec$num_clusters)) "Num. clusters"),
    gof = as.numeric(c(spec$num_data, spec$num_expert, spec$num_clusters)),
    gof.decimal = rep(FALSE, 2 + !is.null(spec$num_clusters)),
    model.name = if (spec$estimator == "dsl") "DSL" else spec$estimator
  )
}
