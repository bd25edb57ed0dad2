import KaratGraphs
import KaratKernels
import KaratTensors

/// Rows of an activation that stand for all of them: the most extreme, and one in so many.
///
/// Extremes decide how wide a static range must be, and a plain sample misses them: the first token
/// of a text may be a hundred times larger than any other. So they are all kept, each counting as
/// itself, and every n-th of the rest, each counting n times. Memory is bounded by the sample.
struct RowSample {
  /// How many extreme rows are kept.
  private static let extremeCount = 128
  /// About how many others are.
  private static let regularCount = 2048

  private let features: Int
  private let stride: Int
  private var seen = 0
  private var regular: [Float] = []
  private var extremes: [(magnitude: Float, place: Int, row: [Float])] = []
  /// The place in `extremes` of the least extreme.
  private var least = 0
  /// The smallest number in each channel, over all rows.
  private(set) var lower: [Float]
  /// The largest number in each channel, over all rows.
  private(set) var upper: [Float]
  /// Whether no row held NaN or infinity.
  private(set) var isFinite = true

  /// Prepares to sample so many rows.
  init(features: Int, total: Int) {
    self.features = features
    stride = max(1, total / Self.regularCount)
    lower = Array(repeating: .infinity, count: features)
    upper = Array(repeating: -.infinity, count: features)
  }

  /// Takes in rows.
  mutating func add(_ operand: Operand) {
    if !minMax(operand.floats, count: operand.count).finite { isFinite = false }
    for index in 0..<operand.rows {
      let row = UnsafeBufferPointer(start: operand.floats + index * features, count: features)
      let magnitude = widen(by: row)
      // A row is extreme or regular, never both: the first token of every window would otherwise
      // count for many.
      var rest = (magnitude: magnitude, place: seen, row: [Float]())
      if extremes.count < Self.extremeCount {
        extremes.append((magnitude, seen, Array(row)))
        rest.place = -1
      } else if magnitude > extremes[least].magnitude {
        rest = extremes[least]
        extremes[least] = (magnitude, seen, Array(row))
      }
      if rest.place >= 0, rest.place % stride == stride / 2 {
        regular.append(contentsOf: rest.row.isEmpty ? Array(row) : rest.row)
      }
      if rest.place != seen { updateLeast() }
      seen += 1
    }
  }

  private mutating func updateLeast() {
    least = extremes.indices.min { extremes[$0].magnitude < extremes[$1].magnitude } ?? 0
  }

  /// How many rows there are in `rows`.
  var rowCount: Int { extremes.count + regular.count / max(features, 1) }
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
