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
