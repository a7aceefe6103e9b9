# Columns to Python and back, as bytes: exact, and whatever versions of reticulate and numpy meet.

# A data frame as the bridge takes it: a list of columns, each with its kind, and the row names.
frame_to_python <- function(data, places = seq_along(data)) {
  one <- function(j) column_to_python(.subset2(data, j), names(data)[j], nrow(data))
  list(columns = lapply(places, one),
       rows = nrow(data), row_names = row_names_to_python(data))
}

column_to_python <- function(x, name, rows) {
  if (is.matrix(x) && ncol(x) == 1 && !is.object(x)) x <- as.vector(x) # as scale() makes
  if (inherits(x, "POSIXlt")) x <- as.POSIXct(x)
  kind <- column_kind(x)
  if (is.null(kind) || length(x) != rows) {
    return(list(name = name, kind = "none", what = describe(x)))
  }
  if (inherits(x, c("haven_labelled_spss", "labelled_spss"))) x <- without_user_missing(x)
  more <- list()
  if (kind %in% c("factor", "ordered")) {
    more$levels <- as.list(enc2utf8(levels(x)))
    x <- as.integer(x)
  } else if (kind == "text") {
    x <- enc2utf8(as.character(x))
    found <- unique(x[!is.na(x)])
    more$levels <- as.list(found)
    x <- match(x, found)
  } else if (kind == "instant") {
    zone <- attr(x, "tzone")[1]
    more$zone <- if (is.null(zone) || is.na(zone) || zone == "") Sys.timezone() else zone
  }
  x <- unclass(x)
  if (kind %in% c("date", "instant")) x <- as.double(x) # days may be stored as integers
  attributes(x) <- NULL
  c(list(name = name, kind = kind, bytes = writeBin(x, raw())), more)
}

# Values that a file of SPSS declares missing as NA, as haven's is.na() has it, which need not be loaded.
without_user_missing <- function(x) {
  values <- unclass(x)
  missing <- values %in% attr(x, "na_values")
  range <- attr(x, "na_range")
  if (!is.null(range)) missing <- missing | (!is.na(values) & values >= range[1] & values <= range[2])
  values[missing] <- NA
  attributes(values) <- NULL
  values
}

column_kind <- function(x) {
  if (length(dim(x)) > 1) return(NULL)
  if (is.factor(x)) return(if (is.ordered(x)) "ordered" else "factor")
  if (inherits(x, "Date")) return("date")
  if (inherits(x, "POSIXct")) return("instant")
  if (inherits(x, "integer64")) return("integer64")
  switch(typeof(x), double = "number", integer = "integer", logical = "logical", character = "text", NULL)
}

describe <- function(x) {
  if (!is.null(dim(x))) return(paste0("a ", class(x)[1], " with ", NCOL(x), " columns"))
  if (is.list(x)) "a list" else paste("values of type", class(x)[1])
}

row_names_to_python <- function(data) {
  names <- attr(data, "row.names")
  if (is.character(names)) as.list(enc2utf8(names)) else if (.row_names_info(data) < 0) NULL else as.list(names)
}

# The bridge's columns as a data frame.
frame_from_python <- function(columns) {
  out <- lapply(columns, column_from_python)
  names(out) <- vapply(columns, `[[`, "", "name")
  structure(out, class = "data.frame", row.names = .set_row_names(length(out[[1]])))
}

column_from_python <- function(column) {
  size <- if (column$kind == "number") 8L else 4L
  what <- if (column$kind == "number") "double" else "integer"
  x <- readBin(column$bytes, what, n = length(column$bytes) %/% size, size = size)
  switch(column$kind,
    number = replace(x, is.nan(x), NA_real_),
    integer = x,
    logical = as.logical(x),
    text = as.character(unlist(column$levels))[x],
    factor = structure(x, levels = as.character(unlist(column$levels)), class = "factor"),
    ordered = structure(x, levels = as.character(unlist(column$levels)), class = c("ordered", "factor"))
  )
}
