# What R users do with a fit. All from values in R: a fit that was saved and read again works without Python.

coef.dslpy <- function(object, ...) object$coefficients

vcov.dslpy <- function(object, ...) object$vcov

nobs.dslpy <- function(object, ...) object$internal$num_data

confint.dslpy <- function(object, parm, level = 0.95, ...) {
  estimate <- object$coefficients
  half <- qt((1 + level) / 2, degrees(object)) * object$standard_errors
  tails <- c((1 - level) / 2, (1 + level) / 2)
  out <- cbind(estimate - half, estimate + half)
  dimnames(out) <- list(names(estimate), paste(format(100 * tails, trim = TRUE, digits = 3), "%"))
  if (missing(parm)) out else out[parm, , drop = FALSE]
}

p_value <- function(object) 2 * pt(-abs(object$coefficients / object$standard_errors), degrees(object))

# Of Student's distribution, where a fit has them; Inf is the normal distribution.
degrees <- function(object) if (is.null(object$internal$df)) Inf else object$internal$df

tidy.dslpy <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  out <- data.frame(
    term = names(x$coefficients), estimate = x$coefficients, std.error = x$standard_errors,
    statistic = x$coefficients / x$standard_errors, p.value = p_value(x), row.names = NULL
  )
  if (conf.int) out[c("conf.low", "conf.high")] <- confint.dslpy(x, level = conf.level)
  if (!is.null(x$internal$df)) out <- cbind(out[1:4], df = x$internal$df, out[-(1:4)])
  out
}

glance.dslpy <- function(x, ...) {
  spec <- x$internal
  data.frame(
    model = spec$model, estimator = spec$estimator, nobs = spec$num_data, n_labeled = spec$num_expert,
    n_dropped = spec$num_input - spec$num_data, n_clusters = or_na(spec$num_clusters),
    sample_prob_min = spec$prob_range[1], sample_prob_max = spec$prob_range[2], cross_fit = or_na(spec$cross_fit),
    sample_split = spec$sample_split, vcov = spec$vcov_type, converged = spec$converged
  )
}

or_na <- function(x) if (is.null(x)) NA_integer_ else x

print.dslpy <- function(x, digits = 4, ...) {
  spec <- x$internal
  cat("Design-based supervised learning: ", spec$model, " of ", formula_text(spec$formula), "\n",
      spec$num_data, " rows, ", spec$num_expert, " labelled\n\nCoefficients:\n", sep = "")
  print(round(x$coefficients, digits), ...)
  invisible(x)
}

formula_text <- function(formula) paste(trimws(format(formula)), collapse = " ")

summary.dslpy <- function(object, ci = 0.95, digits = 4, ...) {
  interval <- confint.dslpy(object, level = ci)
  structure(
    data.frame(Estimate = object$coefficients, `Std. Error` = object$standard_errors, `CI Lower` = interval[, 1],
               `CI Upper` = interval[, 2], `p value` = p_value(object), check.names = FALSE),
    class = c("summary.dslpy", "data.frame"), specification = object$internal, ci = ci, digits = digits
  )
}

print.summary.dslpy <- function(x, digits = attr(x, "digits"), ...) {
  spec <- attr(x, "specification")
  if (is.null(spec) || ncol(x) != 5) return(print(structure(x, class = "data.frame"), ...)) # a part of a summary
  heading("DSL Specification:")
  cat(specification_lines(spec), sep = "\n")
  cat("\n")
  heading("Coefficients:")
  table <- as.matrix(structure(x, class = "data.frame"))
  table[, 1:4] <- round(table[, 1:4], digits)
  printCoefmat(table, digits = digits, cs.ind = integer(), tst.ind = integer(), P.values = TRUE, has.Pvalue = TRUE,
               eps.Pvalue = 10^-digits)
  cat("\n", 100 * attr(x, "ci"), "% confidence intervals (CI) are reported. P values are two-sided.",
      if (!is.null(spec$df)) " Both are Student's.", "\n", sep = "")
  notes <- c(sprintf("Learner for %s: %s.", spec$target, spec$learner_reason)[nzchar(spec$learner_reason)],
             if (length(spec$dropped)) {
               paste0("Rows left out for missing values, per column: ",
                      paste0(names(spec$dropped), " (", spec$dropped, ")", collapse = ", "), ".")
             },
             if (length(spec$notes)) paste0(spec$notes, "."))
  if (length(notes)) cat(strwrap(notes, width = 100), sep = "\n")
  invisible(x)
}

heading <- function(text) {
  line <- strrep("=", nchar(text))
  cat(line, text, line, sep = "\n")
}

specification_lines <- function(spec) {
  joined <- function(names) if (length(names)) paste(unlist(names), collapse = ", ") else "(features only)"
  c(
    if (spec$estimator != "dsl") paste0("Estimator:  ", spec$estimator),
    paste0("Model:  ", spec$model, if (length(spec$index)) paste0(" (", paste(spec$index, collapse = ", "), ")")),
    paste0("Call:  ", formula_text(spec$formula)), "",
    paste0("Predicted Variables:  ", joined(spec$predicted_var)),
    paste0("Prediction:  ", joined(spec$prediction)),
    if (length(spec$learner)) {
      quality <- ifelse(is.na(spec$r2), "", sprintf(" (R2 out of fold %.3f)", spec$r2))
      paste0("Learner:  ", paste0(spec$learner, if (length(spec$learner) > 1) paste(" for", spec$target), quality,
                                  collapse = ", "))
    }, "",
    paste0("Number of Observations:  ", spec$num_data),
    paste0("Number of Labeled Observations:  ", spec$num_expert),
    if (!is.null(spec$num_clusters)) paste0("Number of Clusters:  ", spec$num_clusters, " (", spec$cluster, ")"),
    paste0("Random Sampling for Labeling with Equal Probability: ", if (spec$equal_prob) "Yes" else "No")
  )
}
