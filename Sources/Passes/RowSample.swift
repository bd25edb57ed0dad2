import KaratGraphs
import KaratTensors

/// Rows of an activation that stand for all of them: the most extreme, and one in so many.
///
/// Extremes decide how wide a static range must be, and a plain sample misses them: the first token
/// of a text may be a hundred times larger than any other. So they are all kept, each counting as
/// itself, and every n-th of the rest, each counting n times. Memory is bounded by the sample.
struct RowSample {
  /// How many extreme rows are kept.
  private static let extremeCount = 128

  private let features: Int
  private let stride: Int
  private var seen = 0
  private var regular: [Float] = []
  private var extremes: [(magnitude: Float, row: [Float])] = []
  /// The smallest number in each channel, over all rows.
  private(set) var lower: [Float]
  /// The largest number in each channel, over all rows.
  private(set) var upper: [Float]

  /// Prepares to sample about so many of so many rows.
  init(features: Int, total: Int, count: Int) {
    self.features = features
    stride = max(1, total / count)
    lower = Array(repeating: .infinity, count: features)
    upper = Array(repeating: -.infinity, count: features)
  }

  /// Takes in rows.
  mutating func add(_ operand: Operand) {
    for index in 0..<operand.rows {
      let row = UnsafeBufferPointer(start: operand.floats + index * features, count: features)
      let magnitude = widen(by: row)
      if seen % stride == 0 {
        regular.append(contentsOf: row)
      } else if extremes.count < Self.extremeCount {
        extremes.append((magnitude, Array(row)))
      } else if let least = extremes.indices.min(by: { extremes[$0].magnitude < extremes[$1].magnitude }),
        extremes[least].magnitude < magnitude
      {
        extremes[least] = (magnitude, Array(row))
      }
      seen += 1
    }
  }

  /// How many rows at the beginning of `rows` count once; the rest count `weight` times.
  var extremeRows: Int { extremes.count }
  /// How many rows each of the regular ones stands for.
  var weight: Double { Double(seen - extremes.count) / Double(max(regular.count / features, 1)) }
  /// The rows, the extreme ones first, F32[rows, features].
  var rows: Tensor {
    let numbers = extremes.flatMap(\.row) + regular
    return Tensor(numbers, shape: [numbers.count / features, features])
  }

  private mutating func widen(by row: UnsafeBufferPointer<Float>) -> Float {
    var magnitude: Float = 0
    lower.withUnsafeMutableBufferPointer { lower in
      upper.withUnsafeMutableBufferPointer { upper in
        for channel in 0..<features {
          let number = row[channel]
          lower[channel] = Swift.min(lower[channel], number)
          upper[channel] = Swift.max(upper[channel], number)
          magnitude = Swift.max(magnitude, abs(number))
        }
      }
    }
    return magnitude
  }
}
