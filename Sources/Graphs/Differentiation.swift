package import KaratKernels
import KaratTensors

/// What an operation's gradient reads of its evaluation; everything else may be gone by then.
package struct GradientReads: Sendable {
  /// The places of the inputs, or nil for all.
  package let inputs: [Int]?
  /// The places of the outputs.
  package let outputs: [Int]

  package init(inputs: [Int]? = [], outputs: [Int] = []) {
    self.inputs = inputs
    self.outputs = outputs
  }

  /// Only extents.
  package static let nothing = GradientReads()
  /// Every input.
  package static let allInputs = GradientReads(inputs: nil)
}

/// What an operation sees when its gradient is computed: reverse-mode differentiation, one
/// operation at a time (Griewank and Walther, 2008).
///
/// A value of integer codes stands for the number that they are dequantized to, and its gradient is
/// that number's, in float32: rounding passes gradients straight through (Bengio et al., 2013).
package struct Differentiation {
  /// Its inputs; of those that `gradientReads` leaves out only the extents.
  package let inputs: [Operand]
  /// Its outputs, likewise.
  package let outputs: [Operand]
  /// The gradients of its outputs in float32, or nil where nothing that is trained depends on one.
  package let upstream: [Operand?]
  /// Where the gradients of its inputs are added up, or nil where none is wanted.
  package let targets: [Operand?]
  package let binding: Binding
  package let workers: Workers
  package let rotations: RotationCache
  /// In which numbers matrices are multiplied, or nil for float32.
  package var rounding: Rounding?

  package init(
    inputs: [Operand],
    outputs: [Operand],
    upstream: [Operand?],
    targets: [Operand?],
    binding: Binding,
    workers: Workers,
    rotations: RotationCache
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.upstream = upstream
    self.targets = targets
    self.binding = binding
    self.workers = workers
    self.rotations = rotations
  }

  /// The gradient of an output.
  ///
  /// - Precondition: it has one; an operation is differentiated where its first output has.
  func gradient(_ output: Int = 0) -> Operand {
    guard let gradient = upstream[output] else {
      preconditionFailure("a gradient flows into output \(output)")
    }
    return gradient
  }

  /// Where the gradient of an input is added up, or nil where none is wanted.
  func target(_ input: Int) -> UnsafeMutablePointer<Float>? {
    targets.indices.contains(input) ? targets[input]?.mutableFloats : nil
  }
}
