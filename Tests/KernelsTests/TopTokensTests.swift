import Foundation
import KaratKernels
import KaratTensors
import Testing

extension Kernels {
  @Test(arguments: [(1, 1), (2, 1), (7, 3), (64, 64), (1000, 17), (4099, 64)])
  func theMostLikelyTokensAreThoseOfASort(_ columns: Int, _ k: Int) {
    var numbers = Numbers(seed: UInt64(columns))
    let rows = 5
    // Coarse, so that many are equal.
    let x = numbers.floats(rows * columns, size: 8).map { ($0 * 4).rounded() / 4 }
    let found = topTokens(x, rows: rows, columns: columns, k: k, on: Workers(threads: 2))
    #expect(found == topTokens(x, rows: rows, columns: columns, k: k, on: Workers(threads: 1)))
    for row in 0..<rows {
      let own = x[row * columns..<(row + 1) * columns].map(Double.init)
      let best = own.indices.sorted { (-own[$0], $0) < (-own[$1], $1) }
      let total = log(own.reduce(0) { $0 + exp($1) })
      #expect(Array(found.indices[row * k..<(row + 1) * k]) == best.prefix(k).map(Int32.init))
      for place in 0..<k {
        #expect(
          abs(Double(found.logProbabilities[row * k + place]) - own[best[place]] + total) < 1e-5
        )
      }
      let rest = best.dropFirst(k).reduce(0.0) { $0 + exp(own[$1] - total) }
      #expect(abs(Double(found.rest[row]) - rest) <= 1e-5 * rest)
    }
  }

  @Test func whatIsLeftIsExactWhereItIsSmall() {
    // 1 - p would be 0 here.
    let x: [Float] = [40, 0, 0, 1]
    let found = topTokens(x, rows: 1, columns: 4, k: 1, on: Workers(threads: 1))
    let expected = (2 + exp(1.0)) / (exp(40) + 2 + exp(1.0))
    #expect(found.logProbabilities == [0])
    #expect(abs(Double(found.rest[0]) / expected - 1) < 1e-5)
  }
}
