import Foundation
package import KaratTensors

/// Finds the `k` greatest logits of each row of x [rows, columns] as logarithms of probabilities.
///
/// A heap of the greatest so far is kept, so that a row costs little more than reading it. What is
/// left is summed over the others themselves, and so exact where it is small.
///
/// - Precondition: `k` is from 1 to `columns`, and the logits are finite.
package func topTokens(
  _ x: UnsafePointer<Float>,
  rows: Int,
  columns: Int,
  k: Int,
  on workers: Workers
) -> TopTokens {
  precondition((1...columns).contains(k), "the greatest are some of all")
  var table = TopTokens(
    k: k,
    indices: Array(repeating: 0, count: rows * k),
    logProbabilities: Array(repeating: 0, count: rows * k),
    rest: Array(repeating: 0, count: rows)
  )
  table.indices.withUnsafeMutableBufferPointer { indices in
    table.logProbabilities.withUnsafeMutableBufferPointer { logs in
      table.rest.withUnsafeMutableBufferPointer { rest in
        guard let indices = indices.baseAddress, let logs = logs.baseAddress,
          let rest = rest.baseAddress
        else { return }
        workers.forEachTile(rows) { row in
          rest[row] = topTokens(
            x + row * columns,
            columns,
            k,
            indices: indices + row * k,
            logs: logs + row * k
          )
        }
      }
    }
  }
  return table
}

/// One row; gives the probability of all other tokens.
private func topTokens(
  _ x: UnsafePointer<Float>,
  _ count: Int,
  _ k: Int,
  indices: UnsafeMutablePointer<Int32>,
  logs: UnsafeMutablePointer<Float>
) -> Float {
  /// Whether a token stands below another: less likely, or equal and behind it.
  func isBelow(_ left: Int32, _ right: Int32) -> Bool {
    let (a, b) = (x[Int(left)], x[Int(right)])
    return a < b || (a == b && left > right)
  }
  /// Restores the heap whose root, the lowest, may be too high.
  func sink(_ root: Int, _ size: Int) {
    var place = root
    while 2 * place + 1 < size {
      var child = 2 * place + 1
      if child + 1 < size, isBelow(indices[child + 1], indices[child]) { child += 1 }
      guard isBelow(indices[child], indices[place]) else { return }
      let moved = indices[place]
      indices[place] = indices[child]
      indices[child] = moved
      place = child
    }
  }
  for place in 0..<k { indices[place] = Int32(place) }
  for root in stride(from: k / 2 - 1, through: 0, by: -1) { sink(root, k) }
  var least = x[Int(indices[0])]
  // A later token that only equals the lowest stands below it.
  for index in k..<count where x[index] > least {
    indices[0] = Int32(index)
    sink(0, k)
    least = x[Int(indices[0])]
  }
  for size in stride(from: k - 1, to: 0, by: -1) {
    let lowest = indices[0]
    indices[0] = indices[size]
    indices[size] = lowest
    sink(0, size)
  }
  let total = logSumExp(x, count: count)
  for place in 0..<k { logs[place] = min(Float(Double(x[Int(indices[place])]) - total), 0) }
  guard k < count else { return 0 }
  var rest: Float = 0
  withScratch(count) { others in
    others.update(from: x, count: count)
    for place in 0..<k { others[Int(indices[place])] = -.infinity }
    let left = logSumExp(others, count: count) - total
    rest = left.isFinite ? Float(exp(left)) : 0
  }
  return min(rest, 1)
}
