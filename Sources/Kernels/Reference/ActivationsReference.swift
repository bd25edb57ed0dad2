import Foundation

extension Reference {
  /// An activation of each number.
  package static func activate<T: BinaryFloatingPoint>(_ kind: ActivationKind, x: [T]) -> [T] {
    x.map { number in
      let x = Double(number)
      switch kind {
      case .gelu: return T(x * normalDistribution(x))
      case .geluTanh: return T(x * logistic(geluArgument(x)))
      case .relu: return T(max(x, 0))
      case .silu: return T(x * logistic(x))
      case .tanh: return T(tanh(x))
      }
    }
  }

  /// gradient · the activation's derivative, for each number.
  package static func activationGradient<T: BinaryFloatingPoint>(
    _ kind: ActivationKind,
    x: [T],
    gradient: [T]
  ) -> [T] {
    zip(x, gradient).map { number, gradient in
      let x = Double(number)
      let slope: Double
      switch kind {
      case .gelu:
        slope = normalDistribution(x) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      case .geluTanh:
        let inner = (8 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
        slope = logistic(geluArgument(x)) + x * logisticSlope(geluArgument(x)) * inner
      case .relu: slope = x > 0 ? 1 : 0
      case .silu: slope = logistic(x) + x * logisticSlope(x)
      case .tanh: slope = 1 - tanh(x) * tanh(x)
      }
      return T(Double(gradient) * slope)
    }
  }

  /// gate / (1 + e^-gate) · up.
  package static func swiglu<T: BinaryFloatingPoint>(gate: [T], up: [T]) -> [T] {
    zip(gate, up).map { T(Double($0) * logistic(Double($0)) * Double($1)) }
  }

  /// gradient · up · the derivative of gate / (1 + e^-gate) for the gate, gradient · that for up.
  package static func swigluGradient<T: BinaryFloatingPoint>(
    gate: [T],
    up: [T],
    gradient: [T]
  ) -> (gate: [T], up: [T]) {
    let upstream = zip(up, gradient).map { T(Double($0) * Double($1)) }
    let gated = activate(.silu, x: gate.map { Double($0) })
    return (
      activationGradient(.silu, x: gate, gradient: upstream),
      zip(gated, gradient).map { T($0 * Double($1)) }
    )
  }

  private static func normalDistribution(_ x: Double) -> Double {
    0.5 * erfc(-x / 2.0.squareRoot())
  }

  /// Twice what GELU takes the tangent of.
  private static func geluArgument(_ x: Double) -> Double {
    (8 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
  }

  private static func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  private static func logisticSlope(_ x: Double) -> Double { logistic(x) * logistic(-x) }
}
