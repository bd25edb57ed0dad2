package import KaratGraphs
import KaratKernels
import KaratTensors

/// Balances experts without a loss (Wang et al., 2024; DeepSeek-V3): after each step the bias that
/// enters a router's choice rises for experts with fewer tokens than the mean, and falls for others.
package final class BiasBalancer {
  private let parameters: ParameterSet
  private let rate: Float
  private let routers: [ValueID: TensorName]
  private var counts: [ValueID: [Int]] = [:]

  /// Prepares to balance the routers of a graph that have such a bias.
  ///
  /// - Parameters:
  ///   - graph: what is trained.
  ///   - parameters: its parameters, the biases among them.
  ///   - rate: how far a bias moves in a step.
  package init(_ graph: Graph, _ parameters: ParameterSet, rate: Double) {
    self.parameters = parameters
    self.rate = Float(rate)
    routers = Dictionary(
      uniqueKeysWithValues: graph.routerValues.compactMap { router in
        router.bias.map { (router.choices, $0) }
      }
    )
  }

  /// The values that it has to see.
  package var observed: Set<ValueID> { Set(routers.keys) }

  /// The biases that it moves.
  package var biases: [ParameterSet.Item] {
    routers.sorted { $0.key < $1.key }.map { parameters[$0.value] }
  }

  /// Counts what a router chose.
  package func observe(_ value: ValueID, _ choices: Operand) {
    guard let bias = routers[value] else { return }
    var found = counts[value] ?? Array(repeating: 0, count: parameters[bias].count)
    for index in 0..<choices.count { found[Int(choices.ids[index])] += 1 }
    counts[value] = found
  }

  /// Moves the biases by what was counted since the last step.
  package func step() {
    for (value, found) in counts {
      guard let bias = routers[value] else { continue }
      let mean = Double(found.reduce(0, +)) / Double(max(found.count, 1))
      let numbers = parameters[bias].values
      for (expert, count) in found.enumerated() where Double(count) != mean {
        numbers[expert] += Double(count) < mean ? rate : -rate
      }
    }
    counts = [:]
  }
}
