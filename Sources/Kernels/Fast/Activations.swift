import CKernels

/// A function of one number between linear layers.
package enum ActivationKind: String, Sendable, Hashable, CaseIterable {
  /// x · Φ(x), with the normal distribution Φ (Hendrycks and Gimpel, 2016).
  case gelu
  /// GELU with a tangent in Φ's place: x / (1 + e^−2u), u = √(2/π) · (x + 0.044715 x³).
  case geluTanh = "gelu_tanh"
  /// max(x, 0).
  case relu
  /// x / (1 + e^−x).
  case silu
  /// The hyperbolic tangent.
  case tanh

  var kernel: karat_activation {
    switch self {
    case .gelu: KARAT_GELU
    case .geluTanh: KARAT_GELU_TANH
    case .relu: KARAT_RELU
    case .silu: KARAT_SILU
    case .tanh: KARAT_TANH
    }
  }
}

/// Applies an activation to elements; `out` may be `x`.
///
/// Off by less than 1e-6 of the largest result.
package func activate(
  _ kind: ActivationKind,
  x: UnsafePointer<Float>,
  count: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    kernels.activate(kind.kernel, x + run.lowerBound, run.count, out + run.lowerBound)
  }
}
