import KaratArchitectures
import KaratKernels
import KaratTensors

/// Finds which neurons of two experts are alike, so that merging them adds up what belongs together.
///
/// Neurons of an expert can stand in any order. Two are alike by the product of all their weights (weight
/// matching: Ainsworth et al., 2023), and are matched greedily, the most alike first: n neurons of h
/// channels take 6 n² h operations, and 12 n² bytes.
package struct NeuronMatcher {
  private let source: any TensorSource
  private let workers = Workers.automatic

  init(_ source: any TensorSource) {
    self.source = source
  }

  /// For each neuron of one expert, which of another's is most like it.
  ///
  /// - Throws: `CheckpointError` where a matrix is missing or cannot be read.
  func order(_ first: ExpertTensors, _ second: ExpertTensors) throws -> [Int] {
    let (count, own) = try neurons(first)
    let (others, other) = try neurons(second)
    precondition(count == others, "experts of a layer have as many neurons")
    let products = [Float](unsafeUninitializedCapacity: count * count) { products, size in
      size = count * count
      own.withUnsafeBufferPointer { own in
        other.withUnsafeBufferPointer { other in
          guard let x = own.baseAddress, let weight = other.baseAddress,
            let out = products.baseAddress
          else { return }
          linear(
            x: x,
            rows: count,
            inFeatures: own.count / count,
            weight: weight,
            outFeatures: count,
            bias: nil,
            out: out,
            on: workers
          )
        }
      }
    }
    return Self.matched(products, count)
  }

  /// Pairs of rows and columns, those of the greatest products first; the first of equals.
  package static func matched(_ products: [Float], _ count: Int) -> [Int] {
    let pairs = products.indices.map(UInt32.init).sorted { left, right in
      (products[Int(left)], right) > (products[Int(right)], left)
    }
    var order = Array(repeating: -1, count: count)
    var isTaken = Array(repeating: false, count: count)
    for pair in pairs {
      let (row, column) = Int(pair).quotientAndRemainder(dividingBy: count)
      guard order[row] < 0, !isTaken[column] else { continue }
      order[row] = column
      isTaken[column] = true
    }
    return order
  }

  /// How many neurons there are, and all weights of each side by side: [neurons, 3 hidden].
  private func neurons(_ expert: ExpertTensors) throws -> (count: Int, weights: [Float]) {
    let gate = try floats(expert.gate)
    let count = gate.shape[0]
    let weights = [gate, try floats(expert.up), try floats(expert.down)]
      .map { $0.elements(as: Float.self) }
    let hidden = weights[0].count / count
    var rows: [Float] = []
    rows.reserveCapacity(count * 3 * hidden)
    for neuron in 0..<count {
      rows += weights[0][neuron * hidden..<(neuron + 1) * hidden]
      rows += weights[1][neuron * hidden..<(neuron + 1) * hidden]
      rows += (0..<hidden).lazy.map { weights[2][$0 * count + neuron] }
    }
    return (count, rows)
  }

  private func floats(_ name: TensorName) throws -> Tensor {
    try source.tensor(name).asFloat32(on: workers)
  }
}
