import CKernels

/// Which elements the gradient of a scale counts.
package enum ScaleGradient: Sendable, Hashable, CaseIterable {
  /// All: those that are clipped by their code, the others by what rounding did to them (LSQ, Esser
  /// et al., 2020; with a zero point LSQ+, Bhalgat et al., 2020).
  case learnedStepSize
  /// Those that are clipped alone (PACT, Choi et al., 2018).
  case clipping
}

/// The gradient of what quantizing x [count] and turning the codes back gives, straight through
/// the rounding.
///
/// The result is x̂ = (code - zeroPoint) · scale with code = clamp(round(x / scale) + zeroPoint,
/// 0...255), as `quantize` has it, and `gradient` [count] is that of x̂. An element is clipped where
/// round(x / scale) + zeroPoint lies outside of 0...255. Others pass their gradient on:
///
///                  dx̂ / dx    dx̂ / dscale                        dx̂ / dzeroPoint
///     not clipped  1          round(x / scale) - x / scale, or 0   0
///     clipped      0          code - zeroPoint                     -scale
///
/// NaN has no gradient.
///
/// - Parameters:
///   - x: what is quantized.
///   - count: how many elements there are.
///   - scale: the step of the codes.
///   - zeroPoint: the code that stands for zero.
///   - counting: which elements the gradient of the scale counts.
///   - gradient: that of x̂ [count].
///   - target: what the gradient of x [count] is added to, or nil.
///   - workers: the threads.
/// - Returns: the gradients of the scale and of the zero point.
package func quantizeGradient(
  x: UnsafePointer<Float>,
  count: Int,
  scale: Float,
  zeroPoint: UInt8,
  counting: ScaleGradient = .learnedStepSize,
  gradient: UnsafePointer<Float>,
  addTo target: UnsafeMutablePointer<Float>?,
  on workers: Workers
) -> (scale: Double, zeroPoint: Double) {
  let parts = workers.results(ofRuns: elementsPerTile, in: count) { run in
    kernels.quantize_gradient(
      x + run.lowerBound,
      gradient + run.lowerBound,
      run.count,
      scale,
      -Float(zeroPoint),
      255 - Float(zeroPoint),
      counting == .clipping,
      target.map { $0 + run.lowerBound }
    )
  }
  return parts.reduce((scale: 0, zeroPoint: 0)) { sums, part in
    (sums.scale + part.scale, sums.zeroPoint + part.zero_point)
  }
}

/// The gradient of what quantizing the rows of a weight and turning the codes back gives, straight
/// through the rounding.
///
/// The result is code · scales[row] with code = clamp(round(weight / scales[row]), -limit...limit), as
/// `quantizeRows` has it; weight and `gradient` are [rows, columns], scales [rows]. Elements whose
/// rounded code lies beyond the limit give nothing to `addTo` [rows, columns] and their code to
/// `addToScales` [rows]; others pass their gradient on, and give what rounding did to them, in steps.
package func quantizeRowsGradient(
  weight: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  scales: UnsafePointer<Float>,
  limit: Float,
  counting: ScaleGradient = .learnedStepSize,
  gradient: UnsafePointer<Float>,
  addTo target: UnsafeMutablePointer<Float>?,
  addToScales scaleTarget: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  precondition(limit >= 0 && limit <= 127 && limit == limit.rounded(), "codes are whole numbers")
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      let sums = kernels.quantize_gradient(
        weight + row * columns,
        gradient + row * columns,
        columns,
        scales[row],
        -limit,
        limit,
        counting == .clipping,
        target.map { $0 + row * columns }
      )
      scaleTarget?[row] += Float(sums.scale)
    }
  }
}
