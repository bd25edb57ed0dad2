package import KaratGraphs
import KaratKernels

/// What a trainer trains: parameters, examples, and the losses of some of these.
package protocol TrainingTask: AnyObject {
  /// The parameters.
  var parameters: ParameterSet { get }
  /// The losses, in the order in which `accumulate` gives them.
  var losses: [any Loss] { get }
  /// How many tokens each example has.
  var lengths: [Int] { get }
  /// What is special about this training.
  var hooks: TrainingHooks { get set }
  /// What runs the graph.
  var differentiator: Differentiator { get }

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
}

/// What is special about a training: how parameters differ, and what happens around its steps.
package struct TrainingHooks {
  /// What differs between parameters.
  package var groups = ParameterGroups()
  /// Parameters without gradients that change all the same, and other numbers that a state must hold.
  package var remembered: [ParameterSet.Item] = []
  /// What learns beside the parameters, though no operation reads it.
  package var companions: [ParameterSet.Item] = []
  /// Is called before each step with the examples that it learns from.
  package var begin: (_ step: Int, _ examples: [Int]) throws -> Void = { _, _ in }
  /// Is called when the gradients of all examples of a step are added up, to find those of companions.
  package var finishGradients: () -> Void = {}
  /// Is called after each step, to mend what it may not leave as it is, such as a scale that fell to
  /// zero.
  package var finish: () -> Void = {}

  package init() {}
}

extension TrainingTask {
  /// Shows some values of the graph in each run as soon as they are computed.
  package func observe(_ values: Set<ValueID>, _ show: @escaping (ValueID, Operand) -> Void) {
    differentiator.observed = values
    differentiator.observe = show
  }
}
