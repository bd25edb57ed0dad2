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

  /// Rotates pairs (i, i + headSize / 2) of x [batch, length, heads, headSize] by the angles of row
  /// `start + t` of cosines and sines [positions, headSize / 2].
  package static func rope(
    x: [Float],
    batch: Int,
    length: Int,
    heads: Int,
    headSize: Int,
    cosines: [Float],
    sines: [Float],
    start: Int
  ) -> [Float] {
    var out = x
    let half = headSize / 2
    for row in 0..<batch * length * heads {
      let position = start + row / heads % length
      for i in 0..<half {
        let a = Double(x[row * headSize + i])
        let b = Double(x[row * headSize + half + i])
        let cosine = Double(cosines[position * half + i])
        let sine = Double(sines[position * half + i])
        out[row * headSize + i] = Float(a * cosine - b * sine)
        out[row * headSize + half + i] = Float(b * cosine + a * sine)
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
