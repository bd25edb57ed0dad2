package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// A term of what training makes small: it judges a value of the graph and knows its gradient.
package protocol Loss {
  /// What it is called in the metrics.
  var name: String { get }

  /// What it is multiplied by in the sum of all losses.
  var weight: Double { get }

  /// The values that it reads; it has a gradient for the first. All of them lie in one block.
  var values: [ValueID] { get }

  /// The parameters that it reads beyond the graph's values.
  var parameters: [TensorName] { get }

  /// How many operations its products with weights take, forward and backward; a multiplication and an
  /// addition are two.
  func operations(_ values: [Operand]) -> Double

  /// Adds the gradient of the loss, times its weight and a factor, and gives the loss: a sum over what
  /// is judged, such as the tokens of a batch, without weight and factor.
  ///
  /// - Throws: where it needs something that cannot be had, such as a file.
  func evaluate(_ run: LossEvaluation) throws -> Double
}

extension Loss {
  /// Most losses read values alone.
  package var parameters: [TensorName] { [] }

  /// Most losses multiply by no weights.
  package func operations(_ values: [Operand]) -> Double { 0 }
}

/// What a loss sees when it is evaluated.
package struct LossEvaluation {
  /// What it judges.
  package let values: [Operand]
  /// Where the gradient of the first value is added up, or nil where none flows there.
  package let gradient: Operand?
  /// What gradients are multiplied by.
  package let factor: Float
  /// The graph's parameters, for losses that reach beyond the values.
  package let parameters: ParameterSet
  package let workers: Workers
}
