import Foundation
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// The statistics of windows of numbers.
func statistics(_ windows: [[Float]]) -> ActivationStatistics {
  var statistics = ActivationStatistics()
  for window in windows {
    window.withUnsafeBufferPointer { numbers in
      guard let first = numbers.baseAddress else { return }
      let isTaken = statistics.observe(first, count: numbers.count)
      #expect(isTaken)
    }
  }
  return statistics
}

/// The mean squared error of rounding numbers by a range.
func squaredError(_ numbers: [Float], _ range: QuantizationRange) -> Double {
  let (scale, zero) = (Double(range.scale), Double(range.zeroPoint))
  return numbers.reduce(0) { sum, number in
    let code = min(max((Double(number) / scale + zero).rounded(.toNearestOrEven), -128), 127)
    let error = (code - zero) * scale - Double(number)
    return sum + error * error
  } / Double(numbers.count)
}

@Suite struct Observers {
  @Test func minmaxSpansAllNumbers() {
    let found = statistics([[-1, 0.5], [3, 2], [0]]).range(.minmax)
    #expect(found == QuantizationRange(spanning: -1, 3))
    // Zero is in every range.
    #expect(statistics([[5, 7]]).range(.minmax) == QuantizationRange(spanning: 0, 7))
    #expect(statistics([[-5, -7]]).range(.minmax) == QuantizationRange(spanning: -7, 0))
  }

  @Test func movingAverageMovesByAHundredth() {
    let windows: [[Float]] = [[-1, 10], [-2, 110], [-3, 10]]
    let lower: Float = -1 + 0.01 * (-2 - -1)
    let upper: Float = 10 + 0.01 * (110 - 10)
    let expected = QuantizationRange(
      spanning: lower + 0.01 * (-3 - lower),
      upper + 0.01 * (10 - upper)
    )
    #expect(statistics(windows).range(.movingAverage) == expected)
  }

  @Test func percentileLeavesOneInTenThousandOutside() {
    // 0, 1, … 999,999 in ten windows: 50 numbers lie above 999,949.5, none below zero counts.
    let windows = (0..<10).map { window in (0..<100_000).map { Float($0 * 10 + window) } }
    let range = statistics(windows).range(.percentile)
    #expect(abs(range.upper - 999_950) < 300)  // half a bin of 2²⁰ / 4096
    #expect(range.zeroPoint == -128)
    let outliers = [[Float]](repeating: Numbers(seed: 1).seeded(20_000), count: 10) + [[1e6]]
    #expect(statistics(outliers).range(.percentile).upper < 1000)
  }

  @Test(arguments: [Observer.entropy, .percentile])
  func outliersAreCutOff(_ observer: Observer) {
    var random = Numbers(seed: 2)
    var numbers = random.normal(200_000)
    for index in 0..<10 { numbers[index] = 100 + Float(index) }
    let found = statistics([numbers])
    let range = found.range(observer)
    #expect(range.upper < 20)
    #expect(range.upper > 2 && range.lower < -2)
  }

  @Test(arguments: [false, true])
  func leastSquaredErrorIsThatOfAnExhaustiveSearch(_ isOneSided: Bool) {
    var random = Numbers(seed: 3)
    var numbers = random.normal(10_000)
    for index in 0..<3 { numbers[index] = isOneSided ? 30 : numbers[index] * 8 }
    let found = statistics([numbers])
    let error = squaredError(numbers, found.range(.mse))
    let (lower, upper) = (numbers.min() ?? 0, numbers.max() ?? 0)
    let fractions = (0...40).map { powf(0.95, Float($0)) }
    let least = fractions.flatMap { left in
      fractions.map { right in
        squaredError(numbers, QuantizationRange(spanning: lower * left, upper * right))
      }
    }.min()
    #expect(error < 1.03 * (least ?? 0))
    #expect(error < squaredError(numbers, found.range(.minmax)))
  }

  @Test func aOneSidedDistributionUsesAllCodes() {
    var random = Numbers(seed: 4)
    let numbers = random.floats(50_000).map { abs($0) }
    for observer in Observer.allCases {
      let range = statistics([numbers]).range(observer)
      #expect(range.zeroPoint == -128, "\(observer.rawValue)")
      #expect(range.upper > 0.9 && range.upper < 1.01, "\(observer.rawValue)")
    }
  }

  @Test(arguments: Observer.allCases)
  func aConstantActivationHasARange(_ observer: Observer) {
    let zeros = statistics([[0, 0, 0], [0]]).range(observer)
    #expect(zeros == QuantizationRange(scale: 1, zeroPoint: 0))
    for constant in [3, -0.004, 1e-30, -2e30] as [Float] {
      let range = statistics([Array(repeating: constant, count: 1000)]).range(observer)
      #expect(range.scale.isFinite && range.scale > 0)
      #expect(
        squaredError([constant], range).squareRoot() <= Double(abs(constant)) / 200,
        "\(constant)"
      )
    }
    #expect(statistics([]).range(observer) == QuantizationRange(scale: 1, zeroPoint: 0))
  }

  @Test func whatIsNotFiniteIsNotTakenIn() {
    var found = statistics([[1, 2]])
    for broken in [Float.nan, .infinity, -.infinity] {
      let numbers: [Float] = [0, 50, broken, 1]
      let isTaken = numbers.withUnsafeBufferPointer { numbers in
        numbers.baseAddress.map { found.observe($0, count: numbers.count) }
      }
      #expect(isTaken == false)
    }
    #expect(found.range(.minmax) == QuantizationRange(spanning: 0, 2))
  }
}

extension Numbers {
  /// Numbers of a normal distribution, without a variable for the generator.
  fileprivate func seeded(_ count: Int) -> [Float] {
    var random = self
    return random.normal(count)
  }
}

@Suite struct Histograms {
  private func histogram(_ runs: [[Float]]) -> AdaptiveHistogram {
    var histogram = AdaptiveHistogram()
    for run in runs {
      guard let least = run.min(), let most = run.max() else { continue }
      histogram.widen(toHold: least, most)
      run.withUnsafeBufferPointer { numbers in
        if let first = numbers.baseAddress { histogram.add(first, count: numbers.count) }
      }
    }
    return histogram
  }

  @Test func zerosOnly() {
    let zeros = histogram([[0, 0], [0]])
    #expect(zeros.width == 0)
    #expect(zeros.total == 3)
    let later = histogram([[0, 0], [0], [1]])
    #expect(later.total == 4)
    #expect(later.counts[AdaptiveHistogram.half] == 3)
  }

  @Test func wideningKeepsCountsInTheRightBins() {
    var random = Numbers(seed: 5)
    let runs = (0..<12).map { power in random.floats(1000, size: exp2f(Float(power * 3 - 18))) }
    for order in [runs, runs.reversed(), runs.shuffled(using: &random)] {
      let found = histogram(order)
      #expect(found.total == 12_000)
      // Bin by bin what all numbers give at the last width.
      var expected = Array(repeating: UInt64(0), count: found.counts.count)
      for number in runs.joined() {
        expected[Int((number / found.width).rounded(.down)) + AdaptiveHistogram.half] += 1
      }
      #expect(found.counts == expected)
      #expect(found.width == found.width.binade)
    }
  }

  @Test(arguments: [
    Float.leastNonzeroMagnitude, .leastNormalMagnitude, 1e-20, 1, 4096, 1e30,
    .greatestFiniteMagnitude,
  ])
  func anyMagnitudeHasABin(_ magnitude: Float) {
    let found = histogram([[magnitude, -magnitude, 0], [magnitude / 2]])
    #expect(found.total == 4)
    #expect(found.width > 0 && found.width.isFinite)
    let bins = found.counts.indices.filter { found.counts[$0] > 0 }
    #expect(bins.contains(AdaptiveHistogram.half))
    for bin in bins {
      #expect(abs(found.middle(bin)) <= Double(magnitude) + Double(found.width))
    }
    let range = statistics([[magnitude, -magnitude, 0]]).range(.mse)
    #expect(range.scale.isFinite && range.scale > 0)
  }
}

@Suite struct Ranges {
  @Test func zeroIsAlwaysExact() {
    var random = Numbers(seed: 6)
    for _ in 0..<2000 {
      let size = exp2f(Float.random(in: -100..<100, using: &random))
      let ends = random.floats(2, size: size).sorted()
      let range = QuantizationRange(spanning: ends[0], ends[1])
      #expect(range.lower <= 0 && range.upper >= 0)
      #expect(range.scale > 0 && range.scale.isFinite)
      // The ends are within half a step of codes.
      #expect(range.lower <= min(ends[0], 0) + range.scale * 0.51)
      #expect(range.upper >= max(ends[1], 0) - range.scale * 0.51)
      #expect(Int(range.unsignedZeroPoint) == Int(range.zeroPoint) + 128)
      let symmetric = range.symmetric
      #expect(symmetric.zeroPoint == 0)
      #expect(symmetric.lower <= range.lower * 0.9999 && symmetric.upper >= range.upper * 0.9999)
    }
  }

  @Test func theWholeOfFloatHasARange() {
    let largest = Float.greatestFiniteMagnitude
    let range = QuantizationRange(spanning: -largest, largest)
    #expect(range.scale.isFinite)
    #expect(range.scale == Float(2 * Double(largest) / 255))
    #expect(
      QuantizationRange(spanning: 0, Float.leastNonzeroMagnitude)
        == QuantizationRange(scale: 1, zeroPoint: 0)
    )
    #expect(QuantizationRange(spanning: 0, 0) == QuantizationRange(scale: 1, zeroPoint: 0))
  }
}
