package import KaratKernels

/// In which numbers the factors of matrix products are held while a model is trained; sums and
/// everything else are float32 (Micikevicius et al., 2018; of FP8: Micikevicius et al., 2022).
///
/// BF16 is the processor's own where that has the instruction (AVX512-BF16). All other arithmetic is
/// emulated: factors are rounded, then multiplied in float32. So what it does to a model can be studied
/// on any processor; that saves no time.
package struct Rounding: Sendable, Hashable {
  /// The format of activations and weights.
  package let factors: CastTarget
  /// The format of gradients.
  package let gradients: CastTarget
  /// The greatest numbers of both formats where each tensor is scaled to them, or nil where none is.
  package let limits: (factors: Float, gradients: Float)?

  /// BF16 throughout.
  package static let bfloat16 = Rounding(.bfloat16, .bfloat16)
  /// F16 throughout.
  package static let float16 = Rounding(.float16, .float16)
  /// E4M3 forward, E5M2 for gradients, with one scale for each tensor.
  package static let float8 = Rounding(.float8E4M3, .float8E5M2, limits: (448, 57_344))

  private init(
    _ factors: CastTarget,
    _ gradients: CastTarget,
    limits: (factors: Float, gradients: Float)? = nil
  ) {
    self.factors = factors
    self.gradients = gradients
    self.limits = limits
  }

  package static func == (left: Rounding, right: Rounding) -> Bool { left.factors == right.factors }
  package func hash(into hasher: inout Hasher) { hasher.combine(factors) }

  /// Lends an operand as a factor, rounded.
  func withFactor(_ x: Operand, on workers: Workers, _ body: (UnsafePointer<Float>) -> Void) {
    round(x, to: factors, limit: limits?.factors, on: workers, body)
  }

  /// Lends a gradient, rounded.
  func withGradient(_ x: Operand, on workers: Workers, _ body: (UnsafePointer<Float>) -> Void) {
    round(x, to: gradients, limit: limits?.gradients, on: workers, body)
  }

  private func round(
    _ x: Operand,
    to format: CastTarget,
    limit: Float?,
    on workers: Workers,
    _ body: (UnsafePointer<Float>) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: max(x.count, 1)) { rounded in
      guard let out = rounded.baseAddress else { return }
      var scale: Float = 1
      if let limit {
        let extremes = minMax(x.floats, count: x.count)
        let largest = max(-extremes.min, extremes.max)
        scale =
          largest >= .leastNormalMagnitude ? min(limit / largest, .greatestFiniteMagnitude) : 1
      }
      roundToFormat(x.floats, count: x.count, format: format, scale: scale, out: out, on: workers)
      body(out)
    }
  }
}

extension Rounding? {
  /// Whose products are taken: the processor's own where it multiplies in these numbers itself.
  var arithmetic: ProductArithmetic {
    self == .bfloat16 && hasBFloat16Products ? .bfloat16 : .float32
  }

  /// Lends an operand as a factor, rounded where products are and the processor does not round it.
  func withFactor(_ x: Operand, on workers: Workers, _ body: (UnsafePointer<Float>) -> Void) {
    guard arithmetic == .float32, let self else { return body(x.floats) }
    self.withFactor(x, on: workers, body)
  }

  /// Lends a gradient, rounded where products are and the processor does not round it.
  func withGradient(_ x: Operand, on workers: Workers, _ body: (UnsafePointer<Float>) -> Void) {
    guard arithmetic == .float32, let self else { return body(x.floats) }
    self.withGradient(x, on: workers, body)
  }
}
