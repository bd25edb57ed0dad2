package import KaratTensors

/// How often a router of a mixture of experts chose each expert.
public struct RouterStatistics: Sendable, Hashable, Codable {
  /// The router's module in the checkpoint.
  public let router: String
  /// How many tokens it routed.
  public private(set) var tokens: Int
  /// How many tokens reached each expert.
  public private(set) var counts: [Int]

  /// Nothing was routed yet.
  package init(router: TensorName, experts: Int) {
    self.router = router.text
    tokens = 0
    counts = Array(repeating: 0, count: experts)
  }

  /// Takes in what a router chose.
  ///
  /// - Parameter choices: the experts I32[…, chosen] of some tokens.
  package mutating func add(_ choices: Operand) {
    tokens += choices.rows
    for index in 0..<choices.count { counts[Int(choices.ids[index])] += 1 }
  }

  /// The experts that no token reached.
  public var unused: [Int] { counts.indices.filter { counts[$0] == 0 } }

  private var mean: Double { Double(counts.reduce(0, +)) / Double(max(counts.count, 1)) }

  /// The tokens of the expert that most reach, over the mean of all experts: 1 where all are equal.
  public var peak: Double { mean > 0 ? Double(counts.max() ?? 0) / mean : 0 }

  /// The standard deviation of the experts' tokens over their mean: 0 where all are equal.
  public var variation: Double {
    guard mean > 0 else { return 0 }
    let squares = counts.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    return (squares / Double(counts.count)).squareRoot() / mean
  }
}

/// A router in a graph, and what it gives.
package struct Router: Sendable {
  /// Its module.
  package let path: TensorName
  /// Which experts each token reaches, I32[batch, length, chosen].
  package let choices: ValueID
  /// How many experts there are.
  package let experts: Int
}

extension Graph {
  /// The routers, in order.
  package var routers: [Router] {
    nodes.enumerated().compactMap { place, node in
      guard case .route = node.op, let experts = type(of: node.inputs[0]).features else {
        return nil
      }
      let module = self.node(of: node.inputs[0]).path
      return Router(
        path: module.text.isEmpty ? node.path : module,
        choices: ValueID(node: place, output: 1),
        experts: experts
      )
    }
  }
}
