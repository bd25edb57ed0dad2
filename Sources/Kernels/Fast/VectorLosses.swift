import CKernels

/// The mean of (x - target)² over `count` elements, at least 1.
///
/// Adds factor · 2 / count · (x - target) to `addTo` [count].
package func meanSquaredError(
  x: UnsafePointer<Float>,
  target: UnsafePointer<Float>,
  count: Int,
  factor: Float,
  addTo sums: UnsafeMutablePointer<Float>?,
  on workers: Workers
) -> Double {
  precondition(count > 0, "no elements to compare")
  let slope = Float(2 * Double(factor) / Double(count))
  let parts = workers.results(ofRuns: elementsPerTile, in: count) { run in
    kernels.squared_error_gradient(
      x + run.lowerBound,
      target + run.lowerBound,
      run.count,
      slope,
      sums.map { $0 + run.lowerBound }
    )
  }
  return parts.reduce(0, +) / Double(count)
}

/// |x - target|² / |target|² of each row of x and target [rows, features], into `losses` [rows].
///
/// Adds factor · the gradient by x to `addTo` [rows, features]: 2 (x - target) / |target|². A row whose
/// target is zero is not compared.
package func relativeSquaredError(
  x: UnsafePointer<Float>,
  target: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  factor: Float,
  losses: UnsafeMutablePointer<Double>,
  addTo sums: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: rows) { run in
    for row in run {
      let first = row * features
      let squares = kernels.dot_product(target + first, target + first, features)
      guard squares > 0 else {
        losses[row] = 0
        continue
      }
      losses[row] =
        kernels.squared_error_gradient(
          x + first,
          target + first,
          features,
          Float(2 * Double(factor) / squares),
          sums.map { $0 + first }
        ) / squares
    }
  }
}

/// 1 - the cosine of the angle between each row of x and of target [rows, features], into
/// `losses` [rows].
///
/// Adds factor · the gradient by x to `addTo` [rows, features]: (cosine · x / |x| - target / |target|) /
/// |x|. A row of zeros, in x or the target, has a cosine of 0 with anything and no gradient.
package func cosineLoss(
  x: UnsafePointer<Float>,
  target: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  factor: Float,
  losses: UnsafeMutablePointer<Double>,
  addTo sums: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: rows) { run in
    for row in run {
      let first = row * features
      let length = kernels.dot_product(x + first, x + first, features).squareRoot()
      let other = kernels.dot_product(target + first, target + first, features).squareRoot()
      guard length > 0, other > 0 else {
        losses[row] = 1
        continue
      }
      let cosine = kernels.dot_product(x + first, target + first, features) / (length * other)
      losses[row] = 1 - cosine
      guard let sums else { continue }
      kernels.add_multiples(
        x + first,
        Float(Double(factor) * cosine / (length * length)),
        target + first,
        Float(-Double(factor) / (length * other)),
        features,
        sums + first
      )
    }
  }
}
