import CKernels

/// How a router of a mixture of experts chooses.
package struct Routing: Sendable, Hashable {
  /// Experts, and how many of them a token reaches.
  package var experts, chosen: Int
  /// Groups that the experts fall into, and how many of them a token may choose from.
  package var groups, keptGroups: Int
  /// Whether scores are sigmoids of the logits, or their softmax.
  package var usesSigmoid: Bool
  /// Whether a group ranks by the sum of its two greatest scores, or by the greatest.
  package var sumsTwo: Bool
  /// Whether weights are divided by their sum.
  package var normalizes: Bool
  /// What weights are multiplied by in the end.
  package var scale: Float

  /// States all choices.
  package init(
    experts: Int,
    chosen: Int,
    groups: Int,
    keptGroups: Int,
    usesSigmoid: Bool,
    sumsTwo: Bool,
    normalizes: Bool,
    scale: Float
  ) {
    precondition(
      chosen >= 1 && groups >= 1 && keptGroups <= groups && experts % groups == 0
        && chosen <= experts / groups * keptGroups,
      "the groups that are kept must hold as many experts as are chosen"
    )
    self.experts = experts
    self.chosen = chosen
    self.groups = groups
    self.keptGroups = keptGroups
    self.usesSigmoid = usesSigmoid
    self.sumsTwo = sumsTwo
    self.normalizes = normalizes
    self.scale = scale
  }

  var kernelRouting: karat_routing {
    karat_routing(
      experts: experts,
      chosen: chosen,
      groups: groups,
      kept_groups: keptGroups,
      sigmoid: usesSigmoid,
      sums_two: sumsTwo,
      normalizes: normalizes,
      scale: scale
    )
  }
}

/// Chooses experts: for each row of logits [rows, experts] those of greatest score plus bias
/// [experts], in falling order, as weights (without the bias) and indices [rows, chosen].
///
/// Of equal scores the first expert wins; scores that are not numbers rank last.
package func route(
  logits: UnsafePointer<Float>,
  bias: UnsafePointer<Float>?,
  rows: Int,
  routing: Routing,
  weights: UnsafeMutablePointer<Float>,
  indices: UnsafeMutablePointer<Int32>,
  on workers: Workers
) {
  let work = max(1, routing.experts * (routing.chosen + 8))
  workers.forEachRun(of: max(1, elementsPerTile / work), in: rows) { run in
    withScratch(2 * routing.experts + routing.groups) { scratch in
      withUnsafePointer(to: routing.kernelRouting) {
        kernels.route(
          $0,
          logits + run.lowerBound * routing.experts,
          bias,
          run.count,
          weights + run.lowerBound * routing.chosen,
          indices + run.lowerBound * routing.chosen,
          scratch
        )
      }
    }
  }
}

/// Sorts the places of expert indices [count] by expert, stably: those of expert e become
/// slots [offsets[e]..<offsets[e + 1]], with offsets [experts + 1].
package func sortByExpert(
  indices: UnsafePointer<Int32>,
  count: Int,
  experts: Int,
  offsets: UnsafeMutablePointer<Int32>,
  slots: UnsafeMutablePointer<Int32>
) {
  offsets.update(repeating: 0, count: experts + 1)
  for place in 0..<count { offsets[Int(indices[place]) + 1] += 1 }
  for expert in 0..<experts { offsets[expert + 1] += offsets[expert] }
  var next = (0..<experts).map { offsets[$0] }
  for place in 0..<count {
    let expert = Int(indices[place])
    slots[Int(next[expert])] = Int32(place)
    next[expert] += 1
  }
}

/// Copies rows: out [slots, features] = x [slot / chosen] for each slot.
package func gatherRows(
  x: UnsafePointer<Float>,
  features: Int,
  slots: UnsafeBufferPointer<Int32>,
  chosen: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: max(1, elementsPerTile / max(1, features)), in: slots.count) { run in
    for place in run {
      (out + place * features)
        .update(from: x + Int(slots[place]) / chosen * features, count: features)
    }
  }
}

/// Sums what experts give for each token: out [tokens, features] = Σ weights [tokens, chosen] · the
/// row of each slot, in the order of the choices.
package func combineRows(
  rows: UnsafePointer<UnsafePointer<Float>>,
  weights: UnsafePointer<Float>,
  tokens: Int,
  chosen: Int,
  features: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let work = max(1, features * chosen)
  workers.forEachRun(of: max(1, elementsPerTile / work), in: tokens) { run in
    for token in run {
      kernels.weighted_sum(
        rows + token * chosen,
        weights + token * chosen,
        chosen,
        features,
        out + token * features
      )
    }
  }
}
