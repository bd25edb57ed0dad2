extension Reference {
  /// out [rows, outFeatures] = x [rows, inFeatures] · weight [outFeatures, inFeatures]ᵀ + bias.
  package static func linear(
    x: [Float],
    rows: Int,
    inFeatures: Int,
    weight: [Float],
    outFeatures: Int,
    bias: [Float]?
  ) -> [Float] {
    var out = [Float](repeating: 0, count: rows * outFeatures)
    for row in 0..<rows {
      for output in 0..<outFeatures {
        var sum = bias.map { Double($0[output]) } ?? 0
        for input in 0..<inFeatures {
          sum += Double(x[row * inFeatures + input]) * Double(weight[output * inFeatures + input])
        }
        out[row * outFeatures + output] = Float(sum)
      }
    }
    return out
  }

  /// out [rows, columns] = a [rows, inner] · b [inner, columns].
  package static func matmul(
    a: [Float],
    rows: Int,
    inner: Int,
    b: [Float],
    columns: Int
  ) -> [Float] {
    var out = [Float](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        var sum = 0.0
        for i in 0..<inner {
          sum += Double(a[row * inner + i]) * Double(b[i * columns + column])
        }
        out[row * columns + column] = Float(sum)
      }
    }
    return out
  }

  /// sums [features, features] + xᵀ · x, where x is [rows, features].
  package static func gram(
    x: [Float],
    rows: Int,
    features: Int,
    accumulateInto sums: [Float]
  ) -> [Float] {
    var out = sums
    for i in 0..<features {
      for j in 0..<features {
        var sum = Double(sums[i * features + j])
        for row in 0..<rows {
          sum += Double(x[row * features + i]) * Double(x[row * features + j])
        }
        out[i * features + j] = Float(sum)
      }
    }
    return out
  }
}
