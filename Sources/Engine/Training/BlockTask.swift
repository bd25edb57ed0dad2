package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// Training of one block of a model: what it makes of the states before it comes close to a teacher's
/// states behind it.
///
/// The parameters and gradients of that block alone are in memory.
package final class BlockTask: TrainingTask {
  package let parameters: ParameterSet
  package let losses: [any Loss]
  package let lengths: [Int]
  package var hooks = TrainingHooks()
  package let differentiator: Differentiator

  /// The block's value for the windows of a batch: what it reads, or what it is to give.
  package typealias States = (ValueID, _ window: Int) throws -> Tensor

  private let inputs: [ValueID]
  private let states: States
  private let target = Target()

  /// The teacher's states for the batch at hand.
  private final class Target {
    var tensor: Tensor?
  }

  /// Prepares to train a block.
  ///
  /// - Parameters:
  ///   - graph: the graph that the block is a part of.
  ///   - parameters: those of the block.
  ///   - inputs: the values that the block reads, F32[1, tokens, …] of a window.
  ///   - output: the value that is compared, of the same extents as the teacher's.
  ///   - lengths: how many tokens each window has.
  ///   - measure: how states are compared.
  ///   - workers: the threads.
  ///   - states: gives an input, or the teacher's output, of a window.
  package init(
    _ graph: Graph,
    _ parameters: ParameterSet,
    inputs: [ValueID],
    output: ValueID,
    lengths: [Int],
    measure: StateLoss.Measure,
    on workers: Workers,
    states: @escaping States
  ) {
    self.parameters = parameters
    self.inputs = inputs
    self.lengths = lengths
    self.states = states
    losses = [
      StateLoss("states", output, measure, weight: 1, isPerSequence: false) { [target] in
        guard let tensor = target.tensor else { preconditionFailure("examples come first") }
        return tensor
      }
    ]
    differentiator = Differentiator(
      graph,
      parameters,
      given: Set(inputs),
      losses: losses,
      on: workers
    )
  }

  package func weight(of example: Int) -> Double { Double(lengths[example]) }

  package func accumulate(_ examples: [Int], factor: Float) throws -> [Double] {
    guard let loss = losses[0] as? StateLoss else { return [] }
    // Windows are of one length, but for what training texts may end with.
    let length = examples.map { lengths[$0] }.max() ?? 0
    func joined(_ value: ValueID) throws -> Tensor {
      Tensor(padding: try examples.map { try states(value, $0) }, to: length)
    }
    var given: [ValueID: Tensor] = [:]
    for input in inputs { given[input] = try joined(input) }
    target.tensor = try joined(loss.values[0])
    loss.rows = .tokens(lengths: examples.map { lengths[$0] })
    return try differentiator.run(
      given: given,
      binding: Binding(batch: examples.count, length: length),
      factor: factor
    )
  }
}

extension Tensor {
  /// Tensors [1, tokens, …] of windows one after the other, each padded with zeros to a length.
  fileprivate init(padding parts: [Tensor], to length: Int) {
    let rest = parts[0].shape.dimensions.dropFirst(2)
    let row = parts[0].byteCount / max(parts[0].shape[1], 1)
    self.init(parts[0].dtype, Shape([parts.count, length] + rest)) { bytes in
      for (index, part) in parts.enumerated() {
        let place = index * length * row
        let padding = (length - part.shape[1]) * row
        part.withBytes { own in
          UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + own.count])
            .copyMemory(from: own)
        }
        let end = place + length * row
        UnsafeMutableRawBufferPointer(rebasing: bytes[end - padding..<end])
          .initializeMemory(as: UInt8.self, repeating: 0)
      }
    }
  }
}
