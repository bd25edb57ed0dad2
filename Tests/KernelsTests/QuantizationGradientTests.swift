import KaratKernels
import Testing

extension Kernels {
  /// x beyond both ends of the codes, and far beyond.
  private func numbersToQuantize(_ count: Int) -> (x: [Float], gradient: [Float]) {
    var numbers = Numbers(seed: UInt64(count))
    var x = numbers.floats(count, size: 3)
    for place in stride(from: 2, to: count, by: 5) { x[place] *= 1e6 }
    for (place, unusual) in zip(
      stride(from: 6, to: count, by: 7),
      [.nan, .infinity, -Float.infinity]
    ) {
      x[place] = unusual
    }
    return (x, numbers.floats(count))
  }

  @Test(arguments: [0, 1, 7, 33, 70_001], ScaleGradient.allCases)
  func gradientsPassQuantizersStraightThrough(count: Int, counting: ScaleGradient) {
    let (x, gradient) = numbersToQuantize(count)
    let before = gradient.map { 1 - $0 }
    let (scale, zeroPoint): (Float, UInt8) = (0.013, 100)
    let expected = Reference.quantizeGradient(
      x: x,
      scale: scale,
      low: -100,
      high: 155,
      counting: counting,
      gradient: gradient
    )
    sweep { workers -> [Double] in
      var range = (scale: 0.0, zeroPoint: 0.0)
      let sums = added(to: before) { out in
        range = quantizeGradient(
          x: x,
          count: count,
          scale: scale,
          zeroPoint: zeroPoint,
          counting: counting,
          gradient: gradient,
          addTo: out,
          on: workers
        )
      }
      return sums.map(Double.init) + [range.scale, range.zeroPoint]
    } check: { level, found in
      #expect(found[..<count].map { Float($0) } == sum(before, expected.x), "\(level)")
      // 0.001 of a step off is what rounding x / scale to float32 leaves of it.
      #expect(abs(found[count] - expected.scale) <= 1e-6 * Double(count * 155), "\(level)")
      #expect(abs(found[count + 1] - expected.zeroPoint) <= 1e-9 * Double(count), "\(level)")
    }
  }

  /// With what rounding adds held fixed, x̂ is a function of the scale that can be differentiated.
  @Test func scalesLearnWhatRoundingDoes() {
    var numbers = Numbers(seed: 3)
    let x = numbers.doubles(60, size: 3)
    let gradient = numbers.doubles(60)
    let scale = 0.11
    let found = Reference.quantizeGradient(
      x: x,
      scale: scale,
      low: -9,
      high: 6,
      counting: .learnedStepSize,
      gradient: gradient
    )
    checkGradient(of: [scale, 0], [found.scale, found.zeroPoint]) { range in
      zip(x, gradient).reduce(0) { sum, pair in
        let steps = pair.0 / scale
        let code = steps.rounded(.toNearestOrEven)
        let clipped = min(6, max(-9, code))
        let result =
          code == clipped
          ? (pair.0 / range[0] + code - steps) * range[0] : (clipped - range[1]) * range[0]
        return sum + pair.1 * result
      }
    }
  }

  @Test(arguments: [(1, 1, 7), (3, 33, 127), (64, 5, 7)] as [(Int, Int, Float)])
  func gradientsPassRowsStraightThrough(rows: Int, columns: Int, limit: Float) {
    let (weight, gradient) = numbersToQuantize(rows * columns)
    let before = gradient.map { 1 - $0 }
    let scales = (0..<rows).map { 2 / limit / Float(1 + $0 % 3) }
    let parts = (0..<rows).map { row in
      Reference.quantizeGradient(
        x: Array(weight[row * columns..<(row + 1) * columns]),
        scale: scales[row],
        low: -limit,
        high: limit,
        counting: .learnedStepSize,
        gradient: Array(gradient[row * columns..<(row + 1) * columns])
      )
    }
    sweep { workers in
      var sums: [Float] = []
      let scaleSums = added(to: scales) { scaleSums in
        sums = added(to: before) { out in
          quantizeRowsGradient(
            weight: weight,
            rows: rows,
            columns: columns,
            scales: scales,
            limit: limit,
            gradient: gradient,
            addTo: out,
            addToScales: scaleSums,
            on: workers
          )
        }
      }
      return sums + scaleSums
    } check: { level, found in
      #expect(Array(found[..<weight.count]) == sum(before, parts.flatMap(\.x)), "\(level)")
      expectClose(
        Array(found[weight.count...]),
        sum(scales, parts.map { Float($0.scale) }),
        tolerance: 1e-5,
        "\(level)"
      )
    }
  }

  /// Per tensor with zero point 113, straight through and learned, and per channel.
  @Test func quantizersLearnAsPyTorchHasThem() throws {
    let vectors = try ArithmeticVectors("fake-quant")
    func floats(_ name: String) throws -> [Float] { try vectors(name, as: Float.self) }
    let x = try floats("x")
    let scale = try floats("scale")[0]
    let zeroPoint = UInt8(try floats("zero_point")[0])
    let gradient = try floats("upstream")
    let codes = Reference.quantize(x: x, scale: scale, zeroPoint: zeroPoint)
    #expect(codes.map { Float(Int($0) - Int(zeroPoint)) * scale } == (try floats("tensor.out")))
    var range = (scale: 0.0, zeroPoint: 0.0)
    let found = added(to: x.map { _ in 0 }) { out in
      range = quantizeGradient(
        x: x,
        count: x.count,
        scale: scale,
        zeroPoint: zeroPoint,
        gradient: gradient,
        addTo: out,
        on: Workers(threads: 2)
      )
    }
    #expect(found == (try floats("tensor.grad_x")))
    #expect(found == (try floats("learned.grad_x")))
    let (learnedScale, learnedZero) = (
      Double(try floats("learned.grad_scale")[0]), Double(try floats("learned.grad_zero_point")[0])
    )
    #expect(abs(range.scale - learnedScale) <= 1e-5 * abs(learnedScale), "\(range)")
    #expect(abs(range.zeroPoint - learnedZero) <= 1e-5 * abs(learnedZero), "\(range)")

    let weight = try floats("w")
    let byRow = added(to: weight.map { _ in 0 }) { out in
      if let scales = try? floats("channel.scale"), let gradient = try? floats("channel.upstream") {
        quantizeRowsGradient(
          weight: weight,
          rows: 16,
          columns: 48,
          scales: scales,
          limit: 127,
          gradient: gradient,
          addTo: out,
          addToScales: nil,
          on: Workers(threads: 2)
        )
      }
    }
    #expect(byRow == (try floats("channel.grad_w")))
    #expect(byRow.contains(0), "some weights are clipped")
  }
}
