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
}
