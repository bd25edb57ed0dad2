import Foundation
import KaratKernels
import KaratTensors

/// Turns gradients into steps of the parameters, and remembers what its method needs.
///
/// Takes 8 bytes for each number that learns with AdamW, 4 with Lion.
final class Optimizer {
  /// What belongs to one parameter.
  private struct Memory {
    let first: UnsafeMutablePointer<Float>
    let second: UnsafeMutablePointer<Float>?
  }

  private let parameters: [ParameterSet.Item]
  /// What else belongs to a state.
  private let others: [ParameterSet.Item]
  private let options: TrainingOptions
  private let workers: Workers
  private var memories: [Memory] = []
  private let groups: ParameterGroups
  /// How long its steps took, in seconds, and how many bytes they moved.
  private(set) var seconds = 0.0, movedBytes = 0.0
  /// How many steps were taken: those that an overflow skipped are not.
  private(set) var steps = 0

  init(
    _ parameters: [ParameterSet.Item],
    _ options: TrainingOptions,
    _ groups: ParameterGroups,
    remembering others: [ParameterSet.Item] = [],
    on workers: Workers
  ) {
    self.parameters = parameters
    self.others = others
    self.options = options
    self.workers = workers
    self.groups = groups
    memories = parameters.map { item in
      func zeros() -> UnsafeMutablePointer<Float> {
        let numbers = UnsafeMutablePointer<Float>.aligned(item.count)
        numbers.update(repeating: 0, count: item.count)
        return numbers
      }
      return Memory(first: zeros(), second: options.optimizer == .adamW ? zeros() : nil)
    }
  }

  deinit {
    for memory in memories {
      memory.first.deallocate()
      memory.second?.deallocate()
    }
  }

  /// The length of the gradient of all parameters together; not finite where one number is not.
  func gradientNorm() -> Double {
    parameters.reduce(0) { sum, item in
      guard let gradient = item.gradient else { return sum }
      return sum + sumOfSquares(gradient, count: item.count, on: workers)
    }.squareRoot()
  }

  /// Takes one step and sets the gradients to zero.
  ///
  /// - Parameters:
  ///   - rate: the learning rate.
  ///   - gradientScale: what gradients are multiplied by first.
  func step(rate: Double, gradientScale: Double) {
    steps += 1
    let start = ContinuousClock.now
    defer {
      seconds += start.secondsSince
      // Parameter, gradient and moments are read and written.
      let numbers = parameters.reduce(0) { $0 + $1.count }
      movedBytes += Double(numbers) * (options.optimizer == .adamW ? 32 : 24)
    }
    for (item, memory) in zip(parameters, memories) {
      guard let gradient = item.gradient else { continue }
      let decay = groups.decays(item) ? options.weightDecay : 0
      let rate = rate * groups.rateFactor(item)
      if let second = memory.second {
        adamW(
          parameter: item.values,
          gradient: gradient,
          firstMoment: memory.first,
          secondMoment: second,
          count: item.count,
          step: AdamWStep(
            rate: rate,
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            weightDecay: decay,
            correction1: 1 - pow(options.beta1, Double(steps)),
            correction2: 1 - pow(options.beta2, Double(steps)),
            gradientScale: gradientScale
          ),
          on: workers
        )
      } else {
        lion(
          parameter: item.values,
          gradient: gradient,
          moment: memory.first,
          count: item.count,
          step: LionStep(
            rate: rate,
            beta1: options.beta1,
            beta2: options.beta2,
            weightDecay: decay,
            gradientScale: gradientScale
          ),
          on: workers
        )
      }
    }
  }

  /// Forgets the gradients of a step that is not taken.
  func discardGradients() {
    for item in parameters { item.gradient?.update(repeating: 0, count: item.count) }
  }
}

/// What differs between parameters of one training.
package struct ParameterGroups {
  /// Whether weight decay pulls a parameter to zero.
  ///
  /// Norms, biases and scales have one long extent at most; zero is not where they belong.
  package var decays: (ParameterSet.Item) -> Bool = { item in
    item.shape.dimensions.filter { $0 > 1 }.count >= 2
  }
  /// How much faster or slower than the others a parameter learns.
  package var rateFactor: (ParameterSet.Item) -> Double = { _ in 1 }

  package init() {}
}

extension Optimizer {
  /// Everything that the next step depends on: the parameters and the memories.
  var tensors: [TensorName: Tensor] {
    var tensors: [TensorName: Tensor] = [:]
    forEachTensor { name, shape, numbers in
      tensors[name] = Tensor(.f32, shape) { bytes in
        bytes.baseAddress?.copyMemory(from: numbers, byteCount: bytes.count)
      }
    }
    return tensors
  }

  /// Goes back to a state.
  ///
  /// - Throws: `CheckpointError` where the source lacks a tensor, `EngineError` where one has another
  ///   type or shape.
  func restore(_ source: any TensorSource, steps: Int) throws {
    try forEachTensor { name, shape, _ in
      let wanted = TensorInfo(.f32, shape)
      if let info = source.manifest[name], info != wanted {
        throw EngineError(
          "the saved state holds \(name.quoted) as \(info.dtype.rawValue) \(info.shape); this training"
            + " needs F32 \(shape). It is another model's: remove the folder of states to begin anew."
        )
      }
    }
    try forEachTensor { name, _, numbers in
      try source.tensor(name).withElements(as: Float.self) { elements in
        guard let first = elements.baseAddress else { return }
        numbers.update(from: first, count: elements.count)
      }
    }
    self.steps = steps
  }

  private func forEachTensor(
    _ body: (TensorName, Shape, UnsafeMutablePointer<Float>) throws -> Void
  ) rethrows {
    for item in others { try body(TensorName("other") / item.name.text, item.shape, item.values) }
    for (item, memory) in zip(parameters, memories) {
      try body(TensorName("parameter") / item.name.text, item.shape, item.values)
      try body(TensorName("first") / item.name.text, item.shape, memory.first)
      if let second = memory.second {
        try body(TensorName("second") / item.name.text, item.shape, second)
      }
    }
  }
}

extension ContinuousClock.Instant {
  /// How long ago it was, in seconds.
  var secondsSince: Double {
    let duration = (ContinuousClock.now - self).components
    return Double(duration.seconds) + Double(duration.attoseconds) / 1e18
  }
}
