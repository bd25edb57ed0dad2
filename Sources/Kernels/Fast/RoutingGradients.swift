import CKernels

/// Adds the gradient of `route`, with the choice of experts held fixed.
///
/// `indices` and `gradient`, that of the weights, are [rows, chosen]; logits and the target are
/// [rows, experts]. A bias only takes part in the choice, and has no gradient.
package func routeGradient(
  logits: UnsafePointer<Float>,
  indices: UnsafePointer<Int32>,
  gradient: UnsafePointer<Float>,
  rows: Int,
  routing: Routing,
  addTo target: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let work = max(1, routing.experts * 8)
  workers.forEachRun(of: max(1, elementsPerTile / work), in: rows) { run in
    withScratch(2 * routing.experts) { scratch in
      withUnsafePointer(to: routing.kernelRouting) {
        kernels.route_gradient(
          $0,
          logits + run.lowerBound * routing.experts,
          indices + run.lowerBound * routing.chosen,
          gradient + run.lowerBound * routing.chosen,
          run.count,
          target + run.lowerBound * routing.experts,
          scratch
        )
      }
    }
  }
}

/// Adds the gradient of `gatherRows`: target [slot / chosen] += gradient [slots, features], in the
/// order of the slots.
package func gatherRowsGradient(
  gradient: UnsafePointer<Float>,
  features: Int,
  slots: UnsafeBufferPointer<Int32>,
  chosen: Int,
  addTo target: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  // Slots of one token add to the same row, so tiles are columns of all rows.
  workers.forEachRun(of: max(64, elementsPerTile / max(1, slots.count)), in: features) { run in
    for place in 0..<slots.count {
      let row = target + Int(slots[place]) / chosen * features + run.lowerBound
      kernels.add(row, gradient + place * features + run.lowerBound, run.count, row)
    }
  }
}

/// Adds the gradients of `combineRows`: weight · gradient to the gradient of each slot's row, and row ·
/// gradient to that of each weight.
///
/// `gradient` is that of the result [tokens, features]. `rows` and `addToRows` hold a pointer for each
/// slot [tokens · chosen], no two of the latter to the same memory; weights and `addToWeights` are
/// [tokens, chosen].
package func combineRowsGradient(
  rows: UnsafePointer<UnsafePointer<Float>>,
  weights: UnsafePointer<Float>,
  tokens: Int,
  chosen: Int,
  features: Int,
  gradient: UnsafePointer<Float>,
  addToRows: UnsafePointer<UnsafeMutablePointer<Float>>?,
  addToWeights: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  let work = max(1, features * chosen)
  workers.forEachRun(of: max(1, elementsPerTile / work), in: tokens) { run in
    for slot in run.lowerBound * chosen..<run.upperBound * chosen {
      let own = gradient + slot / chosen * features
      if let addToRows {
        kernels.add_multiple(own, weights[slot], features, addToRows[slot])
      }
      addToWeights?[slot] += Float(kernels.dot_product(rows[slot], own, features))
    }
  }
}

/// The loss that keeps the load of experts in balance (Switch, Fedus et al., 2021; for several choices
/// of a token as in Mixtral): experts · Σ f · P over the experts, at least 1 where f = P.
///
/// f is the part of all choices [rows, chosen] that fell on an expert, P the mean over the rows of
/// softmax(logits) [rows, experts]. Adds factor · its gradient by the logits, f held fixed, to
/// `addTo` [rows, experts].
package func balanceLoss(
  logits: UnsafePointer<Float>,
  indices: UnsafePointer<Int32>,
  rows: Int,
  experts: Int,
  chosen: Int,
  factor: Float,
  addTo target: UnsafeMutablePointer<Float>?,
  on workers: Workers
) -> Double {
  guard rows > 0 else { return 0 }
  var counts = [Int](repeating: 0, count: experts)
  for choice in 0..<rows * chosen { counts[Int(indices[choice])] += 1 }
  let loads = counts.map { Float($0) / Float(rows * chosen) }
  let scale = Double(experts) / Double(rows)
  let parts = workers.results(ofRuns: max(1, elementsPerTile / (8 * experts)), in: rows) { run in
    let first = run.lowerBound * experts
    var sum = 0.0
    withScratch(experts) { scratch in
      sum = kernels.balance_gradient(
        logits + first,
        run.count,
        experts,
        loads,
        Float(scale * Double(factor)),
        target.map { $0 + first },
        scratch
      )
    }
    return sum
  }
  return parts.reduce(0, +) * scale
}

/// The mean over the rows of the entropy of softmax(logits) [rows, experts], nats.
///
/// Adds factor · its gradient by the logits to `addTo` [rows, experts]; with a factor below 0, routers
/// become less sure.
package func routerEntropy(
  logits: UnsafePointer<Float>,
  rows: Int,
  experts: Int,
  factor: Float,
  addTo target: UnsafeMutablePointer<Float>?,
  on workers: Workers
) -> Double {
  guard rows > 0 else { return 0 }
  let parts = workers.results(ofRuns: max(1, elementsPerTile / (8 * experts)), in: rows) { run in
    let first = run.lowerBound * experts
    var sum = 0.0
    withScratch(2 * experts) { scratch in
      sum = kernels.entropy_gradient(
        logits + first,
        run.count,
        experts,
        factor / Float(rows),
        target.map { $0 + first },
        scratch
      )
    }
    return sum
  }
  return parts.reduce(0, +) / Double(rows)
}
