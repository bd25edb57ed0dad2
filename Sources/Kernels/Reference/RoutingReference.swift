import Foundation

extension Reference {
  /// The weights and indices [rows, chosen] of the experts that each row of logits [rows, experts]
  /// reaches.
  package static func route<Number: BinaryFloatingPoint>(
    logits: [Number],
    bias: [Number]?,
    routing: Routing
  ) -> (weights: [Number], indices: [Int32]) {
    var (weights, indices): ([Number], [Int32]) = ([], [])
    for first in stride(from: 0, to: logits.count, by: routing.experts) {
      let scores = scores(of: logits[first..<first + routing.experts], routing)
      let ranks = scores.indices.map { expert in
        let rank = scores[expert] + (bias.map { Double($0[expert]) } ?? 0)
        return rank.isNaN ? -.infinity : rank
      }
      let size = routing.experts / routing.groups
      let groups = (0..<routing.groups).map { group in
        let best = ranks[group * size..<(group + 1) * size].sorted(by: >)
        return routing.sumsTwo ? best.prefix(2).reduce(0, +) : best[0]
      }
      let kept = Set(places(ofGreatest: routing.keptGroups, in: groups, among: groups.indices))
      let open = ranks.indices.filter { kept.contains($0 / size) }
      let chosen = places(ofGreatest: routing.chosen, in: ranks, among: open)
      let total = routing.normalizes ? chosen.reduce(1e-20) { $0 + scores[$1] } : 1
      indices += chosen.map(Int32.init)
      weights += chosen.map { Number(scores[$0] / total * Double(routing.scale)) }
    }
    return (weights, indices)
  }

  /// The gradient of `route` by the logits, given that of the weights and the choice.
  package static func routeGradient<Number: BinaryFloatingPoint>(
    logits: [Number],
    indices: [Int32],
    routing: Routing,
    gradient: [Number]
  ) -> [Number] {
    var out: [Number] = []
    for row in 0..<logits.count / routing.experts {
      let first = row * routing.experts
      let scores = scores(of: logits[first..<first + routing.experts], routing)
      let slots = row * routing.chosen..<(row + 1) * routing.chosen
      let total = slots.reduce(1e-20) { $0 + scores[Int(indices[$1])] }
      var toScores = scores.map { _ in 0.0 }
      for slot in slots {
        let own = Double(gradient[slot]) * Double(routing.scale)
        let expert = Int(indices[slot])
        guard routing.normalizes else {
          toScores[expert] += own
          continue
        }
        toScores[expert] += own / total
        for other in slots {
          toScores[Int(indices[other])] -= own * scores[expert] / (total * total)
        }
      }
      out +=
        routing.usesSigmoid
        ? scores.indices.map { Number(toScores[$0] * scores[$0] * (1 - scores[$0])) }
        : softmaxGradient(scores, toScores).map { Number($0) }
    }
    return out
  }

  /// experts · Σ over experts of the part of all choices that fell on them times their mean
  /// probability over the rows of logits [rows, experts].
  package static func balanceLoss<Number: BinaryFloatingPoint>(
    logits: [Number],
    indices: [Int32],
    experts: Int
  ) -> Double {
    let rows = probabilities(logits, experts)
    return (0..<experts).reduce(0) { sum, expert in
      let mean = rows.reduce(0) { $0 + $1[expert] } / Double(rows.count)
      return sum + Double(experts) * load(of: expert, indices) * mean
    }
  }

  /// The gradient of `balanceLoss` by the logits, the choice held fixed.
  package static func balanceLossGradient<Number: BinaryFloatingPoint>(
    logits: [Number],
    indices: [Int32],
    experts: Int
  ) -> [Number] {
    let rows = probabilities(logits, experts)
    let toMean = (0..<experts).map { Double(experts) * load(of: $0, indices) / Double(rows.count) }
    return rows.flatMap { softmaxGradient($0, toMean) }.map { Number($0) }
  }

  /// The mean over the rows of -Σ p · log p, for p = softmax(logits) [rows, experts].
  package static func routerEntropy<Number: BinaryFloatingPoint>(
    logits: [Number],
    experts: Int
  ) -> Double {
    let rows = probabilities(logits, experts)
    return rows.joined().reduce(0) { $0 - ($1 > 0 ? $1 * log($1) : 0) } / Double(rows.count)
  }

  /// The gradient of `routerEntropy` by the logits.
  package static func routerEntropyGradient<Number: BinaryFloatingPoint>(
    logits: [Number],
    experts: Int
  ) -> [Number] {
    let rows = probabilities(logits, experts)
    return rows.flatMap { row in
      softmaxGradient(row, row.map { $0 > 0 ? -(log($0) + 1) / Double(rows.count) : 0 })
    }.map { Number($0) }
  }

  /// The gradient by x of p = softmax(x), given that of p.
  static func softmaxGradient(_ p: [Double], _ gradient: [Double]) -> [Double] {
    let mean = zip(p, gradient).reduce(0) { $0 + $1.0 * $1.1 }
    return zip(p, gradient).map { $0 * ($1 - mean) }
  }

  private static func scores<Number: BinaryFloatingPoint>(
    of logits: ArraySlice<Number>,
    _ routing: Routing
  ) -> [Double] {
    let row = logits.map { Double($0) }
    return routing.usesSigmoid ? row.map { 1 / (1 + exp(-$0)) } : softmax(row)
  }

  private static func probabilities<Number: BinaryFloatingPoint>(
    _ logits: [Number],
    _ experts: Int
  ) -> [[Double]] {
    stride(from: 0, to: logits.count, by: experts).map { first in
      softmax(logits[first..<first + experts].map { Double($0) })
    }
  }

  private static func load(of expert: Int, _ indices: [Int32]) -> Double {
    Double(indices.count { $0 == Int32(expert) }) / Double(indices.count)
  }

  private static func places(
    ofGreatest count: Int,
    in values: [Double],
    among places: some Sequence<Int>
  ) -> [Int] {
    Array(places.sorted { (values[$0], $1) > (values[$1], $0) }.prefix(count))
  }

  /// Σ over a token's choices of its weight times what the chosen expert gives for the token's row
  /// of x [tokens, features].
  package static func mixture(
    x: [Float],
    features: Int,
    weights: [Float],
    indices: [Int32],
    chosen: Int,
    _ expert: (Int32, [Float]) -> [Float]
  ) -> [Float] {
    var out: [Float] = []
    for token in 0..<x.count / features {
      let row = Array(x[token * features..<(token + 1) * features])
      var sum: [Double] = []
      for slot in token * chosen..<(token + 1) * chosen {
        let given = expert(indices[slot], row).map { Double(weights[slot]) * Double($0) }
        sum = sum.isEmpty ? given : zip(sum, given).map(+)
      }
      out += sum.map(Float.init)
    }
    return out
  }

  /// Σ over a token's choices of weights [tokens, chosen] · rows [tokens, chosen, features].
  package static func combineRows<Number: BinaryFloatingPoint>(
    rows: [Number],
    weights: [Number],
    chosen: Int,
    features: Int
  ) -> [Number] {
    (0..<weights.count / chosen * features).map { place in
      let (token, i) = place.quotientAndRemainder(dividingBy: features)
      return Number(
        (token * chosen..<(token + 1) * chosen).reduce(0.0) { sum, slot in
          sum + Double(weights[slot]) * Double(rows[slot * features + i])
        }
      )
    }
  }

  /// The gradients of `combineRows`, given that of its result [tokens, features].
  package static func combineRowsGradient<Number: BinaryFloatingPoint>(
    rows: [Number],
    weights: [Number],
    chosen: Int,
    features: Int,
    gradient: [Number]
  ) -> (rows: [Number], weights: [Number]) {
    func own(_ slot: Int, _ i: Int) -> Double { Double(gradient[slot / chosen * features + i]) }
    let toRows = rows.indices.map { place in
      Number(Double(weights[place / features]) * own(place / features, place % features))
    }
    let toWeights = weights.indices.map { slot in
      Number((0..<features).reduce(0.0) { $0 + own(slot, $1) * Double(rows[slot * features + $1]) })
    }
    return (toRows, toWeights)
  }
}
