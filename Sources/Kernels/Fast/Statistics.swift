import CKernels

/// The least and greatest element, NaN left out, and whether all are finite.
///
/// Of no elements: (+infinity, -infinity, true).
package func minMax(
  _ x: UnsafePointer<Float>,
  count: Int
) -> (min: Float, max: Float, finite: Bool) {
  let found = kernels.extremes(x, count)
  return (found.minimum, found.maximum, found.finite)
}

/// Raises maxima [columns] to the greatest magnitude in each column of x [rows, columns]; NaN is
/// passed over.
package func columnAbsoluteMaxima(
  x: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  maximaInto maxima: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(64, elementsPerTile / max(1, rows)), in: columns) { run in
    let first = run.lowerBound
    kernels.column_absolute_maxima(x + first, rows, run.count, columns, maxima + first)
  }
}

/// The greatest magnitude in each row of x [rows, columns], to out [rows]; NaN is passed over.
package func rowAbsoluteMaxima(
  x: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      out[row] = kernels.absolute_maximum(x + row * columns, columns)
    }
  }
}

/// Adds counts of elements to `bins` equal bins of lower..<upper; what lies outside counts in the
/// first or last bin, NaN nowhere.
package func histogram(
  _ x: UnsafePointer<Float>,
  count: Int,
  lower: Float,
  upper: Float,
  bins: Int,
  into counts: UnsafeMutablePointer<UInt64>
) {
  precondition(bins > 0 && lower < upper, "bins need a range")
  kernels.histogram(x, count, lower, upper, bins, counts)
}

/// The sum of (a - b)², kept in double precision.
package func squaredDifference(
  _ a: UnsafePointer<Float>,
  _ b: UnsafePointer<Float>,
  count: Int
) -> Double {
  kernels.squared_difference(a, b, count)
}
