import Foundation
import KaratTestSupport
import KaratVerification
import Testing

@Suite struct PairedStatistics {
  @Test func segmentsCoverEveryToken() {
    for counts in [[511, 511], [1], [63], [64], [65, 127, 128, 129], [511, 200]] {
      let segments = Segments(scoredTokens: counts)
      #expect(segments.sizes.reduce(0, +) == counts.reduce(0, +))
      #expect(segments.sizes.allSatisfy { $0 > 0 && $0 < 2 * Segments.length })
    }
    #expect(Segments(scoredTokens: [129]).sizes == [64, 65])
    #expect(Segments(scoredTokens: [127]).sizes == [127])
  }

  @Test func aSingleSegmentTellsNothingOfItsError() {
    let segments = Segments(scoredTokens: [100])
    #expect(segments.standardError(of: Array(repeating: 1, count: 100)) == nil)
    let interval = RatioInterval(
      differences: Array(repeating: 0.5, count: 100),
      segments: segments
    )
    #expect(abs(interval.ratio - exp(0.5)) < 1e-12)
    #expect(interval.bounds == nil)
    #expect(Verdict(interval, maximumDrop: 10) == .undecided)
  }

  @Test func theStandardErrorIsThatOfSegmentMeans() throws {
    // Four segments of 64 whose means are 1, 2, 3 and 6: s = √(14/3), over √4.
    let means: [Double] = [1, 2, 3, 6]
    let numbers = means.flatMap { Array(repeating: $0, count: 64) }
    let found = try #require(Segments(scoredTokens: [256]).standardError(of: numbers))
    #expect(abs(found - (14.0 / 3 / 4).squareRoot()) < 1e-12)
  }

  @Test func theIntervalAgreesWithABootstrapOverSegments() throws {
    // Differences that depend on their neighbours, as losses of a text do.
    var random = Numbers(seed: 21)
    let count = 32 * 511
    var state = 0.0
    let differences = random.normal(count).map { noise in
      state = 0.8 * state + 0.02 * Double(noise)
      return 0.004 + state
    }
    let segments = Segments(scoredTokens: Array(repeating: 511, count: 32))
    let interval = RatioInterval(differences: differences, segments: segments)
    let bounds = try #require(interval.bounds)

    var sums: [(sum: Double, size: Int)] = []
    var start = 0
    for size in segments.sizes {
      sums.append((differences[start..<start + size].reduce(0, +), size))
      start += size
    }
    let means = (0..<2000).map { _ in
      let drawn = sums.indices.map { _ in sums[Int.random(in: sums.indices, using: &random)] }
      return drawn.reduce(0) { $0 + $1.sum } / Double(drawn.reduce(0) { $0 + $1.size })
    }.sorted()
    let width = log(bounds.upperBound) - log(bounds.lowerBound)
    #expect(abs(means[49] - log(bounds.lowerBound)) < 0.1 * width)
    #expect(abs(means[1949] - log(bounds.upperBound)) < 0.1 * width)
    // Taking tokens for independent would give an interval a third as wide.
    let mean = differences.reduce(0, +) / Double(count)
    let naive = (differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count * count))
      .squareRoot()
    #expect(width > 2 * 2 * 1.96 * naive)
  }

  @Test func studentsQuantiles() {
    // Abramowitz and Stegun, table 26.10.
    for (freedom, quantile) in [
      (1, 12.706), (2, 4.303), (5, 2.571), (8, 2.306), (9, 2.262), (10, 2.228), (12, 2.179),
      (20, 2.086), (30, 2.042), (60, 2.000), (120, 1.980), (100_000, 1.960),
    ] {
      #expect(abs(studentQuantile975(freedom: freedom) - quantile) < 6e-4, "\(freedom)")
    }
  }

  @Test func theVerdictComesFromTheWholeInterval() {
    /// An interval about a mean, from two segments' means apart by a spread.
    func verdict(_ mean: Double, _ spread: Double, _ drop: Double) -> Verdict {
      let numbers = (0..<40).flatMap { index in
        Array(repeating: mean + (index % 2 == 0 ? spread : -spread), count: 64)
      }
      let segments = Segments(scoredTokens: [40 * 64])
      return Verdict(
        RatioInterval(differences: numbers, segments: segments),
        maximumDrop: drop
      )
    }
    #expect(verdict(0.004, 0.001, 0.008) == .pass)
    #expect(verdict(0.012, 0.001, 0.008) == .fail)
    #expect(verdict(0.0078, 0.01, 0.008) == .undecided)
    #expect(verdict(0.0082, 0.01, 0.008) == .undecided)
    #expect(verdict(-0.05, 0.01, 0) == .pass)
    #expect(verdict(0, 0, 0) == .pass)
  }

  @Test func quantilesAreInterpolated() {
    let segments = Segments(scoredTokens: [101])
    let found = Distribution((0...100).map(Double.init).reversed(), segments: segments)
    #expect(found.mean == 50)
    #expect(found.maximum == 100)
    #expect(found.quantile(0) == 0)
    #expect(found.quantile(0.5) == 50)
    #expect(abs(found.quantile(0.999) - 99.9) < 1e-9)
    #expect(found.quantile(1) == 100)
    #expect(Distribution([], segments: segments).quantile(0.5) == 0)
  }
}
