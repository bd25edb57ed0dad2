import Foundation

extension Reference {
  /// The weights and indices [rows, chosen] of the experts that each row of logits [rows, experts]
  /// reaches.
  package static func route(
    logits: [Float],
    bias: [Float]?,
    routing: Routing
  ) -> (weights: [Float], indices: [Int32]) {
    var (weights, indices): ([Float], [Int32]) = ([], [])
    for first in stride(from: 0, to: logits.count, by: routing.experts) {
      let row = logits[first..<first + routing.experts].map(Double.init)
      let scores = routing.usesSigmoid ? row.map { 1 / (1 + exp(-$0)) } : softmax(row)
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
      weights += chosen.map { Float(scores[$0] / total * Double(routing.scale)) }
    }
    return (weights, indices)
  }

  private static func softmax(_ x: [Double]) -> [Double] {
    let greatest = x.filter { !$0.isNaN }.max() ?? 0
    let exponentials = x.map { exp($0 - greatest) }
    let total = exponentials.reduce(0, +)
    return exponentials.map { $0 / total }
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
}
