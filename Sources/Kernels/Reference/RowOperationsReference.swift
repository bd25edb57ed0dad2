import Foundation

extension Reference {
  /// x / √(mean(x²) + epsilon) · weight, for each row of x [rows, features].
  package static func rmsNorm<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int,
    weight: [T],
    epsilon: T
  ) -> [T] {
    var out = x
    for row in 0..<rows {
      let range = row * features..<(row + 1) * features
      let squares = x[range].reduce(0.0) { $0 + Double($1) * Double($1) }
      let factor = 1 / (squares / Double(features) + Double(epsilon)).squareRoot()
      for i in range {
        out[i] = T(Double(x[i]) * factor * Double(weight[i - range.lowerBound]))
      }
    }
    return out
  }

  /// With r = 1 / √(mean(x²) + epsilon) and g = gradient · weight: r (g − x r² mean(g x)) for x, and
  /// Σ gradient x r over the rows for the weight.
  package static func rmsNormGradient<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int,
    weight: [T],
    epsilon: T,
    gradient: [T]
  ) -> (x: [T], weight: [T]) {
    var dx: [T] = []
    var dw = [Double](repeating: 0, count: features)
    for row in 0..<rows {
      let numbers = doubles(x, row: row, of: features)
      let upstream = doubles(gradient, row: row, of: features)
      let scaled = zip(upstream, weight).map { $0 * Double($1) }
      let mean = dot(numbers, numbers) / Double(features)
      let factor = 1 / (mean + Double(epsilon)).squareRoot()
      let along = factor * factor * dot(scaled, numbers) / Double(features)
      dx += zip(scaled, numbers).map { T(factor * ($0 - $1 * along)) }
      for i in 0..<features { dw[i] += upstream[i] * numbers[i] * factor }
    }
    return (dx, dw.map { T($0) })
  }

  /// (x − mean) / √(variance + epsilon) · weight + bias, for each row of x [rows, features].
  package static func layerNorm<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int,
    weight: [T],
    bias: [T],
    epsilon: T
  ) -> [T] {
    (0..<rows).flatMap { row in
      let (normal, _) = normalized(doubles(x, row: row, of: features), epsilon: Double(epsilon))
      return (0..<features).map { T(normal[$0] * Double(weight[$0]) + Double(bias[$0])) }
    }
  }

  /// With r = 1 / √(variance + epsilon), n = (x − mean) r and g = gradient · weight:
  /// r (g − mean(g) − n mean(g n)) for x; over the rows, Σ gradient n for the weight and Σ gradient
  /// for the bias.
  package static func layerNormGradient<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int,
    weight: [T],
    epsilon: T,
    gradient: [T]
  ) -> (x: [T], weight: [T], bias: [T]) {
    var dx: [T] = []
    var dw = [Double](repeating: 0, count: features)
    var db = dw
    for row in 0..<rows {
      let (normal, factor) = normalized(
        doubles(x, row: row, of: features),
        epsilon: Double(epsilon)
      )
      let upstream = doubles(gradient, row: row, of: features)
      let scaled = zip(upstream, weight).map { $0 * Double($1) }
      let mean = scaled.reduce(0, +) / Double(features)
      let along = dot(scaled, normal) / Double(features)
      dx += zip(scaled, normal).map { T(factor * ($0 - mean - $1 * along)) }
      for i in 0..<features {
        dw[i] += upstream[i] * normal[i]
        db[i] += upstream[i]
      }
    }
    return (dx, dw.map { T($0) }, db.map { T($0) })
  }

  /// A row of mean 0 and variance 1, and what its deviations were multiplied by.
  private static func normalized(_ row: [Double], epsilon: Double) -> ([Double], factor: Double) {
    let mean = row.reduce(0, +) / Double(row.count)
    let deviations = row.map { $0 - mean }
    let variance = dot(deviations, deviations) / Double(row.count)
    let factor = 1 / (variance + epsilon).squareRoot()
    return (deviations.map { $0 * factor }, factor)
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// Rotates pairs of x [batch, length, heads, headSize] by the angles of row `start + t` of cosines
  /// and sines [positions, pairs].
  package static func rope<T: BinaryFloatingPoint>(
    x: [T],
    shape: RotaryShape,
    cosines: [T],
    sines: [T],
    start: Int
  ) -> [T] {
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
        out[i] = T(a * cosine - b * sine)
        out[j] = T(b * cosine + a * sine)
      }
    }
    return out
  }

  /// The gradient by the rotated numbers, rotated back.
  package static func ropeGradient<T: BinaryFloatingPoint>(
    gradient: [T],
    shape: RotaryShape,
    cosines: [T],
    sines: [T],
    start: Int
  ) -> [T] {
    rope(x: gradient, shape: shape, cosines: cosines, sines: sines.map { -$0 }, start: start)
  }

  /// a + b.
  package static func add(a: [Float], b: [Float]) -> [Float] {
    zip(a, b).map { $0 + $1 }
  }

  /// The rows `ids` of table [rows, features].
  package static func embed<T: BinaryFloatingPoint>(
    ids: [Int32],
    table: [T],
    features: Int
  ) -> [T] {
    ids.flatMap { table[Int($0) * features..<(Int($0) + 1) * features] }
  }

  /// For each row of the table, Σ gradient over the ids that looked it up.
  package static func embeddingGradient<T: BinaryFloatingPoint>(
    ids: [Int32],
    gradient: [T],
    rows: Int,
    features: Int
  ) -> [T] {
    var sums = [Double](repeating: 0, count: rows * features)
    for (row, id) in ids.enumerated() {
      for i in 0..<features { sums[Int(id) * features + i] += Double(gradient[row * features + i]) }
    }
    return sums.map { T($0) }
  }

  /// A row of x [rows, features] in double precision.
  static func doubles<T: BinaryFloatingPoint>(_ x: [T], row: Int, of features: Int) -> [Double] {
    x[row * features..<(row + 1) * features].map { Double($0) }
  }
}
