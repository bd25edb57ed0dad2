import Foundation

extension Reference {
  /// x / √(mean(x²) + epsilon) · weight, for each row of x [rows, features].
  package static func rmsNorm(
    x: [Float],
    rows: Int,
    features: Int,
    weight: [Float],
    epsilon: Float
  ) -> [Float] {
    var out = x
    for row in 0..<rows {
      let range = row * features..<(row + 1) * features
      let squares = x[range].reduce(0.0) { $0 + Double($1) * Double($1) }
      let factor = 1 / (squares / Double(features) + Double(epsilon)).squareRoot()
      for i in range {
        out[i] = Float(Double(x[i]) * factor * Double(weight[i - range.lowerBound]))
      }
    }
    return out
  }

  /// (x − mean) / √(variance + epsilon) · weight + bias, for each row of x [rows, features].
  package static func layerNorm(
    x: [Float],
    rows: Int,
    features: Int,
    weight: [Float],
    bias: [Float],
    epsilon: Float
  ) -> [Float] {
    (0..<rows).flatMap { row in
      let numbers = x[row * features..<(row + 1) * features].map { Double($0) }
      let mean = numbers.reduce(0, +) / Double(features)
      let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(features)
      let factor = 1 / (variance + Double(epsilon)).squareRoot()
      return (0..<features).map { i in
        Float((numbers[i] - mean) * factor * Double(weight[i]) + Double(bias[i]))
      }
    }
  }

  /// An activation of each number.
  package static func activate(_ kind: ActivationKind, x: [Float]) -> [Float] {
    x.map { number in
      let x = Double(number)
      switch kind {
      case .gelu: return Float(x * 0.5 * erfc(-x / 2.0.squareRoot()))
      case .geluTanh:
        let u = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
        return Float(0.5 * x * (1 + tanh(u)))
      case .relu: return Float(max(x, 0))
      case .silu: return Float(x / (1 + exp(-x)))
      case .tanh: return Float(tanh(x))
      }
    }
  }

  /// Rotates pairs of x [batch, length, heads, headSize] by the angles of row `start + t` of cosines
  /// and sines [positions, pairs].
  package static func rope(
    x: [Float],
    shape: RotaryShape,
    cosines: [Float],
    sines: [Float],
    start: Int
  ) -> [Float] {
    var out = x
    let pairs = shape.rotated.count / 2
    for head in 0..<shape.batch * shape.length * shape.heads {
      let position = start + head / shape.heads % shape.length
      let first = head * shape.headSize + shape.rotated.lowerBound
      for pair in 0..<pairs {
        let (i, j) =
          switch shape.pairing {
          case .halves: (first + pair, first + pairs + pair)
          case .neighbours: (first + 2 * pair, first + 2 * pair + 1)
          }
        let (a, b) = (Double(x[i]), Double(x[j]))
        let cosine = Double(cosines[position * pairs + pair])
        let sine = Double(sines[position * pairs + pair])
        out[i] = Float(a * cosine - b * sine)
        out[j] = Float(b * cosine + a * sine)
      }
    }
    return out
  }

  /// gate / (1 + e^-gate) · up.
  package static func swiglu(gate: [Float], up: [Float]) -> [Float] {
    zip(gate, up).map { gate, up in
      Float(Double(gate) / (1 + exp(-Double(gate))) * Double(up))
    }
  }

  /// a + b.
  package static func add(a: [Float], b: [Float]) -> [Float] {
    zip(a, b).map { $0 + $1 }
  }

  /// The rows `ids` of table [rows, features].
  package static func embed(ids: [Int32], table: [Float], features: Int) -> [Float] {
    ids.flatMap { table[Int($0) * features..<(Int($0) + 1) * features] }
  }
}
