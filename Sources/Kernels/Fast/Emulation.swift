import CKernels

/// Rounds elements to numbers of a narrow format, kept as float32: out = round(x · scale) / scale.
///
/// To nearest, ties to even. Beyond the greatest number, F16 and BF16 go to infinity, the 8-bit
/// formats stay at their greatest, 448 and 57344. NaN stays NaN. `out` may be `x`.
package func roundToFormat(
  _ x: UnsafePointer<Float>,
  count: Int,
  format: CastTarget,
  scale: Float = 1,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let format = format.source.format
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    kernels.round_to_format(x + run.lowerBound, format, run.count, scale, out + run.lowerBound)
  }
}
