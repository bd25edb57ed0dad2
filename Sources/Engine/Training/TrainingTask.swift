/// What a trainer trains: parameters, examples, and the losses of some of these.
package protocol TrainingTask: AnyObject {
  /// The parameters.
  var parameters: ParameterSet { get }
  /// What differs between them.
  var groups: ParameterGroups { get }
  /// The losses, in the order in which `accumulate` gives them.
  var losses: [any Loss] { get }
  /// How many tokens each example has.
  var lengths: [Int] { get }

  /// How much of an example is judged, such as its predicted tokens: what means are over.
  func weight(of example: Int) -> Double

  /// Adds the gradients of some examples to those of the parameters.
  ///
  /// - Parameters:
  ///   - examples: which, by their places in `lengths`.
  ///   - factor: what gradients are multiplied by.
  /// - Returns: each loss, summed over the examples.
  /// - Throws: what reading them, or the losses, throws.
  func accumulate(_ examples: [Int], factor: Float) throws -> [Double]

  /// Parameters without gradients that change all the same, and other numbers that a state must hold.
  var remembered: [ParameterSet.Item] { get }

  /// Is called before each step.
  func beginStep(_ step: Int)

  /// Mends what a step may not leave as it is, such as a scale that fell to zero.
  func finishStep(_ step: Int)
}

extension TrainingTask {
  package var groups: ParameterGroups { ParameterGroups() }
  package var remembered: [ParameterSet.Item] { [] }
  package func beginStep(_ step: Int) {}
  package func finishStep(_ step: Int) {}
}
