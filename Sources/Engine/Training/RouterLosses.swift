package import KaratGraphs
import KaratKernels
package import KaratTensors

/// Keeps a router from sending all tokens to a few experts: its auxiliary loss is least where tokens
/// and probabilities are spread evenly (Fedus et al., 2022: Switch Transformer).
package final class BalanceLoss: Loss {
  package let name = "balance"
  package let weight: Double
  package let values: [ValueID]
  private let chosen: Int

  /// Judges a router by its logits and choices.
  package init(_ router: RouterValues, weight: Double) {
    self.weight = weight
    values = [router.logits, router.choices]
    chosen = router.chosen
  }

  package func evaluate(_ run: LossEvaluation) throws -> Double {
    let (logits, choices) = (run.values[0], run.values[1])
    let rows = Double(logits.rows)
    return rows
      * balanceLoss(
        logits: logits.floats,
        indices: choices.ids,
        rows: logits.rows,
        experts: logits.features,
        chosen: chosen,
        factor: Float(Double(run.factor) * weight * rows),
        addTo: run.gradient?.mutableFloats,
        on: run.workers
      )
  }
}

/// Rewards routers for being unsure, or, where its weight is negative, for being sure: minus the
/// entropy of their probabilities.
package final class EntropyLoss: Loss {
  package let name = "router_entropy"
  package let weight: Double
  package let values: [ValueID]

  /// Judges a router by its logits.
  package init(_ router: RouterValues, weight: Double) {
    self.weight = -weight
    values = [router.logits]
  }

  package func evaluate(_ run: LossEvaluation) throws -> Double {
    let logits = run.values[0]
    let rows = Double(logits.rows)
    return rows
      * routerEntropy(
        logits: logits.floats,
        rows: logits.rows,
        experts: logits.features,
        factor: Float(Double(run.factor) * weight * rows),
        addTo: run.gradient?.mutableFloats,
        on: run.workers
      )
  }
}

/// A router in a graph that is trained.
package struct RouterValues {
  /// Its logits [batch, length, experts], and the experts that were chosen [batch, length, chosen].
  package let logits, choices: ValueID
  /// How many experts a token reaches.
  package let chosen: Int
  /// The parameter that balances experts by its place in the choice, where there is one.
  package let bias: TensorName?
}

extension Graph {
  /// The routers, in order.
  package var routerValues: [RouterValues] {
    nodes.enumerated().compactMap { place, node in
      guard case .route(let route) = node.op else { return nil }
      return RouterValues(
        logits: node.inputs[0],
        choices: ValueID(node: place, output: 1),
        chosen: route.chosen,
        bias: node.inputs.dropFirst().first.flatMap { parameter($0)?.tensor }
      )
    }
  }
}
