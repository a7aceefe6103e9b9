# compare(): estimators side by side on the same rows, and the bias of taking predictions for the truth.

compare <- function(model = "lm", formula, predicted_var, prediction = NULL, data, ..., sl_method = "grf",
                    estimators = NULL, reference = NULL, alpha = 0.05) {
  call <- sys.call()
  if (!is.data.frame(data)) stop_dsl("data must be a data frame; found ", describe(data), call = call)
  more <- list(...)
  if (length(more) && (is.null(names(more)) || any(names(more) == ""))) {
    stop_dsl("arguments after 'data' need names, such as cluster = \"doc_id\"", call = call)
  }
  given <- c(list(predicted_var = predicted_var, prediction = prediction, model = model, sl_method = sl_method,
                  estimators = estimators, reference = reference, alpha = alpha), more)
  found <- call_with_formula("compare", formula, data, given, parent.frame(), call)
  bias <- if (!is.null(found$bias)) frame_from_python(found$bias)
  structure(
    list(table = as_in_broom(frame_from_python(found$table)), bias = if (!is.null(bias)) as_in_broom(bias),
         hausman = unlist(found$hausman), sentences = as.character(unlist(found$sentences)),
         reference = found$reference, failed = unlist(found$failed), notes = as.character(unlist(found$notes)),
         alpha = found$alpha, num_data = found$nobs, num_expert = found$n_labeled, model = model, formula = formula),
    class = "dslpy_comparison"
  )
}

# Columns as broom names them: std.error, p.value, conf.low.
as_in_broom <- function(table) {
  names(table) <- sub("^(std|p|conf)_", "\\1.", names(table))
  table
}

tidy.dslpy_comparison <- function(x, ...) x$table

glance.dslpy_comparison <- function(x, ...) {
  test <- if (is.null(x$hausman)) c(statistic = NA, df = NA, p_value = NA) else x$hausman
  data.frame(model = x$model, reference = x$reference, nobs = x$num_data, n_labeled = x$num_expert,
             hausman = test[["statistic"]], df = test[["df"]], p.value = test[["p_value"]])
}

print.dslpy_comparison <- function(x, digits = 4, ...) {
  cat("Estimators of ", x$model, ": ", formula_text(x$formula), "\n", x$num_data, " rows, ", x$num_expert,
      " labelled; judged by ", x$reference, "\n\n", sep = "")
  shown <- x$table[c("term", "estimator", "estimate", "std.error", "conf.low", "conf.high")]
  shown[3:6] <- round(shown[3:6], digits)
  print(shown, row.names = FALSE, ...)
  lines <- c(if (!is.null(x$hausman)) {
               sprintf("Naive estimates without bias (Hausman-type test): chi2(%d) = %.2f, p %s.", as.integer(x$hausman[["df"]]),
                       x$hausman[["statistic"]],
                       if (x$hausman[["p_value"]] < 0.001) "< 0.001" else sprintf("= %.3f", x$hausman[["p_value"]]))
             },
             x$sentences, sprintf("%s has no estimate: %s", names(x$failed), x$failed), x$notes)
  if (length(lines)) cat("\n", paste0(strwrap(lines, width = 100, exdent = 2), "\n"), sep = "")
  invisible(x)
}
