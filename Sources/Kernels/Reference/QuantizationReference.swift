extension Reference {
  /// clamp(round(x / scale) + zeroPoint, 0...255), ties to even; NaN becomes zeroPoint.
  package static func quantize(x: [Float], scale: Float, zeroPoint: UInt8) -> [UInt8] {
    x.map { x in
      let steps = (x / scale).rounded(.toNearestOrEven)
      guard !steps.isNaN else { return zeroPoint }
      return UInt8(min(255, max(0, steps + Float(zeroPoint))))
    }
  }

  /// round(x / scale) + 128 for each row of x [rows, columns], ties to even, where the scale is the
  /// row's largest magnitude over 127; 1 for a row of zeros, NaN for one that is not finite.
  package static func quantizeTokens(
    x: [Float],
    columns: Int
  ) -> (codes: [UInt8], scales: [Float]) {
    var (codes, scales): ([UInt8], [Float]) = ([], [])
    for start in stride(from: 0, to: x.count, by: max(1, columns)) {
      let row = Array(x[start..<start + columns])
      let scale = row.reduce(0) { $1.isNaN ? $0 : max($0, abs($1)) } / 127
      let step = scale >= .leastNormalMagnitude ? scale : 1
      codes += quantize(x: row, scale: step, zeroPoint: 128)
      scales.append(row.allSatisfy(\.isFinite) ? step : .nan)
    }
    return (codes, scales)
  }

  /// clamp(round(weight / scales[row]), -limit...limit) of weight [rows, columns], ties to even;
  /// NaN becomes 0.
  package static func quantizeRows(
    weight: [Float],
    columns: Int,
    scales: [Float],
    limit: Float
  ) -> [Int8] {
    weight.indices.map { index in
      let steps = (weight[index] / scales[index / columns]).rounded(.toNearestOrEven)
      return steps.isNaN ? 0 : Int8(min(limit, max(-limit, steps)))
    }
  }

  /// scales[row] · (code - zeroPoint) of codes [rows, columns], with one scale for all rows or one for
  /// each.
  package static func dequantize(
    codes: [UInt8],
    columns: Int,
    scales: [Float],
    zeroPoint: UInt8
  ) -> [Float] {
    codes.indices.map { index in
      let scale = scales[scales.count == 1 ? 0 : index / columns]
      return scale * Float(Int32(codes[index]) - Int32(zeroPoint))
    }
  }

  /// codes [rows, columns] · scales[row].
  package static func dequantizeRows(codes: [Int8], columns: Int, scales: [Float]) -> [Float] {
    codes.indices.map { Float(codes[$0]) * scales[$0 / columns] }
  }

  /// The gradients of clamp(round(x / scale), low...high) · scale by x and by the scale, and of the
  /// former shifted by a zero point by that, given the result's, straight through the rounding.
  package static func quantizeGradient<Number: BinaryFloatingPoint>(
    x: [Number],
    scale: Number,
    low: Number,
    high: Number,
    counting: ScaleGradient,
    gradient: [Number]
  ) -> (x: [Number], scale: Double, zeroPoint: Double) {
    var (toX, toScale, toZeroPoint): ([Number], Double, Double) = ([], 0, 0)
    for (x, gradient) in zip(x, gradient) {
      let steps = x / scale
      let code = steps.rounded(.toNearestOrEven)
      if code >= low, code <= high {
        toX.append(gradient)
        if counting == .learnedStepSize { toScale += Double(gradient) * Double(code - steps) }
      } else {
        toX.append(0)
        guard !code.isNaN else { continue }
        toScale += Double(gradient) * Double(min(high, max(low, code)))
        toZeroPoint -= Double(gradient) * Double(scale)
      }
    }
    return (toX, toScale, toZeroPoint)
  }

  /// Σ x · code over inFeatures, for x [rows, inFeatures] and codes [outFeatures, inFeatures].
  package static func integerAccumulate(
    x: [UInt8],
    rows: Int,
    codes: [Int8],
    outFeatures: Int,
    inFeatures: Int
  ) -> [Int32] {
    var out = [Int32](repeating: 0, count: rows * outFeatures)
    for row in 0..<rows {
      for output in 0..<outFeatures {
        var sum: Int32 = 0
        for i in 0..<inFeatures {
          sum += Int32(x[row * inFeatures + i]) * Int32(codes[output * inFeatures + i])
        }
        out[row * outFeatures + output] = sum
      }
    }
    return out
  }

  /// Float(Σ (x - zeroPoint) · code) · (scale · weightScales[out]) + bias[out], with one scale for
  /// all rows or one for each.
  package static func integerLinear(
    x: [UInt8],
    rows: Int,
    codes: [Int8],
    outFeatures: Int,
    inFeatures: Int,
    scales: [Float],
    zeroPoint: UInt8,
    weightScales: [Float],
    bias: [Float]?
  ) -> [Float] {
    let sums = integerAccumulate(
      x: x,
      rows: rows,
      codes: codes,
      outFeatures: outFeatures,
      inFeatures: inFeatures
    )
    return sums.indices.map { index in
      let output = index % outFeatures
      let row = codes[output * inFeatures..<(output + 1) * inFeatures]
      let rowSum = row.reduce(Int32(0)) { $0 + Int32($1) }
      let scale = scales[scales.count == 1 ? 0 : index / outFeatures] * weightScales[output]
      let scaled = Float(sums[index] - Int32(zeroPoint) * rowSum) * scale
      return bias.map { scaled + $0[output] } ?? scaled
    }
  }
}
