extension Reference {
  /// out [rows, outFeatures] = x [rows, inFeatures] · weight [outFeatures, inFeatures]ᵀ + bias.
  package static func linear<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    inFeatures: Int,
    weight: [T],
    outFeatures: Int,
    bias: [T]?
  ) -> [T] {
    let (x, weight) = (x.map { Double($0) }, weight.map { Double($0) })
    var out = [T](repeating: 0, count: rows * outFeatures)
    for row in 0..<rows {
      for output in 0..<outFeatures {
        var sum = bias.map { Double($0[output]) } ?? 0
        for input in 0..<inFeatures {
          sum += x[row * inFeatures + input] * weight[output * inFeatures + input]
        }
        out[row * outFeatures + output] = T(sum)
      }
    }
    return out
  }

  /// gradient · weight for x, gradientᵀ · x for the weight, and the sum of the gradient's rows for
  /// the bias, where the gradient is [rows, outFeatures].
  package static func linearGradient<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    inFeatures: Int,
    weight: [T],
    outFeatures: Int,
    gradient: [T]
  ) -> (x: [T], weight: [T], bias: [T]) {
    let (x, weight) = (x.map { Double($0) }, weight.map { Double($0) })
    var dx = [Double](repeating: 0, count: rows * inFeatures)
    var dw = [Double](repeating: 0, count: outFeatures * inFeatures)
    var db = [Double](repeating: 0, count: outFeatures)
    for row in 0..<rows {
      for output in 0..<outFeatures {
        let upstream = Double(gradient[row * outFeatures + output])
        for input in 0..<inFeatures {
          dx[row * inFeatures + input] += upstream * weight[output * inFeatures + input]
          dw[output * inFeatures + input] += upstream * x[row * inFeatures + input]
        }
        db[output] += upstream
      }
    }
    return (dx.map { T($0) }, dw.map { T($0) }, db.map { T($0) })
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
