import CKernels

/// Quantizes activations: out = clamp(round(x / scale) + zeroPoint, 0...255).
///
/// A true division, ties to even; NaN becomes `zeroPoint`.
package func quantize(
  x: UnsafePointer<Float>,
  count: Int,
  scale: Float,
  zeroPoint: UInt8,
  out: UnsafeMutablePointer<UInt8>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    kernels.quantize(x + run.lowerBound, run.count, scale, zeroPoint, out + run.lowerBound)
  }
}

/// Quantizes each row of activations [rows, columns] by a symmetric scale of its own:
/// out = round(x / scales[row]) + 128, where scales[row] [rows] is the row's largest magnitude over
/// 127, or 1 where that is too small to be a normal number.
///
/// A row that holds NaN or infinity gets the scale NaN, so that what is computed from it is not
/// taken for numbers.
package func quantizeTokens(
  x: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  out: UnsafeMutablePointer<UInt8>,
  scales: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      let numbers = x + row * columns
      let range = kernels.extremes(numbers, columns)
      let scale = max(0, -range.minimum, range.maximum) / 127
      let step = scale >= .leastNormalMagnitude ? scale : 1
      kernels.quantize(numbers, columns, step, 128, out + row * columns)
      scales[row] = range.finite ? step : .nan
    }
  }
}

/// Turns the codes of activations [rows, columns] back: out = (code - zeroPoint) · scales[row], or
/// · scales[0] where the rows share one.
package func dequantize(
  codes: UnsafePointer<UInt8>,
  rows: Int,
  columns: Int,
  scales: UnsafePointer<Float>,
  isPerRow: Bool,
  zeroPoint: UInt8,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      kernels.dequantize(
        codes + row * columns,
        columns,
        scales[isPerRow ? row : 0],
        zeroPoint,
        out + row * columns
      )
    }
  }
}

/// Quantizes weights row by row: out = clamp(round(weight / scales[row]), -limit...limit).
///
/// weight and out are [rows, columns], scales [rows]; ties go to even, NaN (and 0 / 0) becomes 0.
/// `limit` is a whole number up to 127.
package func quantizeRows(
  weight: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  scales: UnsafePointer<Float>,
  limit: Float,
  out: UnsafeMutablePointer<Int8>,
  on workers: Workers
) {
  precondition(limit >= 0 && limit <= 127 && limit == limit.rounded(), "codes are whole numbers")
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      kernels.quantize_row(
        weight + row * columns,
        columns,
        scales[row],
        limit,
        out + row * columns
      )
    }
  }
}

/// Turns codes [rows, columns] back: out = codes · scales[row].
package func dequantizeRows(
  codes: UnsafePointer<Int8>,
  rows: Int,
  columns: Int,
  scales: UnsafePointer<Float>,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, columns)), in: rows) { run in
    for row in run {
      kernels.dequantize_row(codes + row * columns, columns, scales[row], out + row * columns)
    }
  }
}
