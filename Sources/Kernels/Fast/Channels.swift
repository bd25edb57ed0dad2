import CKernels

/// Adds the dot product of each row of a with that of b to sums [rows]; a, b [rows, columns].
///
/// Sums are kept in double precision.
package func addRowProducts(
  _ a: UnsafePointer<Float>,
  _ b: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  addTo sums: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      let start = row * columns
      sums[row] += Float(kernels.dot_product(a + start, b + start, columns))
    }
  }
}

/// Adds the dot product of each column of a with that of b to sums [columns]; a, b [rows, columns].
package func addColumnProducts(
  _ a: UnsafePointer<Float>,
  _ b: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  addTo sums: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  // Threads share out columns, so that sums do not depend on how many there are.
  workers.forEachRun(of: max(64, elementsPerTile / max(1, rows)), in: columns) { run in
    for row in 0..<rows {
      let start = row * columns + run.lowerBound
      kernels.add_products(a + start, b + start, run.count, sums + run.lowerBound)
    }
  }
}

/// Multiplies each row of x [rows, columns] by one of `rowFactors` [rows], and each column by one of
/// `columnFactors` [columns]; nil stands for factors of 1.
package func scaleChannels(
  of x: UnsafeMutablePointer<Float>,
  rows: Int,
  columns: Int,
  rowFactors: UnsafePointer<Float>? = nil,
  columnFactors: UnsafePointer<Float>? = nil,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      let (own, factor) = (x + row * columns, rowFactors?[row] ?? 1)
      if let columnFactors {
        kernels.scale_by(own, columnFactors, factor, columns, own)
      } else {
        for column in 0..<columns { own[column] *= factor }
      }
    }
  }
}
