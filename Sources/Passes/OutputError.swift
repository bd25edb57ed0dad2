import KaratEngine
import KaratGraphs
import KaratKernels
import KaratTensors

/// How far quantized layers' outputs are from the float ones, on sampled rows, in the same integer
/// arithmetic that will run.
struct OutputError {
  private let sample: RowSample
  private let rows: Tensor
  private let weights: [Tensor]
  private let outputs: [Tensor]
  private let workers: Workers

  /// Computes what the layers give in floating point.
  ///
  /// - Parameters:
  ///   - sample: rows of the value that the layers read.
  ///   - weights: their weights F32[out, in].
  ///   - workers: what the work is split over.
  init(_ sample: RowSample, weights: [Tensor], on workers: Workers) {
    self.sample = sample
    self.weights = weights
    self.workers = workers
    let rows = sample.rows
    self.rows = rows
    outputs = weights.map { weight in
      Tensor(.f32, [rows.shape[0], weight.shape[0]]) { bytes in
        let out = bytes.assumingMemoryBound(to: Float.self)
        guard let out = out.baseAddress else { return }
        rows.withFloats { x in
          weight.withFloats { elements in
            linear(
              x: x,
              rows: rows.shape[0],
              inFeatures: rows.shape[1],
              weight: elements,
              outFeatures: weight.shape[0],
              bias: nil,
              out: out,
              on: workers
            )
          }
        }
      }
    }
  }

  /// The layers with channels divided by factors and weights quantized, ready to try ranges on.
  func smoothed(by factors: [Float]) throws(CheckpointError) -> Candidate {
    let inverse = factors.map { 1 / $0 }
    var (lower, upper): (Float, Float) = (0, 0)
    for (channel, factor) in inverse.enumerated() {
      lower = min(lower, sample.lower[channel] * factor)
      upper = max(upper, sample.upper[channel] * factor)
    }
    var quantized: [(PackedInt8Weight, Tensor)] = []
    for weight in weights {
      let scaled = weight.scaled(rows: nil, columns: factors)
      let channels = ChannelScales(
        of: "weight",
        scaled.shape,
        .int8Weights,
        in: MemorySource(["weight": scaled]),
        keptIn: ScaleStore(limit: nil),
        on: workers
      )
      let scales = Tensor(try channels.values(), shape: [scaled.shape[0], 1])
      let codes = try channels.codes(0..<scaled.shape.elementCount).reshaped(to: scaled.shape)
      let packed = codes.withElements(as: Int8.self) { codes8 in
        guard let first = codes8.baseAddress else { preconditionFailure("weights have elements") }
        return PackedInt8Weight(
          codes: first,
          outFeatures: codes.shape[0],
          inFeatures: codes.shape[1],
          on: workers
        )
      }
      quantized.append((packed, scales))
    }
    return Candidate(
      error: self,
      rows: rows.scaled(rows: nil, columns: inverse),
      weights: quantized,
      lower: lower,
      upper: upper
    )
  }

  /// Layers whose channels were rescaled and whose weights are codes.
  struct Candidate {
    fileprivate let error: OutputError
    fileprivate let rows: Tensor
    fileprivate let weights: [(packed: PackedInt8Weight, scales: Tensor)]
    /// The smallest number that the layers read, over all rows, not only the sampled ones.
    let lower: Float
    /// The largest.
    let upper: Float

    /// The squared error of the outputs when what the layers read is quantized by a range, over all
    /// rows that the sample stands for.
    func loss(_ range: QuantizationRange) -> Double {
      let count = rows.shape[0]
      let tiles = (count + Self.tileRows - 1) / Self.tileRows
      var losses = Array(repeating: 0.0, count: tiles)
      losses.withUnsafeMutableBufferPointer { losses in
        let losses = losses
        error.workers.forEachTile(tiles) { tile in
          let first = tile * Self.tileRows
          losses[tile] = loss(range, first..<min(first + Self.tileRows, count))
        }
      }
      // Added up in the tiles' order, so that the sum does not depend on the number of threads.
      return losses.reduce(0, +)
    }

    /// Few enough that codes and outputs of a tile stay in the cache.
    private static let tileRows = 128

    /// The loss of some rows, on one thread.
    private func loss(_ range: QuantizationRange, _ tile: Range<Int>) -> Double {
      let inFeatures = rows.shape[1]
      let widest = error.weights.reduce(0) { max($0, $1.shape[0]) }
      let single = Workers(threads: 1)
      return withUnsafeTemporaryAllocation(
        of: UInt8.self,
        capacity: tile.count * inFeatures
      ) { codes in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: tile.count * widest) { outputs in
          guard let codes = codes.baseAddress, let outputs = outputs.baseAddress else { return 0 }
          rows.withFloats { x in
            quantize(
              x: x + tile.lowerBound * inFeatures,
              count: tile.count * inFeatures,
              scale: range.scale,
              zeroPoint: range.unsignedZeroPoint,
              out: codes,
              on: single
            )
          }
          return zip(weights, error.outputs).reduce(0) { sum, layer in
            let ((packed, scales), expected) = layer
            scales.withFloats { scales in
              integerLinear(
                x: codes,
                rows: tile.count,
                weight: packed,
                scales: [range.scale],
                zeroPoint: range.unsignedZeroPoint,
                weightScales: scales,
                bias: nil,
                out: outputs,
                on: single
              )
            }
            return sum + error.squaredError(of: outputs, expected, tile)
          }
        }
      }
    }

    /// The full range, or the best of some narrower ones.
    ///
    /// - Returns: the range and its loss.
    func coarseRange() -> (range: QuantizationRange, loss: Double) {
      var search = search()
      search.narrow(both: 6)
      return (range(search.ends), search.loss)
    }

    fileprivate func search() -> EndSearch {
      EndSearch { ends in loss(range(ends)) }
    }

    fileprivate func range(_ ends: EndSearch.Ends) -> QuantizationRange {
      QuantizationRange(spanning: lower * ends.lower, upper * ends.upper)
    }
  }

  /// The range with the least error of the outputs of layers whose channels stay as they are: both
  /// ends are narrowed together, then each alone.
  func bestRange() throws(CheckpointError) -> QuantizationRange {
    let candidate = try smoothed(by: Array(repeating: 1, count: rows.shape[1]))
    var search = candidate.search()
    search.narrow(both: 14)
    search.refine()
    return candidate.range(search.ends)
  }

  /// The squared difference of a tile's outputs from the expected ones, each row counted as often
  /// as the sample says.
  private func squaredError(
    of outputs: UnsafePointer<Float>,
    _ expected: Tensor,
    _ tile: Range<Int>
  ) -> Double {
    let features = expected.shape[1]
    let extreme = min(max(sample.extremeRows - tile.lowerBound, 0), tile.count) * features
    return expected.withFloats { expected in
      let expected = expected + tile.lowerBound * features
      let rest = tile.count * features - extreme
      return squaredDifference(outputs, expected, count: extreme)
        + sample.weight * squaredDifference(outputs + extreme, expected + extreme, count: rest)
    }
  }
}

/// Searches how far the ends of a range can be drawn in, as fractions of the full range.
private struct EndSearch {
  typealias Ends = (lower: Float, upper: Float)

  private(set) var ends: Ends = (1, 1)
  private(set) var loss: Double
  private let evaluate: (Ends) -> Double

  init(_ evaluate: @escaping (Ends) -> Double) {
    self.evaluate = evaluate
    loss = evaluate((1, 1))
  }

  /// Tries ever narrower ranges, each 0.85 times the last, until two in a row are no better.
  mutating func narrow(both steps: Int) {
    var worse = 0
    var fraction: Float = 1
    for _ in 0..<steps where worse < 2 {
      fraction *= 0.85
      worse = consider((fraction, fraction)) ? 0 : worse + 1
    }
  }

  /// Moves each end alone by ever smaller steps while that helps.
  mutating func refine() {
    for step: Float in [0.85, 0.93, 0.97] {
      for factor in [step, 1 / step] {
        while consider((min(ends.lower * factor, 1), ends.upper)) {}
        while consider((ends.lower, min(ends.upper * factor, 1))) {}
      }
    }
  }

  /// Takes other ends where they are better.
  private mutating func consider(_ candidate: Ends) -> Bool {
    guard candidate != ends else { return false }
    let loss = evaluate(candidate)
    guard loss < self.loss else { return false }
    (ends, self.loss) = (candidate, loss)
    return true
  }
}

extension MemoryBudget {
  /// Checks that there is room for the search of a group's range: its weights in float32, each once
  /// more while it is rounded, their codes, and the sampled rows with what the layers make of them.
  ///
  /// - Throws: `EngineError` saying how much is needed.
  func requireSearch(_ layers: [LinearLayer], rows sample: RowSample) throws(EngineError) {
    let sizes = layers.map(\.shape.elementCount)
    let rows = sample.rowCount * (3 * (layers.first?.shape[1] ?? 0))
    let outputs = layers.reduce(0) { $0 + sample.rowCount * $1.shape[0] }
    let needed =
      sizes.reduce(0, +) * 5 + (sizes.max() ?? 0) * 5 + (rows + outputs) * 4
    let names = layers.map(\.path.quoted).joined(separator: ", ")
    try require(needed, for: "the search for the range of what \(names) reads")
  }
}
