import CKernels

/// Normalizes rows by their root mean square: out = x / √(mean(x²) + epsilon) · weight.
///
/// x and out are [rows, features], weight is [features]. `out` may be `x`.
package func rmsNorm(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  weight: UnsafePointer<Float>,
  epsilon: Float,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: rows) { run in
    let first = run.lowerBound * features
    kernels.rms_norm(x + first, run.count, features, weight, epsilon, out + first)
  }
}

/// Normalizes rows to mean 0 and variance 1: out = (x − mean) / √(variance + epsilon) · weight + bias.
///
/// x and out are [rows, features], weight and bias are [features]. `out` may be `x`.
package func layerNorm(
  x: UnsafePointer<Float>,
  rows: Int,
  features: Int,
  weight: UnsafePointer<Float>,
  bias: UnsafePointer<Float>,
  epsilon: Float,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: rows) { run in
    let first = run.lowerBound * features
    kernels.layer_norm(x + first, run.count, features, weight, bias, epsilon, out + first)
  }
}

/// Gates elements: out = gate / (1 + e^-gate) · up.
///
/// `out` may be either input.
package func swiglu(
  gate: UnsafePointer<Float>,
  up: UnsafePointer<Float>,
  count: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    kernels.swiglu(gate + first, up + first, run.count, out + first)
  }
}

/// Adds elements: out = a + b.
///
/// `out` may be either input.
package func add(
  a: UnsafePointer<Float>,
  b: UnsafePointer<Float>,
  count: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    let first = run.lowerBound
    kernels.add(a + first, b + first, run.count, out + first)
  }
}

/// Looks rows up: out [count, features] = table[ids]; every id must be a row of the table.
package func embed(
  ids: UnsafePointer<Int32>,
  count: Int,
  table: UnsafePointer<Float>,
  features: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: count) { run in
    for row in run {
      (out + row * features).update(from: table + Int(ids[row]) * features, count: features)
    }
  }
}
