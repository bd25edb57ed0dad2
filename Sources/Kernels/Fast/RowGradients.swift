import CKernels

/// Adds the gradient of `embed` by its table [ids, features]: row i of gradient [count, features]
/// goes to the row of the table that ids[i] looked up, in the order of the ids.
package func embeddingGradient(
  ids: UnsafePointer<Int32>,
  count: Int,
  gradient: UnsafePointer<Float>,
  features: Int,
  addTo table: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  // Rows of a table repeat, columns do not: threads share out columns.
  workers.forEachRun(of: max(64, elementsPerTile / max(1, count)), in: features) { run in
    for row in 0..<count {
      let target = table + Int(ids[row]) * features + run.lowerBound
      kernels.add(target, gradient + row * features + run.lowerBound, run.count, target)
    }
  }
}

/// Adds `width` elements of each of `count` rows that lie `stride` apart to rows of `out`.
///
/// The twin of `copyRows`: rows of `out` lie `outStride` apart, or are contiguous where it is nil.
/// They must not overlap.
package func addRows(
  _ x: UnsafePointer<Float>,
  stride: Int,
  width: Int,
  count: Int,
  to out: UnsafeMutablePointer<Float>,
  outStride: Int? = nil,
  on workers: Workers
) {
  let outStride = outStride ?? width
  workers.forEachRun(of: max(1, elementsPerTile / max(1, width)), in: count) { run in
    for row in run {
      kernels.add(out + row * outStride, x + row * stride, width, out + row * outStride)
    }
  }
}

/// Adds the gradient of vectors of length 1 by what they were made of: y = x / max(‖x‖, 1e-12) for
/// each row of x [rows, features], and dx += (gradient − y (y · gradient)) / ‖x‖.
///
/// A row that is shorter than 1e-12 is divided by that, a constant. Sums are kept in double
/// precision, as those of the forward pass are.
package func unitLengthGradient(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  gradient: UnsafePointer<Float>,
  addTo dx: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: rows) { run in
    for row in run {
      let range = row * features..<(row + 1) * features
      var (squares, along) = (0.0, 0.0)
      for index in range {
        squares += Double(x[index]) * Double(x[index])
        along += Double(x[index]) * Double(gradient[index])
      }
      let length = max(squares.squareRoot(), 1e-12)
      let factor = length > 1e-12 ? along / squares : 0
      for index in range {
        dx[index] += Float((Double(gradient[index]) - Double(x[index]) * factor) / length)
      }
    }
  }
}
